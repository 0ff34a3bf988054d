// A stream after an extended CONNECT is a socket for another session (RFC 8441).

#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

TEST(Http2Tunnels, ARouteThatBecomesASessionGetsTheStream) {
    scene scene;
    EXPECT_EQ(scene.client.settings[NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL], 1);
    const auto id = scene.connect();
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_EQ(scene.answer(id).headers.count("content-length"), 0);
    EXPECT_FALSE(scene.answer(id).ended);
    ASSERT_EQ(scene.guests, 1);
    EXPECT_EQ(scene.last_guest->path, "/socket");
    EXPECT_TRUE(scene.last_guest->counted);
    scene.client.send_body(id, "hello", false);
    scene.settle();
    EXPECT_EQ(scene.answer(id).body, "hello");
    scene.client.send_body(id, " there", true);
    scene.settle();
    EXPECT_EQ(scene.answer(id).body, "hello there");
    EXPECT_TRUE(scene.answer(id).ended);
    EXPECT_FALSE(scene.answer(id).reset);
    EXPECT_EQ(scene.guests, 0);
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_EQ(scene.notes, 1);
    EXPECT_EQ(scene.account().began, 1);
    EXPECT_EQ(scene.account().finished, 0);  // which the session says itself
}

TEST(Http2Tunnels, BytesThatComeBeforeTheAnswerAreNotLost) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.connect();
    scene.client.send_body(id, "early", false);
    scene.settle();
    scene.reply(id, server::response(http::status::switching_protocols));
    EXPECT_EQ(scene.answer(id).body, "early");
}

TEST(Http2Tunnels, WindowsHoldUpBothSides) {
    scene scene({}, 1'000, false);
    const auto id = scene.connect();
    auto& inside = *scene.last_guest;
    inside.reads = false;
    scene.send_body(id, 200'000);
    EXPECT_EQ(scene.held(), 65'535);
    EXPECT_EQ(inside.heard.size(), 0);
    inside.reads = true;
    scene.tick();
    EXPECT_EQ(inside.heard.size(), 200'000);
    EXPECT_EQ(scene.held(), 0);
    EXPECT_EQ(scene.answer(id).body.size(), 1'000);
    EXPECT_LE(inside.through.unacknowledged(), 64 * 1024);
    scene.client.open_window(id, 1'000'000);
    scene.client.open_window(0, 1'000'000);
    scene.settle();
    EXPECT_EQ(scene.answer(id).body.size(), 200'000);
    EXPECT_EQ(inside.through.unacknowledged(), 0);
}

TEST(Http2Tunnels, WhatIsNoSuchRequestIsRefused) {
    scene scene;
    EXPECT_EQ(scene.answer(scene.connect("/")).status, 501);  // and the handler of the GET is not asked
    EXPECT_EQ(scene.answer(scene.connect("/nowhere")).status, 404);
    const auto plain = scene.client.ask("CONNECT", "-", {{":scheme", "-"}, {":path", "-"}});
    scene.settle();
    EXPECT_EQ(scene.answer(plain).status, 501);
    EXPECT_EQ(scene.calls, 0);
    const auto get = scene.client.get("/socket");  // a 101 that nobody has asked for
    scene.settle();
    EXPECT_EQ(scene.answer(get).status, 500);
    EXPECT_EQ(scene.guests, 0);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2Tunnels, NoneBeginsOnceTheStopHasBegun) {
    scene scene;
    scene.stop();
    const auto id = scene.connect();
    EXPECT_EQ(scene.answer(id).status, 503);
    EXPECT_EQ(scene.answer(id).header("retry-after"), "1");
    EXPECT_EQ(scene.refused, server::rule::drain);
    EXPECT_EQ(scene.guests, 0);
}

TEST(Http2Tunnels, ADrainIsTheSessionsToEndAndTheConnectionWaitsForIt) {
    scene scene;
    const auto id = scene.connect();
    scene.stop();
    EXPECT_TRUE(scene.last_guest->told);
    scene.drain(1s, 20s);
    EXPECT_EQ(scene.answer(id).body, "bye");
    EXPECT_TRUE(scene.answer(id).ended);
    EXPECT_FALSE(scene.answer(id).reset);  // its client may still have something to say
    scene.tick_after(1001ms);
    EXPECT_EQ(scene.client.goaways.size(), 2);
    EXPECT_FALSE(scene.machine.over());
    scene.client.send_body(id, "", true);
    scene.settle();
    EXPECT_EQ(scene.guests, 0);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Tunnels, ASessionThatHasEndedEndsItsStream) {
    scene scene;
    const auto id = scene.connect();
    scene.last_guest->leaves = scene.last_guest->ended = true;
    scene.tick();
    EXPECT_TRUE(scene.answer(id).ended);
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_NO_ERROR);  // the client had more to say
    EXPECT_TRUE(scene.machine.idle());

    const auto cut = scene.connect();
    scene.last_guest->resets = true;
    scene.tick();
    EXPECT_FALSE(scene.answer(cut).ended);
    EXPECT_EQ(scene.answer(cut).reset, NGHTTP2_CANCEL);  // RFC 8441 section 5
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2Tunnels, AClientThatDoesNotEndItsSideIsNotWaitedForLongerThanTheSessionDoes) {
    scene scene;
    const auto id = scene.connect();
    scene.drain(1s, 20s);
    EXPECT_TRUE(scene.answer(id).ended);
    EXPECT_FALSE(scene.answer(id).reset);
    scene.last_guest->ended = true;  // it has waited long enough
    scene.tick();
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_NO_ERROR);
    EXPECT_EQ(scene.guests, 0);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2Tunnels, AClientThatTakesNothingOfTheLastWordsIsWaitedForAsForAnyAnswer) {
    server::options limits;
    limits.write_timeout = 30s;
    scene scene(limits, 0, false);
    const auto id = scene.connect();
    scene.last_guest->to_say = "last words";
    scene.last_guest->leaves = scene.last_guest->ended = true;
    scene.tick();
    EXPECT_EQ(scene.guests, 0);
    scene.tick_after(20s);
    scene.client.open_window(id, 4);
    scene.settle();
    EXPECT_EQ(scene.answer(id).body, "last");
    scene.tick_after(29'999ms);
    EXPECT_FALSE(scene.answer(id).reset);
    scene.tick_after(1ms);
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_CANCEL);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2Tunnels, AClientThatTakesNothingOfTheLastWordsHoldsNoStop) {
    scene scene({}, 0, false);
    const auto before = scene.connect();
    scene.last_guest->to_say = "before the stop";
    scene.last_guest->leaves = scene.last_guest->ended = true;
    scene.tick();
    const auto id = scene.connect();
    scene.pass(20s);
    scene.drain(300ms, 20s);
    scene.last_guest->ended = true;
    scene.tick_after(500ms);
    EXPECT_EQ(scene.guests, 0);
    scene.tick_after(499ms);
    EXPECT_FALSE(scene.answer(before).reset || scene.answer(id).reset);
    scene.tick_after(1ms);
    EXPECT_EQ(scene.answer(before).reset, NGHTTP2_CANCEL);
    scene.tick_after(500ms);
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_CANCEL);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Tunnels, AClientThatResetsTheStreamIsGone) {
    scene scene;
    const auto id = scene.connect();
    scene.last_guest->works(1);
    scene.client.reset(id);
    scene.settle();
    ASSERT_EQ(scene.guests, 1);  // a handler of it works
    EXPECT_TRUE(scene.last_guest->gone);
    EXPECT_EQ(scene.machine.asked_now(), 1);
    scene.last_guest->works(0);
    scene.last_guest->through.proceed();
    scene.settle();
    EXPECT_EQ(scene.guests, 0);
    EXPECT_EQ(scene.machine.asked_now(), 0);
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_TRUE(scene.client.goaways.empty());
}

TEST(Http2Tunnels, OneThatIsCutAndOneThatIsLostEnd) {
    for (const bool lost : {true, false}) {
        scene scene;
        scene.connect();
        lost ? scene.machine.lost(scene.at()) : scene.machine.cut(scene.at());
        scene.settle();
        EXPECT_EQ(scene.guests, 0);
        EXPECT_TRUE(scene.machine.idle());
    }
}

}  // namespace
}  // namespace http2_tests
