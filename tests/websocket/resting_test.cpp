// A machine that one WebSocket after the other has while something is under way.

#include <gtest/gtest.h>

#include "tests/websocket/one_socket.hpp"

namespace {

using namespace one_socket;

TEST(WebSocketAtRest, AQuietMachineGoesOnAsAnotherThatHasRested) {
    scene scene;
    scene.send(frames::text("one"));
    ASSERT_TRUE(scene.tested.is_quiet());
    EXPECT_EQ(scene.tested.messages_out(), 1U);
    const auto since = scene.now - 1h;
    scene.tested.resume(since, {.next_ping = scene.now + 5s, .unanswered = 1});
    EXPECT_EQ(scene.tested.messages_out(), 0U) << "the other has sent none since it came to rest";
    EXPECT_EQ(scene.tested.since(), since);
    scene.tick_after(4s);
    EXPECT_EQ(scene.count(9), 0U);
    scene.tick_after(1s);
    EXPECT_EQ(scene.count(9), 1U) << "the second ping of the other";
    scene.tick_after(scene.limits.ping);
    EXPECT_TRUE(scene.closed) << "neither was answered";
    EXPECT_TRUE(scene.reset);
}

TEST(WebSocketAtRest, AQuietMachineEchoesForEachThatItGoesOnAs) {
    scene scene;
    for (const auto* text : {"a short one", "", "another, which is longer"}) {
        scene.send(frames::text(text));
        EXPECT_EQ(scene.seen().back().payload, text);
        ASSERT_TRUE(scene.tested.is_quiet());
        scene.tested.resume(scene.now, scene.tested.rest());
    }
    scene.send(frames::close(1000));
    EXPECT_EQ(scene.close_code(), 1000U);
}

TEST(WebSocketAtRest, AMachineFitsWhereItsLimitsAreThoseItWasMadeWith) {
    scene scene;
    const machine_limits others;
    EXPECT_TRUE(scene.tested.fits(scene.limits, nullptr));
    EXPECT_FALSE(scene.tested.fits(others, nullptr));
}

}  // namespace
