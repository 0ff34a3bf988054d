// Peers that cost themselves little and others much.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

using testing::SizeIs;

/// How it has been ended; NO_ERROR: it has not.
std::uint32_t ended_by(scene& one) {
    return one.client.goaways.empty() ? std::uint32_t{NGHTTP2_NO_ERROR} : one.client.goaways.back().code;
}

std::string number(std::uint32_t value) {
    std::string made;
    for (int shift = 24; shift >= 0; shift -= 8) made += static_cast<char>(value >> shift & 0xff);
    return made;
}

TEST(Http2Hostile, ResetsOneAfterTheOtherAreEnded) {  // CVE-2023-44487
    scene one;
    one.holds_handlers = true;
    int sent = 0;
    for (; sent < 1000 && ended_by(one) == NGHTTP2_NO_ERROR; ++sent) {
        const auto id = one.client.get("/");
        one.settle();
        one.client.reset(id);
        one.settle();
    }
    EXPECT_EQ(ended_by(one), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_LE(sent, 110);
}

TEST(Http2Hostile, SomeResetsNowAndThenAreEveryday) {
    scene one;
    for (int nth = 0; nth < 300; ++nth) {
        const auto id = one.client.ask("POST", "/", {}, std::nullopt, true);
        one.settle();
        one.client.reset(id);
        one.settle();
        one.pass(100ms);
    }
    EXPECT_EQ(ended_by(one), NGHTTP2_NO_ERROR);
    EXPECT_EQ(one.account().gone, 300);
}

TEST(Http2Hostile, HandlersAreCountedUntilTheyReturnWhateverTheClientDoes) {
    server::options limits;
    limits.http2_max_streams = 10;
    scene one(limits);
    one.holds_handlers = true;
    for (int nth = 0; nth < 50; ++nth) {
        const auto id = one.client.get("/");
        one.settle();
        one.client.reset(id);
        one.settle();
    }
    EXPECT_THAT(one.asked, SizeIs(10));
}

TEST(Http2Hostile, ResetsThatThePeerMakesUsSendAreEnded) {  // CVE-2025-8671
    scene one;
    int sent = 0;
    for (; sent < 1000 && ended_by(one) == NGHTTP2_NO_ERROR; ++sent) {
        one.client.ask("GET", "/", {{"connection", "close"}});
        one.settle();
    }
    EXPECT_EQ(ended_by(one), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_LE(sent, 110);
}

TEST(Http2Hostile, FloodsOfControlFramesAreEnded) {
    const std::vector<std::string> some{frame(NGHTTP2_PING, 0, 0, "01234567"), frame(NGHTTP2_SETTINGS, 0, 0, "")};
    for (const auto& each : some) {
        scene one;
        int sent = 0;
        for (; sent < 5000 && ended_by(one) == NGHTTP2_NO_ERROR; ++sent) one.send_raw(each);
        EXPECT_EQ(ended_by(one), NGHTTP2_ENHANCE_YOUR_CALM) << int(each[3]);
        EXPECT_LE(sent, 1100);
    }
}

TEST(Http2Hostile, EmptyPiecesOfABodyAreEnded) {
    scene one;
    const auto id = one.client.ask("POST", "/", {}, std::nullopt, true);
    one.settle();
    int sent = 0;
    for (; sent < 5000 && ended_by(one) == NGHTTP2_NO_ERROR; ++sent)
        one.send_raw(frame(NGHTTP2_DATA, 0, static_cast<std::uint32_t>(id), ""));
    EXPECT_EQ(ended_by(one), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Hostile, ABlockOfHeadersThatDoesNotEndIsEnded) {  // CVE-2024-28182
    scene one;
    std::string bytes = frame(NGHTTP2_HEADERS, 0, 1, "\x82");
    for (int nth = 0; nth < 100; ++nth)
        bytes += frame(NGHTTP2_CONTINUATION, 0, 1,
                       std::string("\x00\x01"
                                   "a\x01"
                                   "b",
                                   5));
    one.send_raw(bytes);
    EXPECT_EQ(ended_by(one), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Hostile, AHeadThatStopsInTheMiddleEndsTheConnection) {
    scene one;
    one.send_raw(frame(NGHTTP2_HEADERS, 0, 1, "\x82"));
    one.tick_after(10'001ms);
    EXPECT_EQ(ended_by(one), NGHTTP2_PROTOCOL_ERROR);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Hostile, AStreamWhoseIdWasLeftOutNeverBegins) {
    const std::string head(
        "\x82\x86\x84\x41\x01"
        "a",
        6);
    scene one;
    one.send_raw(frame(NGHTTP2_HEADERS, 5, 5, head));
    one.send_raw(frame(NGHTTP2_HEADERS, 5, 3, head));
    EXPECT_EQ(ended_by(one), NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(one.calls, 1);
}

TEST(Http2Hostile, AStreamThatTheClientHasEndedStaysEnded) {
    const std::string head(
        "\x82\x86\x84\x41\x01"
        "a",
        6);
    scene one;
    one.send_raw(frame(NGHTTP2_HEADERS, 5, 1, head));
    one.send_raw(frame(NGHTTP2_DATA, 1, 1, "more"));  // is dropped, whoever has ended it
    EXPECT_EQ(ended_by(one), NGHTTP2_NO_ERROR);
    one.send_raw(frame(NGHTTP2_HEADERS, 5, 1, head));
    EXPECT_EQ(ended_by(one), NGHTTP2_STREAM_CLOSED);
    EXPECT_EQ(one.calls, 1);
}

TEST(Http2Hostile, APriorityOfTheConnectionEndsIt) {
    scene one;
    one.send_raw(frame(NGHTTP2_PRIORITY, 0, 0, number(5) + '\x10'));
    EXPECT_EQ(ended_by(one), NGHTTP2_PROTOCOL_ERROR);
}

TEST(Http2Hostile, WindowsThatOverflowEndTheStreamOrTheConnection) {
    scene one({}, 0, false);
    const auto id = one.client.get("/");
    one.settle();
    one.send_raw(frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<std::uint32_t>(id), number(0x7fff'ffff)) +
                 frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<std::uint32_t>(id), number(0x7fff'ffff)));
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_FLOW_CONTROL_ERROR);
    one.send_raw(frame(NGHTTP2_WINDOW_UPDATE, 0, 0, number(0x7fff'ffff)) +
                 frame(NGHTTP2_WINDOW_UPDATE, 0, 0, number(0x7fff'ffff)));
    EXPECT_EQ(ended_by(one), NGHTTP2_FLOW_CONTROL_ERROR);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Hostile, ADependencyOnItselfIsNoHarm) {
    scene one;
    one.send_raw(frame(NGHTTP2_PRIORITY, 0, 5, number(5) + '\x10'));
    EXPECT_EQ(ended_by(one), NGHTTP2_NO_ERROR);  // RFC 9113 section 5.3.2: it means nothing
    one.send_raw(frame(NGHTTP2_HEADERS, 5, 5,
                       std::string("\x82\x86\x84\x41\x01"
                                   "a",
                                   6)));
    EXPECT_EQ(one.calls, 1);
}

TEST(Http2Hostile, ABombOfHeadersCostsNoMoreThanItsLimit) {
    scene one;
    // One entry of 4 KB in the table, and then references to it, a byte each.
    std::string block(
        "\x40\x01"
        "a",
        3);
    block += std::string("\x7f\xa1\x1e", 3) + std::string(4000, 'b');
    const std::string references(16'000, '\xbe');
    const auto bytes = frame(NGHTTP2_HEADERS, 1, 1,
                             std::string("\x82\x86\x84\x41\x01"
                                         "a",
                                         6) +
                                 block) +
                       frame(NGHTTP2_CONTINUATION, 4, 1, references);
    one.send_raw(bytes);
    const auto& answer = one.answer(1);
    EXPECT_TRUE(answer.status == 431 || answer.reset || ended_by(one) != NGHTTP2_NO_ERROR);
    EXPECT_TRUE(one.machine.idle());
}

}  // namespace
}  // namespace http2_tests
