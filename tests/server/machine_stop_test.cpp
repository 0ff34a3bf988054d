// The rows of "Each kind of connection" in docs/shutdown.md, in their order: a state, and what lame duck, drain and the
// end of the app's share make of it. No socket, no clock.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;

// ── fresh ───────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AFreshConnectionStaysInTheLameDuckAndIsServed) {
    scene scene;
    scene.stop();
    scene.tick();
    scene.send(ask());
    EXPECT_EQ(scene.answers(), 1U);
    EXPECT_TRUE(scene.says_close());
}

TEST(StopOf, AFreshConnectionHasTheIdleGraceForARequest) {
    scene scene;
    scene.drain(1s, 10s);
    scene.tick_after(900ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(100ms);
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.seen(), "");
}

TEST(StopOf, AFreshConnectionIsLookedAtAndClosedWhenTheAppGivesUp) {
    scene scene;
    scene.drain(10s, 1s);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
}

TEST(StopOf, WhatCameBeforeTheLookIsServed) {
    scene scene;
    scene.drain(1s, 10s);
    scene.arrives(ask());
    scene.tick_after(1s);
    EXPECT_EQ(scene.answers(), 1U);
}

// ── idle ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AnIdleConnectionStaysAndItsNextAnswerSaysClose) {
    scene scene;
    scene.send(ask());
    EXPECT_FALSE(scene.says_close());
    scene.stop();
    scene.tick();
    EXPECT_FALSE(scene.over());
    scene.send(ask());
    EXPECT_TRUE(scene.says_close());
}

TEST(StopOf, AnIdleConnectionIsClosedAfterTheIdleGrace) {
    scene scene;
    scene.send(ask());
    scene.drain(1s, 10s);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.answers(), 1U);
}

// ── head ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AHeadIsReadOnAndAnswered) {
    scene scene;
    scene.send("GET / HT");
    scene.drain(0s, 10s);
    scene.tick_after(5s);
    scene.send("TP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
}

TEST(StopOf, AHeadIs408AtItsOwnDeadlineAlsoInADrain) {
    scene scene;
    scene.send("GET / HT");
    scene.drain(0s, 60s);
    scene.tick_after(10s);
    EXPECT_EQ(scene.status(), 408);
    EXPECT_EQ(scene.account().cut, 0U);
}

TEST(StopOf, AHeadIs408WhenTheAppGivesUp) {
    scene scene;
    scene.send("GET / HT");
    scene.drain(0s, 1s);
    scene.tick_after(1s);
    EXPECT_EQ(scene.status(), 408);
    EXPECT_EQ(scene.account().cut, 1U);
}

// ── body ────────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, ABodyIsReadOnAndAnswered) {
    scene scene;
    scene.send(post(5, "he"));
    scene.drain(0s, 60s);
    scene.tick_after(20s);
    scene.send("llo");
    EXPECT_EQ(scene.status(), 200);
}

TEST(StopOf, ABodyIs408AtItsOwnDeadlineAndWhenTheAppGivesUp) {
    for (const auto over : {60s, 1s}) {
        scene scene;
        scene.send(post(5, "he"));
        scene.drain(0s, over);
        scene.tick_after(std::min<clock::duration>(over, 30s));
        EXPECT_EQ(scene.status(), 408);
        EXPECT_EQ(scene.account().cut, over == 1s ? 1U : 0U);
    }
}

TEST(StopOf, ABodyThatHasNotBegunIs408WhenTheAppGivesUpAndCutsNothing) {
    for (const auto* expects : {"", "Expect: 100-continue\r\n"}) {
        scene scene;
        scene.send(post(5, "", expects));
        scene.drain(0s, 1s);
        scene.tick_after(1s);
        EXPECT_EQ(scene.status(), 408) << expects;
        EXPECT_TRUE(scene.says_close()) << expects;
        scene.client_finishes();
        EXPECT_TRUE(scene.over()) << expects;
        EXPECT_EQ(scene.account().cut, 0U) << expects;
        EXPECT_EQ(scene.account().finished, 1U) << expects;
    }
}

// ── handling ────────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, AHandlerRunsThroughTheDrainAndItsAnswerSaysClose) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.drain(0s, 20s);
    scene.tick_after(10s);
    scene.reply();
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
}

TEST(StopOf, AHandlerIs504AtItsDeadlineAlsoInADrain) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.drain(0s, 60s);
    scene.tick_after(30s);
    scene.reply();
    EXPECT_EQ(scene.status(), 504);
}

TEST(StopOf, AHandlerIsToldAndThenAnsweredForWhenTheAppGivesUp) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.drain(0s, 1s);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.told());
    EXPECT_EQ(scene.seen(), "");
    scene.tick();
    EXPECT_EQ(scene.status(), 503);
    EXPECT_FALSE(scene.over()) << "what its handler reads is kept until it returns";
    scene.reply();
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.answers(), 1U);
    EXPECT_EQ(scene.account().cut, 1U);
}

// ── writing, streaming ──────────────────────────────────────────────────────────────────────────

TEST(StopOf, AnAnswerGoesOnWhileItsReaderMakesProgress) {
    scene scene(reads(6'000));
    scene.send(ask(), std::string(100'000, 'x'));
    scene.drain(0s, 300s);
    for (int turns = 0; turns < 6; ++turns) {
        scene.client_reads();
        scene.tick_after(29s);
    }
    EXPECT_FALSE(scene.over());
    scene.tick_after(31s);
    EXPECT_TRUE(scene.reset()) << "nothing has been read for a whole write timeout";
}

TEST(StopOf, AnAnswerIsCutByAResetWhenTheAppGivesUp) {
    scene scene(reads(1'000));
    scene.send(ask(), std::string(100'000, 'x'));
    scene.drain(0s, 1s);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.reset());
    EXPECT_EQ(scene.account().cut, 1U);
}

TEST(StopOf, ASourceThatStandsStillWhenTheAppGivesUpIsNamed) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.stream();
    scene.drain(0s, 1s);
    scene.tick_after(1s);
    EXPECT_FALSE(scene.named());
    scene.tick();
    EXPECT_TRUE(scene.named());
    scene.piece(10);
    EXPECT_TRUE(scene.reset());
    EXPECT_NE(scene.seen().find("response cut"), std::string::npos);
}

// ── lingering ───────────────────────────────────────────────────────────────────────────────────

TEST(StopOf, WhoLingersIsReadToItsEnd) {
    scene scene;
    scene.stop();
    scene.send(ask());
    EXPECT_TRUE(scene.finished());
    scene.send("more");
    scene.client_finishes();
    EXPECT_TRUE(scene.over());
    EXPECT_FALSE(scene.reset());
}

TEST(StopOf, WhoLingersIsClosedAfterASecondWithoutAByte) {
    scene scene;
    scene.stop();
    scene.send(ask());
    scene.tick_after(990ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(10ms);
    EXPECT_TRUE(scene.over());
}

TEST(StopOf, WhoLingersAndHasAcknowledgedAllIsClosedSoonInADrain) {
    scene scene;
    scene.drain(0s, 10s);
    scene.send(ask());
    scene.tick_after(20ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(20ms);
    EXPECT_TRUE(scene.over());
}

// ── and with all of them ────────────────────────────────────────────────────────────────────────

TEST(StopOf, APipelineIsAnsweredToItsEndAndOnlyTheLastSaysClose) {
    scene scene;
    scene.stop();
    scene.send(ask() + ask() + ask());
    EXPECT_EQ(scene.answers(), 3U);
    EXPECT_EQ(scene.seen().find("Connection: close"), scene.seen().rfind("Connection: close"));
    EXPECT_GT(scene.seen().find("Connection: close"), scene.seen().rfind("HTTP/1.1 200"));
}

TEST(StopOf, WhatHasComeAndIsNotReadYetIsLookedForBeforeCloseIsSaid) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.stop();
    scene.arrives(ask());
    scene.reply();
    EXPECT_FALSE(scene.says_close());
    scene.settle();
    scene.reply();
    EXPECT_TRUE(scene.says_close());
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
    scene scene;
    scene.holds_handlers = true;
    scene.stop();
    scene.send(ask_for("/ticks"));
    scene.stream_events();
    scene.tick_after(5s);
    EXPECT_FALSE(scene.told_of_drain());
    scene.say("data: 1\n\n");
    EXPECT_NE(scene.seen().find("data: 1\n\n"), std::string::npos);
    EXPECT_FALSE(scene.over());
}

TEST(StopOf, AStreamOfEventsSaysItsLastWordEndsWholeAndItsConnectionCloses) {
    told_stream told_stream;
    told_stream.say("event: bye\ndata: 1\n\n");
    told_stream.say("");
    EXPECT_TRUE(told_stream.seen().ends_with("event: bye\ndata: 1\n\n\r\n0\r\n\r\n")) << told_stream.seen();
    EXPECT_TRUE(told_stream.finished());
    EXPECT_FALSE(told_stream.reset());
    EXPECT_EQ(told_stream.account().told, 1U);
    EXPECT_EQ(told_stream.account().ended, 1U);
    EXPECT_EQ(told_stream.account().finished, 1U);
}

TEST(StopOf, AStreamOfEventsForHttp10EndsByAFinWhenItIsWhole) {
    told_stream told_stream("1.0");
    told_stream.say("");
    EXPECT_TRUE(told_stream.finished());
    EXPECT_FALSE(told_stream.reset());
}

TEST(StopOf, AStreamThatDoesNotEndIsEndedWholeAfterTheIdleGrace) {
    told_stream told_stream;
    told_stream.say("data: 1\n\n");
    told_stream.tick_after(490ms);
    EXPECT_FALSE(told_stream.finished());
    told_stream.tick_after(10ms);
    EXPECT_TRUE(told_stream.context().done()) << "its source is told once more";
    told_stream.say("data: 2\n\n");
    EXPECT_TRUE(told_stream.seen().ends_with("data: 2\n\n\r\n0\r\n\r\n")) << told_stream.seen();
    EXPECT_EQ(told_stream.account().ended_by_us, 1U);
    EXPECT_FALSE(told_stream.reset());
}

TEST(StopOf, AStreamWhoseSourceDoesNotReturnIsCutWhenTheAppGivesUp) {
    told_stream told_stream;
    told_stream.tick_after(9'500ms);
    EXPECT_FALSE(told_stream.over());
    told_stream.say("");
    EXPECT_TRUE(told_stream.reset());
    EXPECT_EQ(told_stream.account().cut_stream, 1U);
    EXPECT_EQ(told_stream.account().cut, 1U);
}

/// ... and its client has taken nothing since its first event, which does not fit.
struct unread_stream : scene {
    explicit unread_stream(std::string_view version = "1.1") : scene(reads(500)) {
        holds_handlers = true;
        send(ask_for("/ticks", version));
        stream_events();
        say("data: " + std::string(1'000, 'x') + "\n\n");
        EXPECT_FALSE(asked()) << "the client has not read";
        drain(1s, 10s);
        tick_after(500ms);
        EXPECT_TRUE(told_of_drain());
    }
};

TEST(StopOf, AStreamWhoseEndNobodyReadsIsCutByAResetASecondAfterTheIdleGrace) {
    for (const auto* version : {"1.0", "1.1"}) {
        unread_stream unread(version);
        unread.tick_after(500ms);
        EXPECT_TRUE(unread.context().done()) << "its source is told once more";
        unread.tick_after(990ms);
        EXPECT_FALSE(unread.over());
        unread.tick_after(10ms);
        EXPECT_TRUE(unread.reset()) << version;
        EXPECT_EQ(unread.account().cut, 0U) << "it is its client that does not read";
        EXPECT_EQ(unread.account().gone, 1U);
        EXPECT_EQ(unread.account().cut_stream, 1U);
        EXPECT_EQ(unread.account().ended_by_us, 0U);
    }
}

TEST(StopOf, AClientThatReadsTheEndOfAStreamWithinThatSecondHasAllOfIt) {
    unread_stream late;
    late.tick_after(500ms);
    late.tick_after(990ms);
    for (int turns = 0; turns < 3; ++turns) late.client_reads();
    EXPECT_TRUE(late.seen().ends_with("x\n\n\r\n0\r\n\r\n")) << late.seen();
    EXPECT_TRUE(late.finished());
    EXPECT_FALSE(late.reset());
    EXPECT_EQ(late.account().finished, 1U);
    EXPECT_EQ(late.account().ended_by_us, 1U);
}

TEST(StopOf, AStreamThatEndsByItselfLaterHasASecondFromThen) {
    told_stream measured;  // how much is sent before the end
    measured.say("event: bye\ndata: 1\n\n");
    scene scene(reads(measured.seen().size() + 1));
    scene.holds_handlers = true;
    scene.send(ask_for("/ticks"));
    scene.stream_events();
    scene.drain(1s, 10s);
    scene.tick_after(500ms);
    scene.say("event: bye\ndata: 1\n\n");
    scene.tick_after(2'500ms);
    EXPECT_TRUE(scene.asked()) << "by a source that takes its time";
    scene.say("");
    scene.tick_after(990ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(10ms);
    EXPECT_TRUE(scene.reset());
    EXPECT_EQ(scene.account().gone, 1U);
    EXPECT_EQ(scene.account().ended, 0U);
    EXPECT_EQ(scene.account().cut_stream, 1U);
}

TEST(StopOf, AStreamWhoseClientResetsItInTheDrainIsNotCutByUs) {
    unread_stream left;
    left.client_goes();
    EXPECT_TRUE(left.over());
    EXPECT_EQ(left.account().gone, 1U);
    EXPECT_EQ(left.account().cut_stream, 0U);
}

TEST(StopOf, AnAnswerThatIsNoStreamIsWaitedForAlsoOnARouteThatIsTold) {
    scene scene(reads(1'000));
    scene.holds_handlers = true;
    scene.send(ask_for("/poll"));
    scene.drain(1s, 20s);
    scene.tick_after(10ms);
    scene.reply(server::response(server::http::status::ok, std::string(100'000, 'x')));
    scene.tick_after(19s);
    EXPECT_FALSE(scene.over());
    scene.tick_after(1s);
    EXPECT_TRUE(scene.reset());
    EXPECT_EQ(scene.account().cut, 1U);
}

/// On a route that is told, answered in pieces, with a length that is promised or none; the drain has begun.
struct told_download : scene {
    static constexpr std::uint64_t all = 3'000;  // the first five are there at once
    explicit told_download(bool promised, std::size_t room = std::string::npos) : scene(reads(room)) {
        holds_handlers = true;
        send(ask_for("/poll"));
        stream(promised ? std::optional(all) : std::nullopt);
        drain(1s, 20s);
        tick_after(500ms);
        EXPECT_TRUE(told_of_drain());
    }
    /// Its source gives what is left, and a client that reads takes it.
    void go_on() {
        for (auto left = all - 5; asked();) {
            const auto next = std::min<std::uint64_t>(left, 500);
            left -= next;
            piece(next);
            for (int turns = 0; turns < 5; ++turns) client_reads();
        }
    }
    std::size_t count() const { return static_cast<std::size_t>(std::count(seen().begin(), seen().end(), 'x')); }
};

TEST(StopOf, AnAnswerThatIsNoStreamOfTextsIsNeverEndedByUsBeforeItIsWhole) {
    for (const bool promised : {true, false}) {
        told_download download(promised, 1'000);
        download.tick_after(500ms);
        EXPECT_FALSE(download.context().done()) << "it has until the app gives up";
        download.tick_after(5s);
        download.go_on();
        EXPECT_EQ(download.count(), told_download::all - 5) << promised;
        EXPECT_TRUE(download.finished()) << promised;
        download.client_finishes();
        EXPECT_FALSE(download.reset()) << promised;
        EXPECT_EQ(download.account().finished, 1U);
        EXPECT_EQ(download.account().told, 1U);
        EXPECT_EQ(download.account().ended, 1U);
        EXPECT_EQ(download.account().ended_by_us, 0U);
    }
}

TEST(StopOf, OneWhoseSourceDoesNotEndIsCutVisiblyWhenTheAppGivesUp) {
    for (const bool promised : {true, false}) {
        told_download download(promised);
        download.tick_after(500ms);
        download.piece(10);
        EXPECT_FALSE(download.finished()) << promised;
        download.tick_after(19s);
        download.piece(10);
        EXPECT_TRUE(download.reset()) << promised;
        EXPECT_EQ(download.seen().find("\r\n0\r\n\r\n"), std::string::npos) << promised;
        EXPECT_EQ(download.account().cut, 1U);
    }
}

TEST(StopOf, TheLastOfItIsWaitedForLikeThatOfAnyAnswer) {
    told_download measured(false);  // how much is sent before the end
    measured.piece(500);
    told_download download(false, measured.seen().size() + 1);
    download.piece(500);
    download.piece(0);
    download.tick_after(500ms);
    download.tick_after(5s);
    EXPECT_FALSE(download.over()) << "the end of it does not fit, and its client has not read";
    download.client_reads();
    EXPECT_TRUE(download.seen().ends_with("x\r\n0\r\n\r\n"));
    EXPECT_TRUE(download.finished());
    download.client_finishes();
    EXPECT_FALSE(download.reset());
    EXPECT_EQ(download.account().finished, 1U);
}

TEST(StopOf, ARequestForAStreamInTheDrainIs200WithAStreamThatHoldsNothingAndCloses) {
    scene scene;
    scene.drain(1s, 10s);
    scene.send(ask_for("/ticks"));
    EXPECT_EQ(scene.status(), 200);
    EXPECT_NE(scene.seen().find("\r\n\r\nretry: "), std::string::npos) << scene.seen();
    EXPECT_TRUE(scene.says_close());
    EXPECT_EQ(scene.calls(), 0);
}

TEST(StopOf, ARequestForAStreamThatIsNotWholeAtTheEndIsAnsweredByOneThatHoldsNothing) {
    scene scene;
    scene.send("GET /ticks HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    scene.drain(0s, 1s);
    scene.tick_after(1s);
    EXPECT_EQ(scene.status(), 200);
    EXPECT_NE(scene.seen().find("\r\n\r\nretry: "), std::string::npos) << scene.seen();
    EXPECT_TRUE(scene.says_close());
    EXPECT_EQ(scene.account().cut, 1U);
}

TEST(StopOf, ALongPollIsToldAtOnceAndItsAnswerIsServed) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask_for("/poll"));
    scene.drain(1s, 10s);
    scene.tick_after(10ms);
    EXPECT_TRUE(scene.told_of_drain());
    EXPECT_FALSE(scene.context().done()) << "it may still look for what it says";
    EXPECT_NE(server::left_to_say(scene.context()), clock::duration::max());
    scene.reply();
    EXPECT_EQ(scene.status(), 200);
    EXPECT_EQ(scene.account().finished, 1U);
}

TEST(StopOf, ARouteThatEndsHasItsContextEndedInTheDrain) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask_for("/feed"));
    scene.drain(1s, 10s);
    scene.tick_after(10ms);
    EXPECT_EQ(scene.context().why(), lifecycle::cause::shutdown);
    scene.reply();
    EXPECT_EQ(scene.status(), 200) << "what it still answers is served";
}

TEST(StopOf, ARequestThatFinishesIsNotTold) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.drain(1s, 10s);
    scene.tick_after(900ms);
    EXPECT_FALSE(scene.told_of_drain());
    scene.reply();
}

// ── the hint for an Envoy ───────────────────────────────────────────────────────────────────────

constexpr const char* hint = "\r\nx-envoy-immediate-health-check-fail: true\r\n";

std::size_t hints(const scene& scene) {
    std::size_t count = 0;
    for (auto at = scene.seen().find(hint); at != std::string::npos; at = scene.seen().find(hint, at + 1)) ++count;
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
        scene scene(with_hint());
        scene.stop();
        scene.send(bytes);
        EXPECT_EQ(scene.answers(), 1U) << whose;
        EXPECT_EQ(hints(scene), 1U) << whose << ": " << scene.seen();
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
