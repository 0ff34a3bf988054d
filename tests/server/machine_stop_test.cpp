// The rows of "Each kind of connection" in docs/shutdown.md, in their order: a state, and what lame duck, drain and the
// end of the app's share make of it. No socket, no clock.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;

// ── fresh ───────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AFreshConnectionStaysInTheLameDuckAndIsServed) {
    scene one;
    one.stop();
    one.tick();
    one.send(ask());
    EXPECT_EQ(one.answers(), 1U);
    EXPECT_TRUE(one.says_close());
}

TEST(StopOf, AFreshConnectionHasTheIdleGraceForARequest) {
    scene one;
    one.drain(1s, 10s);
    one.tick_after(900ms);
    EXPECT_FALSE(one.over());
    one.tick_after(100ms);
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.seen(), "");
}

TEST(StopOf, AFreshConnectionIsLookedAtAndClosedWhenTheAppGivesUp) {
    scene one;
    one.drain(10s, 1s);
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
}

TEST(StopOf, WhatCameBeforeTheLookIsServed) {
    scene one;
    one.drain(1s, 10s);
    one.arrives(ask());
    one.tick_after(1s);
    EXPECT_EQ(one.answers(), 1U);
}

// ── idle ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AnIdleConnectionStaysAndItsNextAnswerSaysClose) {
    scene one;
    one.send(ask());
    EXPECT_FALSE(one.says_close());
    one.stop();
    one.tick();
    EXPECT_FALSE(one.over());
    one.send(ask());
    EXPECT_TRUE(one.says_close());
}

TEST(StopOf, AnIdleConnectionIsClosedAfterTheIdleGrace) {
    scene one;
    one.send(ask());
    one.drain(1s, 10s);
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.answers(), 1U);
}

// ── head ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AHeadIsReadOnAndAnswered) {
    scene one;
    one.send("GET / HT");
    one.drain(0s, 10s);
    one.tick_after(5s);
    one.send("TP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
}

TEST(StopOf, AHeadIs408AtItsOwnDeadlineAlsoInADrain) {
    scene one;
    one.send("GET / HT");
    one.drain(0s, 60s);
    one.tick_after(10s);
    EXPECT_EQ(one.status(), 408);
    EXPECT_EQ(one.account().cut, 0U);
}

TEST(StopOf, AHeadIs408WhenTheAppGivesUp) {
    scene one;
    one.send("GET / HT");
    one.drain(0s, 1s);
    one.tick_after(1s);
    EXPECT_EQ(one.status(), 408);
    EXPECT_EQ(one.account().cut, 1U);
}

// ── body ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, ABodyIsReadOnAndAnswered) {
    scene one;
    one.send(post(5, "he"));
    one.drain(0s, 60s);
    one.tick_after(20s);
    one.send("llo");
    EXPECT_EQ(one.status(), 200);
}

TEST(StopOf, ABodyIs408AtItsOwnDeadlineAndWhenTheAppGivesUp) {
    for (const auto over : {60s, 1s}) {
        scene one;
        one.send(post(5, "he"));
        one.drain(0s, over);
        one.tick_after(std::min<clock::duration>(over, 30s));
        EXPECT_EQ(one.status(), 408);
    }
}

// ── handling ────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AHandlerRunsThroughTheDrainAndItsAnswerSaysClose) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.drain(0s, 20s);
    one.tick_after(10s);
    one.reply();
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
}

TEST(StopOf, AHandlerIs504AtItsDeadlineAlsoInADrain) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.drain(0s, 60s);
    one.tick_after(30s);
    one.reply();
    EXPECT_EQ(one.status(), 504);
}

TEST(StopOf, AHandlerIsToldAndThenAnsweredForWhenTheAppGivesUp) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.drain(0s, 1s);
    one.tick_after(1s);
    EXPECT_TRUE(one.told());
    EXPECT_EQ(one.seen(), "");
    one.tick();
    EXPECT_EQ(one.status(), 503);
    EXPECT_FALSE(one.over()) << "what its handler reads is kept until it returns";
    one.reply();
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.answers(), 1U);
    EXPECT_EQ(one.account().cut, 1U);
}

// ── writing, streaming ──────────────────────────────────────────────────────────────────────────

TEST(StopOf, AnAnswerGoesOnWhileItsReaderMakesProgress) {
    scene one(reads(6'000));
    one.send(ask(), std::string(100'000, 'x'));
    one.drain(0s, 300s);
    for (int turns = 0; turns < 6; ++turns) {
        one.client_reads();
        one.tick_after(29s);
    }
    EXPECT_FALSE(one.over());
    one.tick_after(31s);
    EXPECT_TRUE(one.reset()) << "nothing has been read for a whole write timeout";
}

TEST(StopOf, AnAnswerIsCutByAResetWhenTheAppGivesUp) {
    scene one(reads(1'000));
    one.send(ask(), std::string(100'000, 'x'));
    one.drain(0s, 1s);
    one.tick_after(1s);
    EXPECT_TRUE(one.reset());
    EXPECT_EQ(one.account().cut, 1U);
}

TEST(StopOf, ASourceThatStandsStillWhenTheAppGivesUpIsNamed) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.stream();
    one.drain(0s, 1s);
    one.tick_after(1s);
    EXPECT_FALSE(one.named());
    one.tick();
    EXPECT_TRUE(one.named());
    one.piece(10);
    EXPECT_TRUE(one.reset());
    EXPECT_NE(one.seen().find("response cut"), std::string::npos);
}

// ── lingering ───────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, WhoLingersIsReadToItsEnd) {
    scene one;
    one.stop();
    one.send(ask());
    EXPECT_TRUE(one.finished());
    one.send("more");
    one.client_finishes();
    EXPECT_TRUE(one.over());
    EXPECT_FALSE(one.reset());
}

TEST(StopOf, WhoLingersIsClosedAfterASecondWithoutAByte) {
    scene one;
    one.stop();
    one.send(ask());
    one.tick_after(990ms);
    EXPECT_FALSE(one.over());
    one.tick_after(10ms);
    EXPECT_TRUE(one.over());
}

TEST(StopOf, WhoLingersAndHasAcknowledgedAllIsClosedSoonInADrain) {
    scene one;
    one.drain(0s, 10s);
    one.send(ask());
    one.tick_after(20ms);
    EXPECT_FALSE(one.over());
    one.tick_after(20ms);
    EXPECT_TRUE(one.over());
}

// ── and with all of them ────────────────────────────────────────────────────────────────────────

TEST(StopOf, APipelineIsAnsweredToItsEndAndOnlyTheLastSaysClose) {
    scene one;
    one.stop();
    one.send(ask() + ask() + ask());
    EXPECT_EQ(one.answers(), 3U);
    EXPECT_EQ(one.seen().find("Connection: close"), one.seen().rfind("Connection: close"));
    EXPECT_GT(one.seen().find("Connection: close"), one.seen().rfind("HTTP/1.1 200"));
}

TEST(StopOf, WhatHasComeAndIsNotReadYetIsLookedForBeforeCloseIsSaid) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.stop();
    one.arrives(ask());
    one.reply();
    EXPECT_FALSE(one.says_close());
    one.settle();
    one.reply();
    EXPECT_TRUE(one.says_close());
}

// ── streams of events, and others that are told ─────────────────────────────────────────────────

/// Told at some moment of the first half of the grace.
struct told_stream : scene {
    explicit told_stream(std::string_view version = "1.1") {
        holds_handlers = true;
        send(ask_for("/ticks", version));
        stream_events();
        drain(1s, 10s);
        tick_after(500ms);
        EXPECT_TRUE(told_of_drain());
    }
};

TEST(StopOf, AStreamOfEventsIsServedThroughTheLameDuck) {
    scene one;
    one.holds_handlers = true;
    one.stop();
    one.send(ask_for("/ticks"));
    one.stream_events();
    one.tick_after(5s);
    EXPECT_FALSE(one.told_of_drain());
    one.say("data: 1\n\n");
    EXPECT_NE(one.seen().find("data: 1\n\n"), std::string::npos);
    EXPECT_FALSE(one.over());
}

TEST(StopOf, AStreamOfEventsSaysItsLastWordEndsWholeAndItsConnectionCloses) {
    told_stream one;
    one.say("event: bye\ndata: 1\n\n");
    one.say("");
    EXPECT_TRUE(one.seen().ends_with("event: bye\ndata: 1\n\n\r\n0\r\n\r\n")) << one.seen();
    EXPECT_TRUE(one.finished());
    EXPECT_FALSE(one.reset());
    EXPECT_EQ(one.account().told, 1U);
    EXPECT_EQ(one.account().ended, 1U);
    EXPECT_EQ(one.account().finished, 1U);
}

TEST(StopOf, AStreamOfEventsForHttp10EndsByAFinWhenItIsWhole) {
    told_stream one("1.0");
    one.say("");
    EXPECT_TRUE(one.finished());
    EXPECT_FALSE(one.reset());
}

TEST(StopOf, AStreamThatDoesNotEndIsEndedWholeAfterTheIdleGrace) {
    told_stream one;
    one.say("data: 1\n\n");
    one.tick_after(490ms);
    EXPECT_FALSE(one.finished());
    one.tick_after(10ms);
    EXPECT_TRUE(one.context().done()) << "its source is told once more";
    one.say("data: 2\n\n");
    EXPECT_TRUE(one.seen().ends_with("data: 2\n\n\r\n0\r\n\r\n")) << one.seen();
    EXPECT_EQ(one.account().ended_by_us, 1U);
    EXPECT_FALSE(one.reset());
}

TEST(StopOf, AStreamWhoseSourceDoesNotReturnIsCutWhenTheAppGivesUp) {
    told_stream one;
    one.tick_after(9'500ms);
    EXPECT_FALSE(one.over());
    one.say("");
    EXPECT_TRUE(one.reset());
    EXPECT_EQ(one.account().cut_stream, 1U);
    EXPECT_EQ(one.account().cut, 1U);
}

TEST(StopOf, ARequestForAStreamInTheDrainIs200WithAStreamThatHoldsNothingAndCloses) {
    scene one;
    one.drain(1s, 10s);
    one.send(ask_for("/ticks"));
    EXPECT_EQ(one.status(), 200);
    EXPECT_NE(one.seen().find("\r\n\r\nretry: "), std::string::npos) << one.seen();
    EXPECT_TRUE(one.says_close());
    EXPECT_EQ(one.calls(), 0);
}

TEST(StopOf, ALongPollIsToldAtOnceAndItsAnswerIsServed) {
    scene one;
    one.holds_handlers = true;
    one.send(ask_for("/poll"));
    one.drain(1s, 10s);
    one.tick_after(10ms);
    EXPECT_TRUE(one.told_of_drain());
    EXPECT_FALSE(one.context().done()) << "it may still look for what it says";
    EXPECT_NE(server::left_to_say(one.context()), clock::duration::max());
    one.reply();
    EXPECT_EQ(one.status(), 200);
    EXPECT_EQ(one.account().finished, 1U);
}

TEST(StopOf, ARouteThatEndsHasItsContextEndedInTheDrain) {
    scene one;
    one.holds_handlers = true;
    one.send(ask_for("/feed"));
    one.drain(1s, 10s);
    one.tick_after(10ms);
    EXPECT_EQ(one.context().why(), lifecycle::cause::shutdown);
    one.reply();
    EXPECT_EQ(one.status(), 200) << "what it still answers is served";
}

TEST(StopOf, ARequestThatFinishesIsNotTold) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.drain(1s, 10s);
    one.tick_after(900ms);
    EXPECT_FALSE(one.told_of_drain());
    one.reply();
}

// ── the hint for an Envoy ───────────────────────────────────────────────────────────────────────

constexpr const char* hint = "\r\nx-envoy-immediate-health-check-fail: true\r\n";

std::size_t hints(const scene& one) {
    std::size_t count = 0;
    for (auto at = one.seen().find(hint); at != std::string::npos; at = one.seen().find(hint, at + 1)) ++count;
    return count;
}

server::options with_hint() {
    server::options limits;
    limits.envoy_hint = true;
    return limits;
}

TEST(EnvoyHint, IsSaidFromTheFirstMomentOfAStopByEachAnswer) {
    const std::vector<std::pair<const char*, std::string>> all = {
        {"a handler's", ask()},
        {"a probe's", "GET /probe HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"no route's", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"what is no request's", "nonsense\r\n\r\n"},
        {"a body's that is refused", post(1ULL << 40U, {})}};
    for (const auto& [whose, bytes] : all) {
        scene one(with_hint());
        one.stop();
        one.send(bytes);
        EXPECT_EQ(one.answers(), 1U) << whose;
        EXPECT_EQ(hints(one), 1U) << whose << ": " << one.seen();
    }
}

TEST(EnvoyHint, IsSaidOfARequestThatIsCutAtTheEndAndOfAHandlerThatIsAnsweredFor) {
    scene half(with_hint());
    half.send("GET / HT");
    half.drain(0s, 1s);
    half.tick_after(1s);
    EXPECT_EQ(half.status(), 408);
    EXPECT_EQ(hints(half), 1U);

    scene held(with_hint());
    held.holds_handlers = true;
    held.send(ask());
    held.drain(0s, 1s);
    held.tick_after(1s);
    held.tick_after(1s);
    EXPECT_EQ(held.status(), 503);
    EXPECT_EQ(hints(held), 1U);
}

TEST(EnvoyHint, IsNotSaidWhileItServesNorUnlessItIsAskedFor) {
    scene serving(with_hint());
    serving.send(ask());
    EXPECT_EQ(serving.answers(), 1U);
    EXPECT_EQ(hints(serving), 0U);

    scene unasked;
    unasked.stop();
    unasked.send(ask());
    EXPECT_EQ(unasked.answers(), 1U);
    EXPECT_EQ(hints(unasked), 0U);
}

}  // namespace
