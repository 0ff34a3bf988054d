// Bodies that a handler takes as they arrive: what is read, when, and what becomes of it at a limit, at the end of the
// client and in a stop. No socket, no clock.
#include <gtest/gtest.h>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;
using server::connection_state;

scene& held(scene& scene) {
    scene.holds_handlers = true;
    return scene;
}

TEST(StreamedBody, ItsHandlerIsAskedWhenTheHeadIsThere) {
    scene scene;
    held(scene).send(upload("Content-Length: 1000\r\n"));
    EXPECT_TRUE(scene.asked());
    EXPECT_EQ(scene.state(), connection_state::handling);
}

TEST(StreamedBody, IsReadAsFarAsItsHandlerAsks) {
    scene scene;
    held(scene).send(upload("Content-Length: 10\r\n", "0123"));
    EXPECT_EQ(scene.body(), "");
    scene.arrives("456789");
    scene.reads_body(3);
    EXPECT_EQ(scene.body(), "012");
    EXPECT_EQ(scene.unread(), 6U);
    scene.reads_body();
    EXPECT_EQ(scene.body(), "0123");
    EXPECT_EQ(scene.unread(), 6U);
    scene.reads_body(2);
    EXPECT_EQ(scene.body(), "012345");
    EXPECT_EQ(scene.unread(), 4U);  // nothing is read that nobody has asked for
    scene.reads_body();
    EXPECT_EQ(scene.body(), "0123456789");
    scene.reply();
    EXPECT_EQ(scene.status(), 200);
    EXPECT_FALSE(scene.says_close());
}

TEST(StreamedBody, TheNextRequestIsBehindIt) {
    for (const std::string framing : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
        const bool chunked = framing.front() == 'T';
        const std::string first = chunked ? "2\r\nab\r\n" : "ab", rest = chunked ? "2;x=y\r\ncd\r\n0\r\n\r\n" : "cd";
        for (const bool at_once : {true, false}) {
            scene scene;
            held(scene).send(upload(framing, at_once ? first + rest + ask() : first));
            if (!at_once) scene.arrives(rest + ask());
            scene.reads_body();
            if (!at_once) scene.reads_body();
            EXPECT_EQ(scene.body(), "abcd") << framing << at_once;
            scene.reads_body();
            EXPECT_EQ(scene.body(), "abcd");
            scene.holds_handlers = false;
            scene.reply();
            scene.settle();
            EXPECT_EQ(scene.answers(), 2U) << framing << at_once;
            EXPECT_FALSE(scene.over());
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
    scene scene;
    held(scene).send(upload("Transfer-Encoding: chunked\r\n"));
    scene.arrives(chunks + "0\r\n\r\n");
    for (int reads = 0; reads < 20'000 && scene.body().size() < wanted.size(); ++reads) scene.reads_body(7);
    EXPECT_EQ(scene.body(), wanted);
}

TEST(StreamedBody, NeedsNoMoreMemoryThanItsHandlerHas) {
    scene scene;
    held(scene).send(upload("Content-Length: 1099511627776\r\n"));  // 1 TiB: no limit of others applies
    for (int pieces = 0; pieces < 100; ++pieces) {
        scene.arrives(std::string(100'000, 'x'));
        scene.reads_body(100'000);
    }
    EXPECT_EQ(scene.body().size(), 10'000'000U);
    EXPECT_LE(scene.buffer(), 8'192U);
}

TEST(StreamedBody, TrailersAreThereWithTheEnd) {
    scene play;
    held(play).send(upload("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nX-Sum:  17 \r\nHost: b\r\n\r\n"));
    play.reads_body();
    EXPECT_EQ(play.request().trailer("x-sum"), "17");
    EXPECT_EQ(play.request().trailer("Host"), "b");
    EXPECT_EQ(play.request().host, "a");  // no part of the head (RFC 9110 section 6.5.1)
    scene gathered;
    held(gathered).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: u\r\n\r\n");
    EXPECT_EQ(gathered.request().trailer("T"), "u");
}

TEST(StreamedBody, AClientThatExpectsIsToldToGoOnWhenItsHandlerFirstReads) {
    scene scene, refuses;
    const auto head = upload("Content-Length: 3\r\nExpect: 100-continue\r\n");
    held(scene).send(head);
    EXPECT_EQ(scene.seen(), "");
    scene.reads_body();
    EXPECT_EQ(scene.seen(), "HTTP/1.1 100 Continue\r\n\r\n");
    scene.send("abc");
    EXPECT_EQ(scene.body(), "abc");
    held(refuses).send(head);
    refuses.reply(server::problem(server::http::status::forbidden));
    EXPECT_EQ(refuses.seen().find("100 Continue"), std::string::npos);
    EXPECT_EQ(refuses.status(), 403);
    EXPECT_TRUE(refuses.says_close());
}

TEST(StreamedBody, AnEarlyAnswerIsTheLastAndTheClientMaySendOn) {
    scene scene;
    held(scene).send(upload("Content-Length: 100000\r\n", "some"));
    scene.reads_body();
    scene.reply();
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
    EXPECT_EQ(scene.state(), connection_state::lingering);
    for (int seconds = 0; seconds < 5; ++seconds) {
        scene.tick_after(900ms);
        scene.send("more");
        EXPECT_FALSE(scene.over());
        EXPECT_EQ(scene.unread(), 0U);
    }
    scene.client_finishes();
    EXPECT_TRUE(scene.over());
    EXPECT_FALSE(scene.reset());
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
    scene scene;
    held(scene).send(upload("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n"));
    scene.reads_body();
    scene.reads_body();
    scene.send("no size");
    scene.throw_out();
    EXPECT_EQ(scene.status(), 400);
    EXPECT_EQ(scene.refused(), 1);
}

TEST(StreamedBody, AHandlerThatThrowsByItselfIs500AndTheConnectionEnds) {
    scene scene;
    held(scene).send(upload("Content-Length: 10\r\n"));
    scene.throw_out();
    EXPECT_EQ(scene.status(), 500);
    EXPECT_TRUE(scene.says_close());
}

TEST(StreamedBody, CompressedForARouteThatDoesNotDecodeIs415) {
    for (const std::string framing : {"Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n"}) {
        scene scene;
        held(scene).send(upload(framing + "Content-Encoding: gzip\r\n"));
        EXPECT_FALSE(scene.asked());
        EXPECT_EQ(scene.status(), 415);
    }
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

TEST(StreamedBody, OfAClientThatSendsNothingIs408AtItsTime) {
    scene scene;
    held(scene).send(upload("Content-Length: 10\r\n"));
    scene.reads_body();
    scene.tick_after(29'990ms);
    EXPECT_FALSE(scene.body_failed());
    scene.tick_after(10ms);
    EXPECT_TRUE(scene.body_failed());
    EXPECT_FALSE(scene.waits_for_body());
    scene.throw_out();
    EXPECT_EQ(scene.status(), 408);
}

TEST(StreamedBody, WhatIsThereAtTheDeadlineIsLookedAtOnceMore) {
    scene scene;
    held(scene).send(upload("Content-Length: 3\r\n"));
    scene.reads_body();
    scene.arrives("abc");
    scene.tick_after(30s);
    EXPECT_EQ(scene.body(), "abc");
    EXPECT_FALSE(scene.body_failed());
}

TEST(StreamedBody, GoesOnForHoursAtTheLeastRateAndNotBelow) {
    scene fast, slow;
    for (auto* each : {&fast, &slow}) {
        held(*each).send(upload("Content-Length: 100000000\r\n"));
        each->reads_body();
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
    scene scene;
    held(scene).send(upload("Content-Length: 100\r\n"));
    for (int pieces = 0; pieces < 10; ++pieces) {
        scene.arrives("b");
        scene.reads_body(1);
        scene.tick_after(29s);  // the handler's own deadline is request_timeout after each piece
        EXPECT_FALSE(scene.told());
    }
    scene.tick_after(1s);
    EXPECT_TRUE(scene.told());
    scene.reply();
    EXPECT_EQ(scene.status(), 504);
}

TEST(StreamedBody, ADeadlineThatTheClientHasSetIsForAllOfIt) {
    scene scene;
    held(scene).send(upload("Content-Length: 100\r\nX-Request-Timeout: 1s\r\n", "a"));
    scene.reads_body();
    scene.reads_body();
    scene.tick_after(1s);
    EXPECT_TRUE(scene.body_failed());
    scene.throw_out();
    EXPECT_EQ(scene.status(), 504);
}

// ── a client that goes, a stop ──────────────────────────────────────────────────────────────────

TEST(StreamedBody, WhoseClientGoesEndsTheContextOfItsHandler) {
    scene scene;
    held(scene).send(upload("Content-Length: 100\r\n", "a"));
    scene.reads_body();
    scene.reads_body();
    scene.client_finishes();
    EXPECT_TRUE(scene.body_failed());
    EXPECT_EQ(scene.context().why(), lifecycle::cause::client_gone);
    scene.throw_out();
    scene.settle();
    EXPECT_EQ(scene.account().began, scene.account().finished + scene.account().gone);
}

TEST(StopOf, ABodyThatStreamsGoesOnToItsEnd) {
    scene scene;
    held(scene).send(upload("Content-Length: 6\r\n", "abc"));
    scene.reads_body();
    scene.drain(1s, 20s);
    scene.reads_body();
    for (int seconds = 0; seconds < 10; ++seconds) scene.tick_after(1s);
    scene.send("def");
    EXPECT_EQ(scene.body(), "abcdef");
    scene.reply();
    EXPECT_EQ(scene.status(), 200);
    EXPECT_TRUE(scene.says_close());
    EXPECT_EQ(scene.account().cut, 0U);
}

TEST(StopOf, ABodyThatIsNotOverWhenTheAppGivesUpIs503) {
    scene scene;
    held(scene).send(upload("Content-Length: 100\r\n", "abc"));
    scene.reads_body();
    scene.reads_body();
    scene.drain(1s, 5s);
    scene.tick_after(5s);
    EXPECT_TRUE(scene.body_failed());
    EXPECT_EQ(scene.context().why(), lifecycle::cause::shutdown);
    scene.throw_out();
    EXPECT_EQ(scene.status(), 503);
    EXPECT_NE(scene.seen().find("Retry-After: 1"), std::string::npos);
    EXPECT_EQ(scene.account().cut, 1U);
}

TEST(StopOf, ABodyThatIsWaitedForAndHasNotBegunIs503WhenTheAppGivesUpAndCutsNothing) {
    for (const auto* framing :
         {"Content-Length: 5\r\n", "Content-Length: 5\r\nExpect: 100-continue\r\n", "Transfer-Encoding: chunked\r\n"}) {
        scene scene;
        held(scene).send(upload(framing));
        scene.reads_body();
        scene.drain(1s, 5s);
        scene.tick_after(5s);
        EXPECT_TRUE(scene.body_failed()) << framing;
        scene.throw_out();
        EXPECT_EQ(scene.status(), 503) << framing;
        EXPECT_NE(scene.seen().find("Retry-After: 1"), std::string::npos) << framing;
        scene.client_finishes();
        EXPECT_TRUE(scene.over()) << framing;
        EXPECT_EQ(scene.account().cut, 0U) << framing;
        EXPECT_EQ(scene.account().finished, 1U) << framing;
    }
}

TEST(StopOf, AHandlerThatDoesNotReturnWhenItsBodyHasNotBegunIsCutAllTheSame) {
    scene scene;
    held(scene).send(upload("Content-Length: 5\r\n"));
    scene.reads_body();
    scene.drain(1s, 5s);
    scene.tick_after(5s);
    scene.tick();
    EXPECT_EQ(scene.status(), 503);
    EXPECT_TRUE(scene.named());
    scene.reply();
    EXPECT_EQ(scene.account().cut, 1U);
}

}  // namespace
