// A stream behind an extended CONNECT is a socket for another session (RFC 8441).

#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

TEST(Http2Tunnels, ARouteThatBecomesASessionGetsTheStream) {
    scene one;
    EXPECT_EQ(one.client.settings[NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL], 1);
    const auto id = one.connect();
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_EQ(one.answer(id).headers.count("content-length"), 0);
    EXPECT_FALSE(one.answer(id).ended);
    ASSERT_EQ(one.guests, 1);
    EXPECT_EQ(one.last_guest->path, "/socket");
    EXPECT_TRUE(one.last_guest->counted);
    one.client.send_body(id, "hello", false);
    one.settle();
    EXPECT_EQ(one.answer(id).body, "hello");
    one.client.send_body(id, " there", true);
    one.settle();
    EXPECT_EQ(one.answer(id).body, "hello there");
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_FALSE(one.answer(id).reset);
    EXPECT_EQ(one.guests, 0);
    EXPECT_TRUE(one.machine.idle());
    EXPECT_EQ(one.notes, 1);
    EXPECT_EQ(one.account().began, 1);
    EXPECT_EQ(one.account().finished, 0);  // which the session says itself
}

TEST(Http2Tunnels, BytesThatComeBeforeTheAnswerAreNotLost) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.connect();
    one.client.send_body(id, "early", false);
    one.settle();
    one.reply(id, server::response(http::status::switching_protocols));
    EXPECT_EQ(one.answer(id).body, "early");
}

TEST(Http2Tunnels, WindowsHoldUpBothSides) {
    scene one({}, 1'000, false);
    const auto id = one.connect();
    auto& inside = *one.last_guest;
    inside.reads = false;
    one.send_body(id, 200'000);
    EXPECT_EQ(one.held(), 65'535);
    EXPECT_EQ(inside.heard.size(), 0);
    inside.reads = true;
    one.tick();
    EXPECT_EQ(inside.heard.size(), 200'000);
    EXPECT_EQ(one.held(), 0);
    EXPECT_EQ(one.answer(id).body.size(), 1'000);
    EXPECT_LE(inside.through.unacknowledged(), 64 * 1024);
    one.client.open_window(id, 1'000'000);
    one.client.open_window(0, 1'000'000);
    one.settle();
    EXPECT_EQ(one.answer(id).body.size(), 200'000);
    EXPECT_EQ(inside.through.unacknowledged(), 0);
}

TEST(Http2Tunnels, WhatIsNoSuchRequestIsRefused) {
    scene one;
    EXPECT_EQ(one.answer(one.connect("/")).status, 501);  // and the handler of the GET is not asked
    EXPECT_EQ(one.answer(one.connect("/nowhere")).status, 404);
    const auto plain = one.client.ask("CONNECT", "-", {{":scheme", "-"}, {":path", "-"}});
    one.settle();
    EXPECT_EQ(one.answer(plain).status, 501);
    EXPECT_EQ(one.calls, 0);
    const auto get = one.client.get("/socket");  // a 101 that nobody has asked for
    one.settle();
    EXPECT_EQ(one.answer(get).status, 500);
    EXPECT_EQ(one.guests, 0);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2Tunnels, NoneBeginsOnceTheStopHasBegun) {
    scene one;
    one.stop();
    const auto id = one.connect();
    EXPECT_EQ(one.answer(id).status, 503);
    EXPECT_EQ(one.answer(id).header("retry-after"), "1");
    EXPECT_EQ(one.refused, server::rule::drain);
    EXPECT_EQ(one.guests, 0);
}

TEST(Http2Tunnels, ADrainIsTheSessionsToEndAndTheConnectionWaitsForIt) {
    scene one;
    const auto id = one.connect();
    one.stop();
    EXPECT_TRUE(one.last_guest->told);
    one.drain(1s, 20s);
    EXPECT_EQ(one.answer(id).body, "bye");
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_FALSE(one.answer(id).reset);  // its client may still have something to say
    one.tick_after(1001ms);
    EXPECT_EQ(one.client.goaways.size(), 2);
    EXPECT_FALSE(one.machine.over());
    one.client.send_body(id, "", true);
    one.settle();
    EXPECT_EQ(one.guests, 0);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Tunnels, ASessionThatHasEndedEndsItsStream) {
    scene one;
    const auto id = one.connect();
    one.last_guest->leaves = one.last_guest->ended = true;
    one.tick();
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_NO_ERROR);  // the client had more to say
    EXPECT_TRUE(one.machine.idle());

    const auto cut = one.connect();
    one.last_guest->resets = true;
    one.tick();
    EXPECT_FALSE(one.answer(cut).ended);
    EXPECT_EQ(one.answer(cut).reset, NGHTTP2_CANCEL);  // RFC 8441 section 5
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2Tunnels, AClientThatDoesNotEndItsSideIsNotWaitedForLongerThanTheSessionDoes) {
    scene one;
    const auto id = one.connect();
    one.drain(1s, 20s);
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_FALSE(one.answer(id).reset);
    one.last_guest->ended = true;  // it has waited long enough
    one.tick();
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_NO_ERROR);
    EXPECT_EQ(one.guests, 0);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2Tunnels, AClientThatResetsTheStreamIsGone) {
    scene one;
    const auto id = one.connect();
    one.last_guest->works(1);
    one.client.reset(id);
    one.settle();
    ASSERT_EQ(one.guests, 1);  // a handler of it works
    EXPECT_TRUE(one.last_guest->gone);
    EXPECT_EQ(one.machine.asked_now(), 1);
    one.last_guest->works(0);
    one.last_guest->through.proceed();
    one.settle();
    EXPECT_EQ(one.guests, 0);
    EXPECT_EQ(one.machine.asked_now(), 0);
    EXPECT_TRUE(one.machine.idle());
    EXPECT_TRUE(one.client.goaways.empty());
}

TEST(Http2Tunnels, OneThatIsCutAndOneThatIsLostEnd) {
    for (const bool lost : {true, false}) {
        scene one;
        one.connect();
        lost ? one.machine.lost(one.at()) : one.machine.cut(one.at());
        one.settle();
        EXPECT_EQ(one.guests, 0);
        EXPECT_TRUE(one.machine.idle());
    }
}

}  // namespace
}  // namespace http2_tests
