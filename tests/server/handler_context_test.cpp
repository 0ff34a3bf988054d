// What the context of a handler knows: until when, and which of deadline, client and shutdown has ended it.

#include <gtest/gtest.h>

#include "tests/lifecycle/fakes.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using lifecycle::cause;
using server::http_server;

/// Answers with how many milliseconds its context has left.
reply says_what_is_left(lifecycle::context context, const request&) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(context.deadline() - clock::now());
    co_return response(http::status::ok, std::to_string(left.count()));
}

TEST(HandlerContext, EndsByTheSettingOrByTheHeaderOfTheClientWhicheverIsFirst) {
    auto options = one_loop();
    options.request_timeout = 10min;
    const running app(router().get("/", says_what_is_left), options);
    const auto left = [&](const char* fields) {
        return std::chrono::milliseconds(std::stoll(app.ask(get("/", fields)).body));
    };
    EXPECT_LE(left(""), 10min);
    EXPECT_GT(left(""), 9min);
    EXPECT_LE(left("X-Request-Timeout: 120s\r\n"), 2min);
    EXPECT_GT(left("X-Request-Timeout: 120s\r\n"), 1min);
    EXPECT_LE(left("X-Request-Timeout: 60m\r\n"), 10min) << "capped";
    EXPECT_GT(left("X-Request-Timeout: 60m\r\n"), 9min);
}

TEST(HandlerContext, IsOverForEverythingDerivedFromItOnceItsClientHasGone) {
    gate held;
    const auto derives = [&](lifecycle::context context, const request&) -> reply {
        const lifecycle::cancel_scope child(context.with(std::string("a value")), clock::now() + 1h);
        auto waiting = held.wait(child.get().with_deadline(clock::now() + 1h));
        co_await std::move(waiting);
        co_return response();
    };
    const running app(router().get("/", derives));
    auto client = app.connect();
    client.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    client.reset();
    EXPECT_TRUE(eventually([&] { return held.seen() == cause::client_gone; }));
}

TEST(HandlerContext, EndsWithTheDrainWhoseCauseIsShutdownAndWhatItReturnsIsWritten) {
    gate held;
    fakes::process process;
    process.run("later", fakes::until_asked, 19'300ms);  // of 20 s: what is left is the app's share
    const auto part = process.stop.add_part("app", lifecycle::serves_clients);
    http_server app(one_loop(), router().get("/", waits_at(held)), part, process.workers, process.log);
    support::client client(support::endpoint(app.address()), 20s);
    process.done.run(part, [&](std::stop_token token) { app.run(token); });
    client.send(get("/"));
    const std::jthread stopping([&] {
        EXPECT_TRUE(eventually([&] { return held.entered(); }));
        process.stop.request("debug");
    });
    const auto began = clock::now();
    process.done.wait({});
    EXPECT_EQ(held.seen(), cause::shutdown);
    EXPECT_GE(clock::now() - began, 300ms) << "not before its share of the budget is over";
    const auto answer = answer_of(client);
    EXPECT_EQ(answer.body, "waited");
    EXPECT_TRUE(answer.closes());
}

}  // namespace
}  // namespace serving
