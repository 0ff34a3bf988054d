// What a request is called, in its handler and in what that calls.

#include <gtest/gtest.h>

#include <mutex>
#include <optional>

#include "server/middleware.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using server::request_values;
using server::with_request_values;

constexpr const char* asked_by =
    "X-Request-Id: order-7\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
constexpr const char* trace_of_it = "0af7651916cd43dd8448eb211c80319c";

std::string told(std::string_view id, std::string_view route, std::string_view trace,
                 const server::socket_address& peer) {
    return std::string(id) + ", " + std::string(route) + ", trace " + std::string(trace) + ", from " +
           peer.address().to_string() + (peer.port() != 0 ? " by a port" : "");
}

/// What a handler calls gets a context and no request.
lifecycle::awaitable<std::string> called(lifecycle::context context) {
    const auto* const of = context.find<request_values>();
    if (of == nullptr) co_return "nothing";
    co_return told(of->id, of->route, of->trace.id(), of->peer);
}

reply calls(lifecycle::context context, const request&) {
    auto calling = called(context);
    auto text = co_await std::move(calling);
    co_return response(http::status::ok, std::move(text));
}

TEST(RequestValues, IdRoutePeerAndTraceAreSeenByTheHandlerInItsRequest) {
    const auto handle = [](lifecycle::context, const request& asked) -> reply {
        co_return response(http::status::ok, told(asked.id, asked.route, asked.trace.id(), asked.peer));
    };
    const running app(router().get("/orders/{id}", handle).post("/orders", handle));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/orders/7", asked_by)).body,
              std::string("order-7, GET /orders/{id}, trace ") + trace_of_it + ", from 127.0.0.1 by a port");
    EXPECT_EQ(ask_on(client, support::request("POST", "/orders", "X-Request-Id: b\r\n", "x")).body,
              "b, POST /orders, trace , from 127.0.0.1 by a port")
        << "nothing of the request before it";
}

TEST(RequestValues, AreSeenThroughTheContextByWhatTheHandlerCalls) {
    const running app(router().get("/bare", calls).use(with_request_values).get("/orders/{id}", calls));
    EXPECT_EQ(app.ask(get("/orders/7", asked_by)).body,
              std::string("order-7, GET /orders/{id}, trace ") + trace_of_it + ", from 127.0.0.1 by a port");
    EXPECT_EQ(app.ask(get("/bare", asked_by)).body, "nothing") << "who does not ask for them does not pay for them";
}

TEST(RequestValues, AreACopyThatIsGoodForAsLongAsTheContext) {
    std::mutex mutex;
    std::optional<lifecycle::context> kept;
    const auto keeps = [&](lifecycle::context context, const request&) -> reply {
        const std::scoped_lock lock(mutex);
        if (!kept) kept = context.with_deadline(clock::now() + 1h);
        co_return response();
    };
    running app(router().get("/{any}", with_request_values(keeps)));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/first", asked_by)).status, 200);
    for (int nth = 0; nth < 10; ++nth)
        EXPECT_EQ(ask_on(client, get("/" + std::string(60, 'x'), "X-Request-Id: other-request\r\n")).status, 200);
    app.stop();
    ASSERT_TRUE(kept);
    const auto* const of = kept->find<request_values>();
    ASSERT_NE(of, nullptr);
    EXPECT_EQ(of->id, "order-7");
    EXPECT_EQ(of->route, "GET /{any}");
    EXPECT_EQ(of->trace.id(), trace_of_it);
    EXPECT_TRUE(of->peer.address().is_loopback());
    EXPECT_NE(kept->why(), lifecycle::cause::none) << "the request is over";
}

}  // namespace
}  // namespace serving
