// Bodies that a handler takes as they come: what is read, when, and what becomes of it at a limit, at the end of the
// client and in a stop. No socket, no clock.
#include <gtest/gtest.h>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;
using server::connection_state;

scene& held(scene& one) {
    one.holds_handlers = true;
    return one;
}

TEST(StreamedBody, ItsHandlerIsAskedWhenTheHeadIsThere) {
    scene one;
    held(one).send(upload("Content-Length: 1000\r\n"));
    EXPECT_TRUE(one.asked());
    EXPECT_EQ(one.state(), connection_state::handling);
}

TEST(StreamedBody, IsReadAsFarAsItsHandlerAsks) {
    scene one;
    held(one).send(upload("Content-Length: 10\r\n", "0123"));
    EXPECT_EQ(one.body(), "");
    one.arrives("456789");
    one.reads_body(3);
    EXPECT_EQ(one.body(), "012");
    EXPECT_EQ(one.unread(), 6U);
    one.reads_body();
    EXPECT_EQ(one.body(), "0123");
    EXPECT_EQ(one.unread(), 6U);
    one.reads_body(2);
    EXPECT_EQ(one.body(), "012345");
    EXPECT_EQ(one.unread(), 4U);  // nothing is read that nobody has asked for
    one.reads_body();
    EXPECT_EQ(one.body(), "0123456789");
    one.reply();
    EXPECT_EQ(one.status(), 200);
    EXPECT_FALSE(one.says_close());
}

TEST(StreamedBody, TheNextRequestIsBehindIt) {
    for (const std::string framing : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
        const bool chunked = framing.front() == 'T';
        const std::string first = chunked ? "2\r\nab\r\n" : "ab", rest = chunked ? "2;x=y\r\ncd\r\n0\r\n\r\n" : "cd";
        for (const bool at_once : {true, false}) {
            scene one;
            held(one).send(upload(framing, at_once ? first + rest + ask() : first));
            if (!at_once) one.arrives(rest + ask());
            one.reads_body();
            if (!at_once) one.reads_body();
            EXPECT_EQ(one.body(), "abcd") << framing << at_once;
            one.reads_body();
            EXPECT_EQ(one.body(), "abcd");
            one.holds_handlers = false;
            one.reply();
            one.settle();
            EXPECT_EQ(one.answers(), 2U) << framing << at_once;
            EXPECT_FALSE(one.over());
        }
    }
}

TEST(StreamedBody, ManyPiecesOfAnyKindComeInOrder) {
    std::string wanted, chunks;
    for (int nth = 0; nth < 300; ++nth) {
        const std::string piece(static_cast<std::size_t>(1 + nth % 40), static_cast<char>('a' + nth % 26));
        wanted += piece;
        char size[8];
        std::snprintf(size, sizeof size, "%zx", piece.size());
        chunks += size + std::string("\r\n") + piece + "\r\n";
    }
    scene one;
    held(one).send(upload("Transfer-Encoding: chunked\r\n"));
    one.arrives(chunks + "0\r\n\r\n");
    for (int reads = 0; reads < 20'000 && one.body().size() < wanted.size(); ++reads) one.reads_body(7);
    EXPECT_EQ(one.body(), wanted);
}

TEST(StreamedBody, NeedsNoMoreMemoryThanItsHandlerHas) {
    scene one;
    held(one).send(upload("Content-Length: 1099511627776\r\n"));  // 1 TiB: no limit of others applies
    for (int pieces = 0; pieces < 100; ++pieces) {
        one.arrives(std::string(100'000, 'x'));
        one.reads_body(100'000);
    }
    EXPECT_EQ(one.body().size(), 10'000'000U);
    EXPECT_LE(one.buffer(), 8'192U);
}

TEST(StreamedBody, TrailersAreThereWithTheEnd) {
    scene one;
    held(one).send(upload("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nX-Sum:  17 \r\nHost: b\r\n\r\n"));
    one.reads_body();
    EXPECT_EQ(one.request().trailer("x-sum"), "17");
    EXPECT_EQ(one.request().trailer("Host"), "b");
    EXPECT_EQ(one.request().host, "a");  // no part of the head (RFC 9110 section 6.5.1)
    scene gathered;
    held(gathered).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: u\r\n\r\n");
    EXPECT_EQ(gathered.request().trailer("T"), "u");
}

TEST(StreamedBody, AClientThatExpectsIsToldToGoOnWhenItsHandlerFirstReads) {
    scene one, refuses;
    const auto head = upload("Content-Length: 3\r\nExpect: 100-continue\r\n");
    held(one).send(head);
    EXPECT_EQ(one.seen(), "");
    one.reads_body();
    EXPECT_EQ(one.seen(), "HTTP/1.1 100 Continue\r\n\r\n");
    one.send("abc");
    EXPECT_EQ(one.body(), "abc");
    held(refuses).send(head);
    refuses.reply(server::problem(server::http::status::forbidden));
    EXPECT_EQ(refuses.seen().find("100 Continue"), std::string::npos);
    EXPECT_EQ(refuses.status(), 403);
    EXPECT_TRUE(refuses.says_close());
}

TEST(StreamedBody, AnEarlyAnswerIsTheLastAndTheClientMaySendOn) {
    scene one;
    held(one).send(upload("Content-Length: 100000\r\n", "some"));
    one.reads_body();
    one.reply();
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
    EXPECT_EQ(one.state(), connection_state::lingering);
    for (int seconds = 0; seconds < 5; ++seconds) {
        one.tick_after(900ms);
        one.send("more");
        EXPECT_FALSE(one.over());
        EXPECT_EQ(one.unread(), 0U);
    }
    one.client_finishes();
    EXPECT_TRUE(one.over());
    EXPECT_FALSE(one.reset());
}

TEST(StreamedBody, HasALimitOfItsOwn) {
    scene large, chunked;
    held(large).send(upload("Content-Length: 11\r\n", "", "/small"));
    EXPECT_FALSE(large.asked());
    EXPECT_EQ(large.status(), 413);
    held(chunked).send(upload("Transfer-Encoding: chunked\r\n", "8\r\n01234567\r\n", "/small"));
    chunked.reads_body();
    chunked.reads_body();
    chunked.send("3\r\n");
    EXPECT_TRUE(chunked.body_failed());
    chunked.throw_out();
    EXPECT_EQ(chunked.status(), 413);
}

TEST(StreamedBody, ThatIsBrokenIs400) {
    scene one;
    held(one).send(upload("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n"));
    one.reads_body();
    one.reads_body();
    one.send("no size");
    one.throw_out();
    EXPECT_EQ(one.status(), 400);
    EXPECT_EQ(one.refused(), 1);
}

TEST(StreamedBody, AHandlerThatThrowsByItselfIs500AndTheConnectionEnds) {
    scene one;
    held(one).send(upload("Content-Length: 10\r\n"));
    one.throw_out();
    EXPECT_EQ(one.status(), 500);
    EXPECT_TRUE(one.says_close());
}

TEST(StreamedBody, CompressedForARouteThatDoesNotDecodeIs415) {
    for (const std::string framing : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
        scene one;
        held(one).send(upload(framing + "Content-Encoding: gzip\r\n"));
        EXPECT_FALSE(one.asked());
        EXPECT_EQ(one.status(), 415);
    }
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

TEST(StreamedBody, OfAClientThatSendsNothingIs408AtItsTime) {
    scene one;
    held(one).send(upload("Content-Length: 10\r\n"));
    one.reads_body();
    one.tick_after(29'990ms);
    EXPECT_FALSE(one.body_failed());
    one.tick_after(10ms);
    EXPECT_TRUE(one.body_failed());
    EXPECT_FALSE(one.waits_for_body());
    one.throw_out();
    EXPECT_EQ(one.status(), 408);
}

TEST(StreamedBody, WhatIsThereAtTheDeadlineIsLookedAtOnceMore) {
    scene one;
    held(one).send(upload("Content-Length: 3\r\n"));
    one.reads_body();
    one.arrives("abc");
    one.tick_after(30s);
    EXPECT_EQ(one.body(), "abc");
    EXPECT_FALSE(one.body_failed());
}

TEST(StreamedBody, GoesOnForHoursAtTheLeastRateAndNotBelow) {
    scene fast, slow;
    for (auto* one : {&fast, &slow}) {
        held(*one).send(upload("Content-Length: 100000000\r\n"));
        one->reads_body();
    }
    for (int seconds = 0; seconds < 7'200 && !fast.body_failed(); ++seconds) {
        fast.send(std::string(200, 'x'));
        fast.tick_after(1s);
        while (!fast.waits_for_body() && !fast.body_failed()) fast.reads_body();
    }
    EXPECT_EQ(fast.body().size(), 7'200U * 200);
    int lived = 0;
    for (; lived < 7'200 && !slow.body_failed(); ++lived) {
        if (!slow.waits_for_body()) slow.reads_body();
        slow.tick_after(1s);
        slow.send("x");
    }
    EXPECT_GE(lived, 29);
    EXPECT_LE(lived, 31);
}

TEST(StreamedBody, TheTimeInWhichItsHandlerWorksIsNotTheClients) {
    scene one;
    held(one).send(upload("Content-Length: 100\r\n"));
    for (int pieces = 0; pieces < 10; ++pieces) {
        one.arrives("b");
        one.reads_body(1);
        one.tick_after(29s);  // the handler's own deadline is request_timeout behind each piece
        EXPECT_FALSE(one.told());
    }
    one.tick_after(1s);
    EXPECT_TRUE(one.told());
    one.reply();
    EXPECT_EQ(one.status(), 504);
}

TEST(StreamedBody, ADeadlineThatTheClientHasSetIsForAllOfIt) {
    scene one;
    held(one).send(upload("Content-Length: 100\r\nX-Request-Timeout: 1s\r\n", "a"));
    one.reads_body();
    one.reads_body();
    one.tick_after(1s);
    EXPECT_TRUE(one.body_failed());
    one.throw_out();
    EXPECT_EQ(one.status(), 504);
}

// ── a client that goes, a stop ──────────────────────────────────────────────────────────────────

TEST(StreamedBody, WhoseClientGoesEndsTheContextOfItsHandler) {
    scene one;
    held(one).send(upload("Content-Length: 100\r\n", "a"));
    one.reads_body();
    one.reads_body();
    one.client_finishes();
    EXPECT_TRUE(one.body_failed());
    EXPECT_EQ(one.context().why(), lifecycle::cause::client_gone);
    one.throw_out();
    one.settle();
    EXPECT_EQ(one.account().began, one.account().finished + one.account().gone);
}

TEST(StopOf, ABodyThatStreamsGoesOnToItsEnd) {
    scene one;
    held(one).send(upload("Content-Length: 6\r\n", "abc"));
    one.reads_body();
    one.drain(1s, 20s);
    one.reads_body();
    for (int seconds = 0; seconds < 10; ++seconds) one.tick_after(1s);
    one.send("def");
    EXPECT_EQ(one.body(), "abcdef");
    one.reply();
    EXPECT_EQ(one.status(), 200);
    EXPECT_TRUE(one.says_close());
    EXPECT_EQ(one.account().cut, 0U);
}

TEST(StopOf, ABodyThatIsNotOverWhenTheAppGivesUpIs503) {
    scene one;
    held(one).send(upload("Content-Length: 100\r\n", "abc"));
    one.reads_body();
    one.reads_body();
    one.drain(1s, 5s);
    one.tick_after(5s);
    EXPECT_TRUE(one.body_failed());
    EXPECT_EQ(one.context().why(), lifecycle::cause::shutdown);
    one.throw_out();
    EXPECT_EQ(one.status(), 503);
    EXPECT_NE(one.seen().find("Retry-After: 1"), std::string::npos);
    EXPECT_EQ(one.account().cut, 1U);
}

}  // namespace
