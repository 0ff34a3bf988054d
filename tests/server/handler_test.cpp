// The two kinds of handlers: plain functions and coroutines.

#include <gmock/gmock.h>

#include <stdexcept>

#include "server/middleware.hpp"
#include "tests/server/run_handler.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using lifecycle::context;
using server::handler;

response greets(const context&, const request& asked) { return response(http::status::ok, std::string(asked.path)); }
reply waits(context, const request& asked) { co_return response(http::status::ok, std::string(asked.path)); }

TEST(Handler, IsAPlainFunctionOrACoroutine) {
    EXPECT_NE(handler(greets).as_plain(), nullptr);
    EXPECT_EQ(handler(waits).as_plain(), nullptr);
    const auto by_value = [](context, const request&) { return response(); };
    EXPECT_NE(handler(by_value).as_plain(), nullptr);
    EXPECT_NE(server::plain([](const request&) { return response(); }).as_plain(), nullptr);
}

TEST(Handler, OfEitherKindCanBeCalledAsACoroutine) {
    request asked;
    asked.path = "/a";
    EXPECT_EQ(run_handler(greets, asked).body, "/a");
    EXPECT_EQ(run_handler(waits, asked).body, "/a");
}

TEST(Handler, OfEitherKindAnswersARoute) {
    const running app(router().get("/plain", greets).get("/waits", waits));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/plain")).body, "/plain");
    EXPECT_EQ(ask_on(client, get("/waits")).body, "/waits");
    client.send(get("/plain") + get("/waits") + get("/plain"));
    EXPECT_EQ(answer_of(client).body, "/plain");
    EXPECT_EQ(answer_of(client).body, "/waits");
    EXPECT_EQ(answer_of(client).body, "/plain");
}

TEST(Handler, ThatIsPlainAndThrowsIs500AndTheConnectionGoesOn) {
    router routes;
    routes.get("/exception", [](const context&, const request&) -> response { throw std::runtime_error("no luck"); });
    routes.get("/number", [](const context&, const request&) -> response { throw 42; });
    routes.get("/", greets);
    running app(std::move(routes));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/exception")).status, 500);
    EXPECT_EQ(ask_on(client, get("/number")).status, 500);
    EXPECT_EQ(ask_on(client, get("/")).status, 200);
    app.stop();
    EXPECT_THAT(app.log(), testing::HasSubstr("GET /exception failed: no luck (request "));
    EXPECT_THAT(app.log(), testing::HasSubstr("GET /number failed: not a std::exception (request "));
}

TEST(Handler, ThatIsPlainAndComesTooLateIs504) {
    router routes;
    routes.get("/", [](const context& of, const request&) {
        while (!of.done()) {}  // what no handler should do
        return response();
    });
    auto options = one_loop();
    options.request_timeout = 20ms;
    const running app(std::move(routes), options);
    EXPECT_EQ(app.ask(get("/")).status, 504);
}

TEST(Handler, ThatIsPlainMayStream) {
    const auto counts = [](const context&, const request&) {
        return response::stream([left = 3](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
            into[0] = static_cast<char>('0' + left);
            co_return left-- > 0 ? 1 : 0;
        });
    };
    const running app(router().get("/", counts));
    EXPECT_EQ(app.ask(get("/")).body, "321");
}

/// A middleware of the house around each kind: it does its work, and a plain handler stays one.
void expect_kinds_kept(const server::middleware& wrap) {
    EXPECT_NE(wrap(greets).as_plain(), nullptr);
    EXPECT_EQ(wrap(waits).as_plain(), nullptr);
}

TEST(Handler, OfEitherKindKeepsItsKindBehindTheMiddlewareOfTheServer) {
    const auto same_site = server::same_site_only({});
    expect_kinds_kept(same_site);
    expect_kinds_kept(server::with_request_values);
    request foreign;
    foreign.method = http::verb::post;
    foreign.host = "evil.example";
    EXPECT_EQ(run_handler(same_site(greets), foreign).status, http::status::forbidden);
    EXPECT_EQ(run_handler(same_site(waits), foreign).status, http::status::forbidden);
    const auto tells_id = [](const context& of, const request&) {
        return response(http::status::ok, of.find<server::request_values>()->id);
    };
    request named;
    named.id = "seven";
    EXPECT_EQ(run_handler(server::with_request_values(tells_id), named).body, "seven");
}

}  // namespace
}  // namespace serving
