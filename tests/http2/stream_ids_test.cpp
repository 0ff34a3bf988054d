// What a client may still send on its streams, as far as their ids say it.

#include "server/http2/stream_ids.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace http2_tests {
namespace {

using server::http2::stream_ids;

TEST(StreamIds, AnIdAboveAllOthersIsNew) {
    stream_ids some;
    EXPECT_TRUE(some.is_new(1));
    some.begin(5);
    EXPECT_FALSE(some.is_new(3));
    EXPECT_FALSE(some.is_new(5));
    EXPECT_TRUE(some.is_new(7));
}

TEST(StreamIds, AnIdBelowTheNextOneIsLeftOutForGood) {
    stream_ids some;
    some.begin(1);
    some.begin(3);
    EXPECT_FALSE(some.is_left_out(1));
    EXPECT_FALSE(some.is_left_out(3));
    some.begin(9);
    EXPECT_FALSE(some.is_left_out(3));
    EXPECT_TRUE(some.is_left_out(5));
    EXPECT_TRUE(some.is_left_out(7));
    EXPECT_FALSE(some.is_left_out(9));
    some.begin(11);
    EXPECT_TRUE(some.is_left_out(5));
}

TEST(StreamIds, TheLatestEightThatHaveEndedAreKnown) {
    stream_ids some;
    for (std::int32_t id = 1; id <= 19; id += 2) {
        EXPECT_FALSE(some.has_ended(id));
        some.end(id);
    }
    EXPECT_FALSE(some.has_ended(3));
    for (std::int32_t id = 5; id <= 19; id += 2) EXPECT_TRUE(some.has_ended(id)) << id;
}

TEST(StreamIds, ThoseThatWereResetAreKnownUntilTheyAreForgotten) {
    stream_ids some;
    some.leave(1);
    some.leave(3);
    EXPECT_TRUE(some.has_left(1));
    EXPECT_FALSE(some.has_ended(1));
    some.forget_left(1);
    EXPECT_FALSE(some.has_left(1));
    EXPECT_TRUE(some.has_left(3));
    for (std::int32_t id = 5; id <= 19; id += 2) some.leave(id);
    EXPECT_FALSE(some.has_left(3));
}

}  // namespace
}  // namespace http2_tests
