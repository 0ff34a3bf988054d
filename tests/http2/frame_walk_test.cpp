// Where the frames of DATA are in what a client sends, wherever that is cut.

#include "server/http2/frame_walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/http2/peer.hpp"

namespace http2_tests {
namespace {

using server::http2::frame_walk;
using testing::ElementsAre;
using testing::IsEmpty;

struct found {
    std::int32_t id;
    std::size_t behind;  ///< its head, from the preface on
    bool operator==(const found&) const = default;
};

/// What it finds in pieces of that size.
std::vector<found> walk(const std::string& bytes, std::size_t cut) {
    frame_walk walk;
    std::vector<found> all;
    for (std::size_t from = 0; from < bytes.size(); from += cut) {
        const auto some = std::string_view(bytes).substr(from, cut);
        std::size_t at = 0;
        while (const auto id = walk.next_data(some, at)) all.push_back({id, from + at});
        EXPECT_EQ(at, some.size());
    }
    return all;
}

TEST(FrameWalk, FindsTheFramesOfDataWhereverTheyAreCut) {
    const std::string bytes = preface + frame(NGHTTP2_SETTINGS, 0, 0, "") + frame(NGHTTP2_HEADERS, 4, 1, "block") +
                              frame(NGHTTP2_DATA, 0, 1, "") + frame(NGHTTP2_DATA, 1, 0x7fff'ffff, "body") +
                              frame(NGHTTP2_PING, 0, 0, "01234567") + frame(NGHTTP2_DATA, 1, 0x0102'0305, "b");
    const auto end = bytes.size();
    for (std::size_t cut = 1; cut <= end; ++cut)
        EXPECT_THAT(walk(bytes, cut), ElementsAre(found{1, 24 + 9 + 14 + 9}, found{0x7fff'ffff, 24 + 9 + 14 + 9 + 9},
                                                  found{0x0102'0305, end - 1}))
            << cut;
}

TEST(FrameWalk, TheBitThatIsReservedIsNoneOfTheStream) {
    const auto bytes = preface + frame(NGHTTP2_DATA, 0, 0x8000'0003, "");
    EXPECT_THAT(walk(bytes, bytes.size()), ElementsAre(found{3, bytes.size()}));
}

TEST(FrameWalk, WhatLooksLikeAFrameWithinAnotherIsNone) {
    const auto bytes = preface + frame(NGHTTP2_HEADERS, 4, 1, frame(NGHTTP2_DATA, 0, 1, "body"));
    for (std::size_t cut = 1; cut <= bytes.size(); ++cut) EXPECT_THAT(walk(bytes, cut), IsEmpty()) << cut;
}

TEST(FrameWalk, DataOfTheConnectionDoesNotCount) {
    EXPECT_THAT(walk(preface + frame(NGHTTP2_DATA, 0, 0, "body"), 100), IsEmpty());
}

/// Of each frame of DATA, in turn, whether its stream may be over.
std::vector<bool> doubts(const std::string& bytes, bool catches_up) {
    frame_walk walk;
    std::vector<bool> all;
    std::size_t at = 0;
    while (walk.next_data(preface + bytes, at) != 0) {
        all.push_back(walk.may_be_over());
        if (catches_up) walk.caught_up();
    }
    return all;
}

TEST(FrameWalk, AStreamMayBeOverWhenItOrALaterOneHasBeenEndedOrReset) {
    const auto data = [](std::uint32_t id, std::uint8_t flags = 0) { return frame(NGHTTP2_DATA, flags, id, "body"); };
    const auto head = [](std::uint32_t id, std::uint8_t flags) { return frame(NGHTTP2_HEADERS, flags, id, "block"); };
    EXPECT_THAT(doubts(head(1, 4) + data(1) + data(1), false), ElementsAre(false, false));
    EXPECT_THAT(doubts(head(1, 5) + data(1), false), ElementsAre(true));
    EXPECT_THAT(doubts(head(1, 4) + data(1, 1) + data(1), false), ElementsAre(false, true));
    EXPECT_THAT(doubts(frame(NGHTTP2_RST_STREAM, 0, 1, "code") + data(1), false), ElementsAre(true));
    EXPECT_THAT(doubts(frame(NGHTTP2_PING, 1, 7, "01234567") + data(1), false), ElementsAre(false));
    EXPECT_THAT(doubts(head(3, 5) + data(1) + data(5), false), ElementsAre(true, false));
    EXPECT_THAT(doubts(head(1, 4) + data(1, 1) + head(3, 4) + data(3, 1), false), ElementsAre(false, false));
}

TEST(FrameWalk, WhatItHasCaughtUpWithIsInNoDoubtButWhatEndsThere) {
    const auto data = [](std::uint32_t id, std::uint8_t flags = 0) { return frame(NGHTTP2_DATA, flags, id, "body"); };
    const auto reset = frame(NGHTTP2_RST_STREAM, 0, 9, "code");
    EXPECT_THAT(doubts(reset + data(1) + data(1) + data(3), true), ElementsAre(true, false, false));
    EXPECT_THAT(doubts(reset + data(3, 1) + data(1) + data(1), true), ElementsAre(true, true, false));
}

/// nghttp2 has ended the connection, and what follows is nothing.
TEST(FrameWalk, NothingIsFoundBehindAFrameThatIsTooLong) {
    const auto longest = preface + frame(NGHTTP2_HEADERS, 4, 1, std::string(16'384, 'a'));
    const auto too_long = preface + frame(NGHTTP2_HEADERS, 4, 1, std::string(16'385, 'a'));
    const auto data = frame(NGHTTP2_DATA, 0, 1, "body");
    for (const std::size_t cut : std::initializer_list<std::size_t>{7, 1'000, 100'000}) {
        EXPECT_THAT(walk(longest + data, cut), ElementsAre(found{1, longest.size() + 9}));
        EXPECT_THAT(walk(too_long + data, cut), IsEmpty());
    }
}

}  // namespace
}  // namespace http2_tests
