// The driver of a connection: it carries what its socket and its handlers say to its machine, and does what that wants.
// No thread, no tick, no time.
#include "server/connection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/parked.hpp"
#include "tests/server/turning.hpp"

namespace {

using lifecycle::context;
using server::request;
using server::response;
using testing::HasSubstr;
using turning::loops;
using turning::status;

/// A route whose handler waits until the test lets it go on.
struct held {
    server::router routes() {
        server::router all;
        all.get("/", [this](context of, const request&) -> lifecycle::awaitable<response> {
            ++entered;
            auto waiting = gate.wait([] {});
            co_await std::move(waiting);
            seen = of.why();
            co_return response(status::ok, "late");
        });
        return all;
    }
    server::parked gate;
    int entered = 0;
    lifecycle::cause seen = lifecycle::cause::none;
};

TEST(Connection, AnswersAPipelineInItsOrder) {
    server::router routes;
    for (const char* path : {"/a", "/b", "/c"})
        routes.get(path, [path](const context&, const request&) { return response(status::ok, path); });
    loops loops(std::move(routes));
    auto client = loops.connect();
    client.ask("/a");
    client.ask("/b");
    client.ask("/c");
    loops.turn();
    EXPECT_EQ(client.answers(), 3U);
    EXPECT_LT(client.seen().find("\r\n\r\n/a"), client.seen().find("\r\n\r\n/b"));
    EXPECT_LT(client.seen().find("\r\n\r\n/b"), client.seen().find("\r\n\r\n/c"));
}

TEST(Connection, TakesAHeadInAnyPieces) {
    loops loops(turning::says("hello"));
    auto client = loops.connect();
    for (const char letter : std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) {
        EXPECT_EQ(client.answers(), 0U);
        client.send({&letter, 1});
        loops.turn();
    }
    EXPECT_EQ(client.answers(), 1U);
}

TEST(Connection, WaitsForAClientThatDoesNotRead) {
    const std::string large(8U << 20, 'x');
    loops loops(turning::says(large));
    auto client = loops.connect();
    client.ask();
    loops.turn();
    const auto at_once = client.seen().size();
    EXPECT_LT(at_once, large.size()) << "the socket was full";
    for (int reads = 0; reads < 10'000 && client.seen().size() < large.size(); ++reads) loops.turn();
    loops.turn();
    EXPECT_THAT(client.seen().substr(0, 200), HasSubstr("Content-Length: 8388608"));
    EXPECT_EQ(client.seen().size(), client.seen().find("\r\n\r\n") + 4 + large.size());
    client.ask();
    loops.turn();
    EXPECT_EQ(client.answers(), 2U) << "and goes on";
}

TEST(Connection, AnswersWhenAHandlerThatWaitsReturns) {
    held held;
    loops loops(held.routes());
    auto client = loops.connect();
    client.ask();
    loops.turn();
    EXPECT_EQ(held.entered, 1);
    EXPECT_EQ(loops.first().account().in_flight.get(), 1U);
    EXPECT_EQ(client.seen(), "");
    held.gate.go_on();
    loops.turn();
    EXPECT_THAT(client.seen(), HasSubstr("\r\n\r\nlate"));
    EXPECT_EQ(loops.first().account().in_flight.get(), 0U);
}

TEST(Connection, IsNotGoneBeforeItsHandlerHasReturned) {
    held held;
    loops loops(held.routes());
    auto client = loops.connect();
    client.ask();
    loops.turn();
    loops.first().close();
    loops.turn();
    EXPECT_EQ(loops.open(), 1U) << "its handler uses the request";
    held.gate.go_on();
    loops.turn();
    EXPECT_EQ(held.seen, lifecycle::cause::shutdown);
    EXPECT_EQ(loops.open(), 0U);
}

TEST(Connection, AHandlerThatThrowsIsAnErrorOfItsRequestAlone) {
    server::router routes = turning::says("hello");
    routes.get("/throws", [](const context&, const request&) -> response { throw std::runtime_error("a bug"); });
    loops loops(std::move(routes));
    auto client = loops.connect();
    client.ask("/throws");
    client.ask();
    loops.turn();
    EXPECT_EQ(client.answers("HTTP/1.1 500"), 1U);
    EXPECT_EQ(client.answers(), 1U);
    EXPECT_THAT(loops.log(), HasSubstr("a bug"));
}

TEST(Connection, GivesItsWorkspaceToTheNext) {
    loops loops(turning::says("hello"));
    for (int nth = 0; nth < 100; ++nth) {
        auto client = loops.connect();
        client.ask();
        loops.turn();
        EXPECT_EQ(client.answers(), 1U);
        client.leave();
        loops.turn();
    }
    EXPECT_EQ(loops.open(), 0U);
    EXPECT_EQ(loops.first().account().accepted.get(), 100U);
}

TEST(Connection, WhatIsNoRequestIsRefusedAndCounted) {
    loops loops(turning::says("hello"));
    auto client = loops.connect();
    client.send("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n");
    loops.turn();
    EXPECT_EQ(client.answers("HTTP/1.1 400"), 1U);
    EXPECT_TRUE(client.closed()) << "FIN: where the next message begins is not known";
    EXPECT_EQ(loops.open(), 1U) << "and what the client still sends is read";
    client.leave();
    loops.turn();
    EXPECT_EQ(loops.open(), 0U);
}

}  // namespace
