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
    scene one;
    one.send(ask());
    one.tick_after(20s);
    one.send("G");
    for (int bytes = 0; bytes < 9; ++bytes) {
        one.tick_after(1s);
        one.send("E");
    }
    EXPECT_EQ(one.status(), 200);
    one.tick_after(1s);
    EXPECT_EQ(one.status(), 408);
}

TEST(LimitOf, ABodyIs408AtItsTime) {
    scene one;
    one.send(post(5, ""));
    one.tick_after(29'990ms);
    EXPECT_EQ(one.answers(), 0U);
    one.tick_after(10ms);
    EXPECT_EQ(one.status(), 408);
}

TEST(LimitOf, WhatIsThereAtTheDeadlineIsLookedAtOnceMore) {
    scene one;
    one.send(post(5, "hell"));
    one.arrives("o");
    one.tick_after(30s);
    EXPECT_EQ(one.status(), 200);
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
    scene one;
    one.send(post(2'000'000, ""));
    EXPECT_EQ(one.status(), 413);
    for (int bytes = 0; bytes < 59; ++bytes) {
        one.tick_after(500ms);
        one.send("y");
        EXPECT_FALSE(one.over()) << bytes;
    }
    one.tick_after(500ms);
    EXPECT_TRUE(one.over());
}

TEST(LimitOf, WhoIsSilentAfterARefusalIsClosedAfterASecond) {
    scene one;
    one.send(post(2'000'000, ""));
    one.tick_after(1s);
    EXPECT_TRUE(one.over());
    EXPECT_FALSE(one.reset());
}

TEST(LimitOf, AnIdleConnectionIsASilentCloseWithinFiveSecondsOfItsTime) {
    scene one;
    one.send(ask());
    one.tick_after(119'990ms);
    EXPECT_FALSE(one.over());
    one.tick_after(5'010ms);
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.answers(), 1U);
}

TEST(LimitOf, AHandlerIs504AndOneThatDoesNotReturnIsAnsweredFor) {
    scene one;
    one.holds_handlers = true;
    one.send(ask());
    one.tick_after(30s);
    EXPECT_TRUE(one.told());
    one.tick_after(99ms);
    EXPECT_EQ(one.seen(), "");
    one.tick_after(1ms);
    EXPECT_EQ(one.status(), 504);
    EXPECT_TRUE(one.named() && one.finished());
    one.reply();
    EXPECT_TRUE(one.over());
}

// ── number and size ─────────────────────────────────────────────────────────────────────────────

TEST(LimitOf, RequestsInHandlersIs503WithRetryAfter) {
    server::options limits;
    limits.max_in_flight = 0;
    scene one(limits);
    one.send(ask());
    EXPECT_EQ(one.status(), 503);
    EXPECT_NE(one.seen().find("Retry-After: 1\r\n"), std::string::npos);
    EXPECT_EQ(one.calls(), 0);
    EXPECT_EQ(one.refused(), 1);
}

TEST(LimitOf, ABodyIsNotAskedForThatFindsNoPlace) {
    server::options limits;
    limits.max_in_flight = 0;
    scene one(limits);
    one.send(post(100, "", "Expect: 100-continue\r\n"));
    EXPECT_EQ(one.status(), 503);
    EXPECT_TRUE(one.says_close());
    EXPECT_EQ(one.answers(), 1U) << "no 100 Continue";
}

TEST(LimitOf, RequestsOfAConnectionEndsWithWhatHadComeByThen) {
    server::options limits;
    limits.max_requests = 2;
    scene one(limits);
    one.send(ask() + ask() + ask());
    EXPECT_EQ(one.answers(), 3U);
    EXPECT_TRUE(one.says_close());
    one.client_finishes();
    EXPECT_TRUE(one.over());
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
    scene one(limits);
    one.holds_handlers = true;
    one.send(ask() + std::string(10'000, 'x'));
    EXPECT_GT(one.unread(), 9'900U);
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
    scene one(reads(1'000));
    one.holds_handlers = true;
    one.send(ask());
    one.stream();
    one.piece(60'000);
    EXPECT_FALSE(one.asked()) << "the client has not read";
    for (int turns = 0; turns < 60; ++turns) one.client_reads();
    EXPECT_TRUE(one.asked());
    one.piece(0);
    EXPECT_EQ(one.seen().substr(one.seen().size() - 5), "0\r\n\r\n");
    EXPECT_EQ(one.state(), connection_state::idle);
}

// ── connections above a limit ───────────────────────────────────────────────────────────────────

TEST(LimitOf, ConnectionsIsNotForAProbeWhichIsAnsweredAndThenClosed) {
    scene one(server::rule::max_connections);
    one.send("GET /probe HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
}

TEST(LimitOf, ConnectionsIs503ForEverythingElseAndCloses) {
    for (const auto& asks : {ask(), post(5, ""), post(5, "hello"), std::string("GET /none HTTP/1.1\r\nHost: a\r\n\r\n"),
                             post(5, "", "Expect: 100-continue\r\n")}) {
        scene one(server::rule::max_connections_per_client);
        one.send(asks);
        EXPECT_EQ(one.status(), 503) << asks;
        EXPECT_EQ(one.answers(), 1U) << asks;
        EXPECT_TRUE(one.says_close()) << asks;
        EXPECT_NE(one.seen().find("Retry-After: 1"), std::string::npos) << asks;
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
    scene one;
    one.holds_handlers = true;
    one.send(ask_for("/ticks"));
    one.stream_events();
    one.tick_after(24h);
    EXPECT_FALSE(one.over());
    EXPECT_FALSE(one.context().done());
    one.say("data: 1\n\n");
    EXPECT_TRUE(one.seen().ends_with("data: 1\n\n\r\n"));
}

TEST(LimitOf, AStreamOfEventsWhoseReaderTakesNothingIsCut) {
    scene one(reads(500));
    one.holds_handlers = true;
    one.send(ask_for("/ticks"));
    one.stream_events();
    one.say("data: " + std::string(1'000, 'x') + "\n\n");
    one.tick_after(30s);
    EXPECT_TRUE(one.reset());
    EXPECT_EQ(one.account().gone, 1U);
}

TEST(LimitOf, AStreamOfEventsEndsWithItsClientWhileItIsSilent) {
    scene one;
    one.holds_handlers = true;
    one.send(ask_for("/ticks"));
    one.stream_events();
    one.client_goes();
    EXPECT_EQ(one.context().why(), lifecycle::cause::client_gone);
    one.say("");
    EXPECT_TRUE(one.over());
    EXPECT_EQ(one.account().gone, 1U);
}

TEST(LimitOf, ARequestForAStreamOfEventsIsNeverMetByAnotherStatusThan200) {
    scene above(server::rule::max_connections), crowded, thrown;
    above.send(ask_for("/ticks"));
    crowded.place().in_flight = 1'000;
    crowded.send(ask_for("/ticks"));
    thrown.holds_handlers = true;
    thrown.send(ask_for("/ticks"));
    thrown.throw_out();
    for (auto* one : {&above, &crowded, &thrown}) {
        EXPECT_EQ(one->status(), 200);
        EXPECT_NE(one->seen().find("\r\n\r\nretry: "), std::string::npos) << one->seen();
        EXPECT_TRUE(one->says_close());
    }
    crowded.place().in_flight = 0;
}

}  // namespace
