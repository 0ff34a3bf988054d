// A route of WebSockets on a real server. The marked region is the code block of docs/websocket.md.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <any>
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include "server/websocket/route.hpp"
#include "tests/server/serving.hpp"
#include "tests/websocket/peer.hpp"

namespace {

using lifecycle::context;
using server::request;
using testing::HasSubstr;
using websocket_peer::handshake;
using websocket_peer::peer;
namespace websocket = server::websocket;

// [route]
/// Says every message to everybody, by name.
server::websocket::sockets chat(server::router& routes) {
    namespace websocket = server::websocket;
    websocket::callbacks does;
    does.on_open = [](const context&, websocket::socket& socket, const request& request) {
        socket.data = std::string(request.parameter("name"));  // the request goes, what is kept stays
    };
    does.on_message = [](const context&, websocket::socket& socket, const websocket::message& message) {
        const auto name = std::any_cast<std::string>(socket.data);
        socket.broadcast(websocket::opcode::text, name + ": " + std::string(message.data));
    };
    return websocket::route(routes, "/chat/{name}", does, {.overflow = websocket::at_bound::drop});
}
// [/route]

server::options two_loops() {
    auto options = serving::one_loop();
    options.threads = 2;
    return options;
}

websocket::callbacks echoes() {
    websocket::callbacks does;
    does.on_message = [](const context&, websocket::socket& socket, const websocket::message& message) {
        socket.send(message);
    };
    return does;
}

TEST(WebSocketRoute, SaysAMessageToAllOnAllLoops) {
    server::router routes;
    const auto all = chat(routes);
    const serving::running service(std::move(routes), two_loops());
    peer ada(service.connect(), "/chat/Ada"), grace(service.connect(), "/chat/Grace"),
        third(service.connect(), "/chat/x");
    ASSERT_TRUE(ada.is_open() && grace.is_open() && third.is_open());
    ada.send(frames::text("hello"));
    for (auto* each : {&ada, &grace, &third}) EXPECT_EQ(each->receive()->payload, "Ada: hello");
    grace.send(frames::text("hi"));
    for (auto* each : {&ada, &grace, &third}) EXPECT_EQ(each->receive()->payload, "Grace: hi");
    server::metrics_text text;
    websocket::sockets::write_metrics(text, {&all, 1});
    EXPECT_THAT(text.take(), HasSubstr("websocket_open{route=\"GET /chat/{name}\"} 3"));
    const std::array several{all, all};  // of two routes each metric is one family
    websocket::sockets::write_metrics(text, several);
    const auto both = text.take();
    EXPECT_EQ(both.find("# TYPE websocket_open "), both.rfind("# TYPE websocket_open "));
}

TEST(WebSocketRoute, WhatAKernelDoesNotTakeAtOnceOfABroadcastIsSentAsItsPeerReads) {
    server::router routes;
    const auto all = websocket::route(routes, "/ws", echoes(), {.max_backlog = 64 * 1024 * 1024});
    const serving::running service(std::move(routes));
    peer reads_late(service.connect(4096), "/ws");
    EXPECT_EQ(reads_late.echo("x"), "x") << "it rests after this";
    const std::string large(16 * 1024 * 1024, 'y');
    all.broadcast(websocket::opcode::binary, large);
    all.broadcast(websocket::opcode::text, "next");
    const auto first = reads_late.receive(), second = reads_late.receive();
    ASSERT_TRUE(first && second);
    EXPECT_TRUE(first->payload == large);
    EXPECT_EQ(second->payload, "next");
}

TEST(WebSocketRoute, ShakesHandsOnlyWithWhoAsksForItWell) {
    server::router routes;
    websocket::route(routes, "/ws", echoes(), {.protocols = {"v2", "v1"}});
    const serving::running service(std::move(routes));
    const auto without = [](std::string text, std::string_view line) {
        const auto at = text.find(line);
        return text.erase(at, text.find("\r\n", at) + 2 - at);
    };
    EXPECT_EQ(service.ask(support::get("/ws")).status, 426);
    for (const std::string_view line : {"Upgrade:", "Connection:", "Sec-WebSocket-Version"}) {
        const auto answer = service.ask(without(handshake(), line));
        EXPECT_EQ(answer.status, 426) << line;
        EXPECT_EQ(answer.header("Sec-WebSocket-Version"), "13");
        EXPECT_EQ(answer.header("Upgrade"), "websocket");
    }
    EXPECT_EQ(service.ask(without(handshake(), "Sec-WebSocket-Key")).status, 400);
    EXPECT_EQ(service.ask(without(handshake(), "Sec-WebSocket-Version") + "").status, 426);
    EXPECT_EQ(service.ask(support::request("POST", "/ws")).status, 405);
    peer peer(service.connect(), "/ws", "Sec-WebSocket-Protocol: v3, v1, v2\r\n");
    EXPECT_THAT(peer.head(), HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT_THAT(peer.head(), HasSubstr("Sec-WebSocket-Protocol: v1\r\n"));
    EXPECT_EQ(peer.echo("x"), "x");
}

TEST(WebSocketRoute, WhatComesWithTheHandshakeIsAMessage) {
    server::router routes;
    websocket::route(routes, "/ws", echoes());
    const serving::running service(std::move(routes));
    auto client = service.connect();
    client.send(handshake() + frames::text("early") + frames::close(1000));
    const auto seen = client.receive_to_end();
    const auto sent = frames::parse(std::string_view(seen).substr(seen.find("\r\n\r\n") + 4));
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[0].payload, "early");
    EXPECT_EQ(sent[1].code(), 1000U);
    EXPECT_EQ(client.ended(), support::client::ending::closed);
}

TEST(WebSocketRoute, CompressesForWhoOffersIt) {
    server::router routes;
    websocket::route(routes, "/ws", echoes());
    const serving::running service(std::move(routes));
    peer peer(service.connect(), "/ws", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    EXPECT_THAT(peer.head(), HasSubstr("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"));
    peer.send(frames::text(std::string(10'000, 'x')));
    const auto answer = peer.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->first, 0xc1U);
    EXPECT_LT(answer->payload.size(), 100U);
    EXPECT_EQ(peer.echo("short"), "short");
}

TEST(WebSocketRoute, OriginsThatAreNotItsOwnAre403) {
    server::router routes;
    routes.use(websocket::require_origin({"https://example.com"}));
    websocket::route(routes, "/ws", echoes());
    const serving::running service(std::move(routes));
    const auto open = [&](std::string_view fields) { return peer(service.connect(), "/ws", fields).is_open(); };
    EXPECT_TRUE(open(""));
    EXPECT_TRUE(open("Origin: https://example.com\r\n"));
    EXPECT_TRUE(open("Origin: http://127.0.0.1\r\n"));  // its Host
    EXPECT_FALSE(open("Origin: https://example.com.evil.org\r\n"));
    EXPECT_FALSE(open("Origin: null\r\n"));
}

TEST(WebSocketRoute, ACoroutineMayWaitAndIsToldWhenItsPeerHasGone) {
    server::router routes;
    std::atomic<int> gone{0};
    websocket::callbacks does;
    does.on_message = [&gone](context context, websocket::socket& socket,
                              const websocket::message& message) -> lifecycle::awaitable<> {
        const auto wait = message.data == "long" ? std::chrono::hours(1) : std::chrono::milliseconds(20);
        auto sleeping = lifecycle::sleep_until(context, lifecycle::clock::now() + wait);  // lint: the handler waits
        const bool slept = co_await std::move(sleeping);
        if (!slept && context.why() == lifecycle::cause::client_gone) ++gone;
        socket.send(message);
    };
    websocket::route(routes, "/ws", does);
    const serving::running service(std::move(routes));
    {
        peer peer(service.connect());
        peer.send(frames::text("1") + frames::ping("p") + frames::text("2"));
        EXPECT_EQ(peer.receive()->kind(), 10U);  // while the first is worked on
        EXPECT_EQ(peer.receive()->payload, "1");
        EXPECT_EQ(peer.receive()->payload, "2");
        peer.send(frames::text("long"));
    }
    EXPECT_TRUE(support::eventually([&] { return gone == 1; }));
}

TEST(WebSocketRoute, IsSentToFromAnyThreadAndNotOnceItHasEnded) {
    server::router routes;
    std::mutex guard;
    std::optional<websocket::remote> kept;
    std::atomic<unsigned> code{0};
    websocket::callbacks does;
    does.on_open = [&](const context&, websocket::socket& socket, const request&) {
        const std::lock_guard lock(guard);
        kept = socket.from_anywhere();
    };
    does.on_close = [&](const context&, websocket::socket&, const websocket::machine::close& end) { code = end.code; };
    websocket::route(routes, "/ws", does);
    const serving::running service(std::move(routes));
    peer peer(service.connect());
    ASSERT_TRUE(peer.is_open());
    ASSERT_TRUE(support::eventually([&] {
        const std::lock_guard lock(guard);
        return kept.has_value();
    }));
    EXPECT_TRUE(kept->send_text("from elsewhere"));
    EXPECT_EQ(peer.receive()->payload, "from elsewhere");
    kept->close(4000, "enough");
    EXPECT_EQ(peer.receive()->code(), 4000U);
    peer.send(frames::close(4000));
    peer.client().receive_to_end();
    EXPECT_TRUE(support::eventually([&] { return code == 4000U; }));
    peer.client().reset();
    EXPECT_TRUE(support::eventually([&] { return !kept->send_text("late"); }));
}

TEST(WebSocketRoute, AHandlerThatThrowsCloses1011AndTheNextOneIsServed) {
    server::router routes;
    websocket::callbacks does;
    does.on_message = [](const context&, websocket::socket&, const websocket::message&) {
        throw std::runtime_error("a fault of its own");
    };
    websocket::route(routes, "/ws", does);
    serving::running service(std::move(routes));
    peer client(service.connect());
    client.send(frames::text("x"));
    EXPECT_EQ(client.receive()->code(), 1011U);
    EXPECT_TRUE(peer(service.connect()).is_open());
}

}  // namespace
