// What a layer between a connection and its socket (TLS) makes of it: a handshake counts as something that has begun, a
// farewell goes before each FIN, and a client that comes in a stop is told late. No socket, no clock, no TLS.

#include <gtest/gtest.h>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;
using server::connection_state;

server::options patient_for(clock::duration head) {
    server::options limits;
    limits.header_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(head);
    return limits;
}

// ── a handshake ─────────────────────────────────────────────────────────────────────────────────

TEST(Layered, AHandshakeUnderWayOutlastsTheIdleGrace) {
    scene scene;
    scene.stirs();
    scene.drain(1s, 10s);
    scene.tick_after(5s);
    EXPECT_FALSE(scene.over());
    scene.shakes_hands();
    scene.send(ask());
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
}

TEST(Layered, AHandshakeHasAsLongAsAHeadFromTheAcceptOn) {
    scene scene(patient_for(3s));
    scene.tick_after(2s);
    scene.stirs();
    scene.tick_after(900ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(100ms);
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.seen(), "");
}

TEST(Layered, AHandshakeEndsWithTheAppsShare) {
    scene scene;
    scene.stirs();
    scene.drain(1s, 3s);
    scene.tick_after(3s);
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.account().began, 0U) << "it is no request";
}

TEST(Layered, ADoneHandshakeDoesNotMoveTheDeadlineOfTheFirstHead) {
    scene scene(patient_for(3s));
    scene.tick_after(2s);
    scene.shakes_hands();
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
}

TEST(Layered, WhoHasJustShakenHandsHasASecondForTheFirstRequest) {
    scene scene;
    scene.drain(0s, 10s);
    scene.shakes_hands();
    scene.tick_after(900ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(100ms);
    EXPECT_TRUE(scene.over());
    EXPECT_TRUE(scene.said_farewell());
}

TEST(Layered, WhoHasShakenHandsLongAgoHasTheIdleGrace) {
    scene scene;
    scene.shakes_hands();
    scene.tick_after(2s);
    scene.drain(0s, 10s);
    scene.tick();
    EXPECT_TRUE(scene.over());
}

// ── part of a record ────────────────────────────────────────────────────────────────────────────

TEST(Layered, ARecordThatIsNotWholeKeepsAnIdleConnection) {
    scene scene;
    scene.shakes_hands();
    scene.send(ask());
    scene.drain(1s, 20s);
    scene.stirs();
    scene.tick_after(5s);
    EXPECT_FALSE(scene.over());
    scene.send(ask());
    EXPECT_EQ(scene.answers(), 2U);
}

TEST(Layered, ARecordThatIsNotWholeHasAsLongAsAHead) {
    scene scene(patient_for(3s));
    scene.shakes_hands();
    scene.send(ask());
    scene.tick_after(10s);
    scene.stirs();
    scene.tick_after(2s);
    scene.stirs();  // another byte moves nothing
    EXPECT_FALSE(scene.over());
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
}

// ── the farewell ────────────────────────────────────────────────────────────────────────────────

TEST(Layered, AGoodByeGoesBeforeTheFinOfALastAnswer) {
    scene scene;
    scene.shakes_hands();
    scene.send(ask("Connection: close\r\n"));
    EXPECT_TRUE(scene.said_farewell());
    EXPECT_TRUE(scene.over());
}

TEST(Layered, AnIdleConnectionThatIsClosedHearsOne) {
    scene scene;
    scene.shakes_hands();
    scene.send(ask());
    scene.drain(1s, 10s);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
    EXPECT_TRUE(scene.said_farewell());
}

TEST(Layered, AGoodByeThatFindsNoRoomWaitsForIt) {
    scene scene(reads(60));  // less than an answer
    scene.shakes_hands();
    scene.send(ask("Connection: close\r\n"));
    while (scene.answers() == 0 || !scene.said_farewell()) {
        ASSERT_FALSE(scene.over());
        ASSERT_FALSE(scene.finished());
        scene.client_reads();
    }
    EXPECT_TRUE(scene.over());
}

TEST(Layered, WhoNeverReadsIsNotWaitedForToHearIt) {
    scene scene(reads(60));
    scene.shakes_hands();
    scene.send(ask("Connection: close\r\n"));
    scene.tick_after(31s);
    EXPECT_TRUE(scene.over());
    EXPECT_FALSE(scene.said_farewell());
}

TEST(Layered, WithoutALayerThereIsNone) {
    scene scene;
    scene.send(ask("Connection: close\r\n"));
    EXPECT_FALSE(scene.said_farewell());
    EXPECT_TRUE(scene.over());
}

// ── who comes in a stop ─────────────────────────────────────────────────────────────────────────

TEST(Layered, ANewcomerOfTheLameDuckHearsOfItOnlyNearItsEnd) {
    scene scene{in_a_stop()};
    scene.shakes_hands();
    scene.send(ask());
    EXPECT_EQ(scene.status(), 200);
    EXPECT_FALSE(scene.says_close());
    EXPECT_FALSE(scene.over());
    scene.part();
    scene.send(ask());
    EXPECT_TRUE(scene.says_close());
}

TEST(Layered, WhoWasThereBeforeHearsOfItAtOnce) {
    scene scene;
    scene.shakes_hands();
    scene.stop();
    scene.send(ask());
    EXPECT_TRUE(scene.says_close());
}

TEST(Layered, ANewcomerInClearHearsOfItAtOnce) {
    scene scene{in_a_stop()};
    scene.send(ask());
    EXPECT_TRUE(scene.says_close());
}

TEST(Layered, ANewcomerOfAStopThatWasLeftIsNoneOfTheNext) {
    scene scene{in_a_stop()};
    scene.shakes_hands();
    scene.stop();  // another one
    scene.send(ask());
    EXPECT_TRUE(scene.says_close());
}

}  // namespace
