// What a layer between a connection and its socket (TLS) makes of it: a handshake counts as something that has begun, a
// good-bye goes before each FIN, and who comes in a stop hears of it late. No socket, no clock, no TLS.

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
    scene one;
    one.stirs();
    one.drain(1s, 10s);
    one.tick_after(5s);
    EXPECT_FALSE(one.over());
    one.shakes_hands();
    one.send(ask());
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
}

TEST(Layered, AHandshakeHasAsLongAsAHeadFromTheAcceptOn) {
    scene one(patient_for(3s));
    one.tick_after(2s);
    one.stirs();
    one.tick_after(900ms);
    EXPECT_FALSE(one.over());
    one.tick_after(100ms);
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.seen(), "");
}

TEST(Layered, AHandshakeEndsWithTheAppsShare) {
    scene one;
    one.stirs();
    one.drain(1s, 3s);
    one.tick_after(3s);
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.account().began, 0U) << "it is no request";
}

TEST(Layered, ADoneHandshakeDoesNotMoveTheDeadlineOfTheFirstHead) {
    scene one(patient_for(3s));
    one.tick_after(2s);
    one.shakes_hands();
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
}

TEST(Layered, WhoHasJustShakenHandsHasASecondForTheFirstRequest) {
    scene one;
    one.drain(0s, 10s);
    one.shakes_hands();
    one.tick_after(900ms);
    EXPECT_FALSE(one.over());
    one.tick_after(100ms);
    EXPECT_TRUE(one.over());
    EXPECT_TRUE(one.said_farewell());
}

TEST(Layered, WhoHasShakenHandsLongAgoHasTheIdleGrace) {
    scene one;
    one.shakes_hands();
    one.tick_after(2s);
    one.drain(0s, 10s);
    one.tick();
    EXPECT_TRUE(one.over());
}

// ── part of a record ────────────────────────────────────────────────────────────────────────────

TEST(Layered, ARecordThatIsNotWholeKeepsAnIdleConnection) {
    scene one;
    one.shakes_hands();
    one.send(ask());
    one.drain(1s, 20s);
    one.stirs();
    one.tick_after(5s);
    EXPECT_FALSE(one.over());
    one.send(ask());
    EXPECT_EQ(one.answers(), 2U);
}

TEST(Layered, ARecordThatIsNotWholeHasAsLongAsAHead) {
    scene one(patient_for(3s));
    one.shakes_hands();
    one.send(ask());
    one.tick_after(10s);
    one.stirs();
    one.tick_after(2s);
    one.stirs();  // another byte moves nothing
    EXPECT_FALSE(one.over());
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
}

// ── the good-bye ────────────────────────────────────────────────────────────────────────────────

TEST(Layered, AGoodByeGoesBeforeTheFinOfALastAnswer) {
    scene one;
    one.shakes_hands();
    one.send(ask("Connection: close\r\n"));
    EXPECT_TRUE(one.said_farewell());
    EXPECT_TRUE(one.over());
}

TEST(Layered, AnIdleConnectionThatIsClosedHearsOne) {
    scene one;
    one.shakes_hands();
    one.send(ask());
    one.drain(1s, 10s);
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
    EXPECT_TRUE(one.said_farewell());
}

TEST(Layered, AGoodByeThatFindsNoRoomWaitsForIt) {
    scene one(reads(60));  // less than an answer
    one.shakes_hands();
    one.send(ask("Connection: close\r\n"));
    while (one.answers() == 0 || !one.said_farewell()) {
        ASSERT_FALSE(one.over());
        ASSERT_FALSE(one.finished());
        one.client_reads();
    }
    EXPECT_TRUE(one.over());
}

TEST(Layered, WhoNeverReadsIsNotWaitedForToHearIt) {
    scene one(reads(60));
    one.shakes_hands();
    one.send(ask("Connection: close\r\n"));
    one.tick_after(31s);
    EXPECT_TRUE(one.over());
    EXPECT_FALSE(one.said_farewell());
}

TEST(Layered, WithoutALayerThereIsNone) {
    scene one;
    one.send(ask("Connection: close\r\n"));
    EXPECT_FALSE(one.said_farewell());
    EXPECT_TRUE(one.over());
}

// ── who comes in a stop ─────────────────────────────────────────────────────────────────────────

TEST(Layered, ANewcomerOfTheLameDuckHearsOfItOnlyNearItsEnd) {
    scene one{in_a_stop()};
    one.shakes_hands();
    one.send(ask());
    EXPECT_EQ(one.status(), 200);
    EXPECT_FALSE(one.says_close());
    EXPECT_FALSE(one.over());
    one.part();
    one.send(ask());
    EXPECT_TRUE(one.says_close());
}

TEST(Layered, WhoWasThereBeforeHearsOfItAtOnce) {
    scene one;
    one.shakes_hands();
    one.stop();
    one.send(ask());
    EXPECT_TRUE(one.says_close());
}

TEST(Layered, ANewcomerInClearHearsOfItAtOnce) {
    scene one{in_a_stop()};
    one.send(ask());
    EXPECT_TRUE(one.says_close());
}

TEST(Layered, ANewcomerOfAStopThatWasLeftIsNoneOfTheNext) {
    scene one{in_a_stop()};
    one.shakes_hands();
    one.stop();  // another one
    one.send(ask());
    EXPECT_TRUE(one.says_close());
}

}  // namespace
