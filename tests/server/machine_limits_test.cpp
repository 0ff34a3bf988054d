// The rows of docs/limits.md: what one client can take, and what ends it. No socket, no clock.

#include <gtest/gtest.h>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;
using server::connection_state;

// ── time ────────────────────────────────────────────────────────────────────────────────────────

TEST(LimitOf, AFirstHeadIs408AndSilenceIsASilentClose) {
    scene begun, silent;
    begun.send("G");
    begun.tick_after(9'990ms);
    silent.tick_after(9'990ms);
    EXPECT_FALSE(begun.over() || silent.over());
    begun.tick_after(10ms);
    silent.tick_after(10ms);
    EXPECT_EQ(begun.status(), 408);
    EXPECT_TRUE(silent.over());
    EXPECT_EQ(silent.seen(), "");
}

TEST(LimitOf, ALaterHeadHasItsTimeFromItsFirstByteAndNoByteMovesIt) {
    scene scene;
    scene.send(ask());
    scene.tick_after(20s);
    scene.send("G");
    for (int bytes = 0; bytes < 9; ++bytes) {
        scene.tick_after(1s);
        scene.send("E");
    }
    EXPECT_EQ(scene.status(), 200);
    scene.tick_after(1s);
    EXPECT_EQ(scene.status(), 408);
}

TEST(LimitOf, ABodyIs408AtItsTime) {
    scene scene;
    scene.send(post(5, ""));
    scene.tick_after(29'990ms);
    EXPECT_EQ(scene.answers(), 0U);
    scene.tick_after(10ms);
    EXPECT_EQ(scene.status(), 408);
}

TEST(LimitOf, WhatIsThereAtTheDeadlineIsLookedAtOnceMore) {
    scene scene;
    scene.send(post(5, "hell"));
    scene.arrives("o");
    scene.tick_after(30s);
    EXPECT_EQ(scene.status(), 200);
}

TEST(LimitOf, ABodyThatIsTooSlowAfterItsGraceIs408AndAFastEnoughOneIsNot) {
    server::options limits;
    limits.data_rate_grace = 5s;
    scene slow(limits), fast(limits);
    slow.send(post(100'000, std::string(500, 'y')));
    fast.send(post(100'000, std::string(2'000, 'y')));
    slow.tick_after(5s);
    fast.tick_after(5s);
    EXPECT_EQ(slow.status(), 408);
    EXPECT_EQ(fast.answers(), 0U);
}

TEST(LimitOf, AReaderThatTakesNothingIsCutAndOneThatTakesEnoughIsNot) {
    scene slow(reads(1'000)), fast(reads(6'000));
    slow.send(ask(), std::string(100'000, 'x'));
    fast.send(ask(), std::string(100'000, 'x'));
    fast.client_reads();
    slow.tick_after(30s);
    fast.tick_after(30s);
    EXPECT_TRUE(slow.reset());
    EXPECT_EQ(slow.account().gone, 1U);
    EXPECT_FALSE(fast.over());
}

TEST(LimitOf, WhoSendsARefusedBodyMayGoOnForAsLongAsABodyMayTake) {
    scene scene;
    scene.send(post(2'000'000, ""));
    EXPECT_EQ(scene.status(), 413);
    for (int bytes = 0; bytes < 59; ++bytes) {
        scene.tick_after(500ms);
        scene.send("y");
        EXPECT_FALSE(scene.over()) << bytes;
    }
    scene.tick_after(500ms);
    EXPECT_TRUE(scene.over());
}

TEST(LimitOf, WhoIsSilentAfterARefusalIsClosedAfterASecond) {
    scene scene;
    scene.send(post(2'000'000, ""));
    scene.tick_after(1s);
    EXPECT_TRUE(scene.over());
    EXPECT_FALSE(scene.reset());
}

TEST(LimitOf, AnIdleConnectionIsASilentCloseWithinFiveSecondsOfItsTime) {
    scene scene;
    scene.send(ask());
    scene.tick_after(119'990ms);
    EXPECT_FALSE(scene.over());
    scene.tick_after(5'010ms);
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.answers(), 1U);
}

TEST(LimitOf, AHandlerIs504AndOneThatDoesNotReturnIsAnsweredFor) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.tick_after(30s);
    EXPECT_TRUE(scene.told());
    scene.tick_after(99ms);
    EXPECT_EQ(scene.seen(), "");
    scene.tick_after(1ms);
    EXPECT_EQ(scene.status(), 504);
    EXPECT_TRUE(scene.named() && scene.finished());
    scene.reply();
    EXPECT_TRUE(scene.over());
}

// ── number and size ─────────────────────────────────────────────────────────────────────────────

TEST(LimitOf, RequestsInHandlersIs503WithRetryAfter) {
    server::options limits;
    limits.max_in_flight = 0;
    scene scene(limits);
    scene.send(ask());
    EXPECT_EQ(scene.status(), 503);
    EXPECT_NE(scene.seen().find("Retry-After: 1\r\n"), std::string::npos);
    EXPECT_EQ(scene.calls(), 0);
    EXPECT_EQ(scene.refused(), 1);
}

TEST(LimitOf, ABodyIsNotAskedForThatFindsNoPlace) {
    server::options limits;
    limits.max_in_flight = 0;
    scene scene(limits);
    scene.send(post(100, "", "Expect: 100-continue\r\n"));
    EXPECT_EQ(scene.status(), 503);
    EXPECT_TRUE(scene.says_close());
    EXPECT_EQ(scene.answers(), 1U) << "no 100 Continue";
}

TEST(LimitOf, RequestsOfAConnectionEndsWithWhatHadComeByThen) {
    server::options limits;
    limits.max_requests = 2;
    scene scene(limits);
    scene.send(ask() + ask() + ask());
    EXPECT_EQ(scene.answers(), 3U);
    EXPECT_TRUE(scene.says_close());
    scene.client_finishes();
    EXPECT_TRUE(scene.over());
}

TEST(LimitOf, HeadTargetAndFieldsAre431And414) {
    scene head, target, fields;
    head.send(ask("X: " + std::string(16'384, 'y') + "\r\n"));
    target.send("GET /" + std::string(8'192, 'y') + " HTTP/1.1\r\nHost: a\r\n\r\n");
    std::string many;
    for (int nth = 0; nth < 100; ++nth) many += "X: y\r\n";
    fields.send(ask(many));
    EXPECT_EQ(head.status(), 431);
    EXPECT_EQ(target.status(), 414);
    EXPECT_EQ(fields.status(), 431);
}

TEST(LimitOf, ABodyThatIsTooLargeIs413BeforeItHasCome) {
    scene announced, chunked;
    announced.send(post(1024 * 1024 + 1, ""));
    chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n");
    EXPECT_EQ(announced.status(), 413);
    EXPECT_EQ(chunked.status(), 413);
}

TEST(LimitOf, ExtensionsAndTrailersAre400) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    scene extension, trailers;
    extension.send(head + "1;" + std::string(1'025, 'e') + "\r\n");
    trailers.send(head + "0\r\nT: " + std::string(8'192, 't') + "\r\n\r\n");
    EXPECT_EQ(extension.status(), 400);
    EXPECT_EQ(trailers.status(), 400);
}

TEST(LimitOf, WhatIsPipelinedBehindARequestStaysInTheKernelUntilItsTurn) {
    server::options limits;
    limits.max_pipelined_bytes = 64;
    scene scene(limits);
    scene.holds_handlers = true;
    scene.send(ask() + std::string(10'000, 'x'));
    EXPECT_GT(scene.unread(), 9'900U);
}

// ── memory ──────────────────────────────────────────────────────────────────────────────────────

TEST(LimitOf, AQuietConnectionOwnsNoBufferAfterASecondAndNeitherDoesOneThatLingers) {
    scene quiet, lingers;
    quiet.send(ask());
    EXPECT_FALSE(quiet.rests());
    quiet.tick_after(1'001ms);
    EXPECT_TRUE(quiet.rests());
    quiet.send(ask());
    EXPECT_EQ(quiet.answers(), 2U);
    lingers.send(ask("Connection: close\r\n"));
    lingers.send("x");
    EXPECT_TRUE(lingers.over() || lingers.rests());
}

TEST(LimitOf, AStreamIsAskedForItsNextPieceWhenTheLastIsInTheSocket) {
    scene scene(reads(1'000));
    scene.holds_handlers = true;
    scene.send(ask());
    scene.stream();
    scene.piece(60'000);
    EXPECT_FALSE(scene.asked()) << "the client has not read";
    for (int turns = 0; turns < 60; ++turns) scene.client_reads();
    EXPECT_TRUE(scene.asked());
    scene.piece(0);
    EXPECT_EQ(scene.seen().substr(scene.seen().size() - 5), "0\r\n\r\n");
    EXPECT_EQ(scene.state(), connection_state::idle);
}

TEST(LimitOf, APieceInChunksIsAWindowTogetherWithWhatIsAroundIt) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask());
    scene.stream();
    const auto before = scene.seen().size();
    scene.piece(1 << 20);  // as much as there is room for
    EXPECT_EQ(scene.seen().size() - before, server::response::window) << "whole records of TLS";
    scene.piece(0);
}

// ── connections above a limit ───────────────────────────────────────────────────────────────────

TEST(LimitOf, ConnectionsIsNotForAProbeWhichIsAnsweredAndThenClosed) {
    scene scene(server::rule::max_connections);
    scene.send("GET /probe HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
}

TEST(LimitOf, ConnectionsIs503ForEverythingElseAndCloses) {
    for (const auto& asks : {ask(), post(5, ""), post(5, "hello"), std::string("GET /none HTTP/1.1\r\nHost: a\r\n\r\n"),
                             post(5, "", "Expect: 100-continue\r\n")}) {
        scene scene(server::rule::max_connections_per_client);
        scene.send(asks);
        EXPECT_EQ(scene.status(), 503) << asks;
        EXPECT_EQ(scene.answers(), 1U) << asks;
        EXPECT_TRUE(scene.says_close()) << asks;
        EXPECT_NE(scene.seen().find("Retry-After: 1"), std::string::npos) << asks;
    }
}

TEST(LimitOf, ConnectionsGivesAHeadASecond) {
    scene begun(server::rule::max_connections), silent(server::rule::max_connections);
    begun.send("G");
    begun.tick_after(990ms);
    silent.tick_after(990ms);
    EXPECT_FALSE(begun.over() || silent.over());
    begun.tick_after(10ms);
    silent.tick_after(10ms);
    EXPECT_EQ(begun.status(), 408);
    EXPECT_TRUE(silent.over());
}

// ── streams of events ───────────────────────────────────────────────────────────────────────────

TEST(LimitOf, AStreamOfEventsIsNoDeadlineOfARequestOrOfAWrite) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask_for("/ticks"));
    scene.stream_events();
    scene.tick_after(24h);
    EXPECT_FALSE(scene.over());
    EXPECT_FALSE(scene.context().done());
    scene.say("data: 1\n\n");
    EXPECT_TRUE(scene.seen().ends_with("data: 1\n\n\r\n"));
}

TEST(LimitOf, AStreamOfEventsWhoseReaderTakesNothingIsCut) {
    scene scene(reads(500));
    scene.holds_handlers = true;
    scene.send(ask_for("/ticks"));
    scene.stream_events();
    scene.say("data: " + std::string(1'000, 'x') + "\n\n");
    scene.tick_after(30s);
    EXPECT_TRUE(scene.reset());
    EXPECT_EQ(scene.account().gone, 1U);
}

TEST(LimitOf, AStreamOfEventsEndsWithItsClientWhileItIsSilent) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask_for("/ticks"));
    scene.stream_events();
    scene.client_goes();
    EXPECT_EQ(scene.context().why(), lifecycle::cause::client_gone);
    scene.say("");
    EXPECT_TRUE(scene.over());
    EXPECT_EQ(scene.account().gone, 1U);
}

TEST(LimitOf, ARequestForAStreamOfEventsIsNeverMetByAnotherStatusThan200) {
    scene above(server::rule::max_connections), crowded, thrown;
    above.send(ask_for("/ticks"));
    crowded.place().in_flight = 1'000;
    crowded.send(ask_for("/ticks"));
    thrown.holds_handlers = true;
    thrown.send(ask_for("/ticks"));
    thrown.throw_out();
    for (auto* each : {&above, &crowded, &thrown}) {
        EXPECT_EQ(each->status(), 200);
        EXPECT_NE(each->seen().find("\r\n\r\nretry: "), std::string::npos) << each->seen();
        EXPECT_TRUE(each->says_close());
    }
    crowded.place().in_flight = 0;
}

}  // namespace
