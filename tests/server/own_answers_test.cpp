// Middleware that is used outside of groups sees what the server itself answers, adds to it, and does not change it.

#include <gtest/gtest.h>

#include "server/credentials.hpp"
#include "server/middleware.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

/// Names the page that may read it, as CORS does.
server::middleware marked() {
    return server::around(server::nothing_before, [](const request& asked, response& answer) {
        answer.set("X-Marked", asked.path.empty() ? "of nothing" : asked.path);
    });
}

class OwnAnswers : public testing::Test {
protected:
    static server::options limits() {
        auto options = one_loop();
        options.max_body_bytes = 10;
        options.body_timeout = 50ms;
        options.max_in_flight = 1;
        return options;
    }
    router routes() {
        router all;
        all.use(marked());
        all.get("/held", [this](lifecycle::context context, const request&) -> reply {
            auto waiting = held_.wait(context);
            co_await std::move(waiting);
            co_return response(http::status::ok);
        });
        all.get("/throws",
                [](const lifecycle::context&, const request&) -> response { throw std::runtime_error("no"); });
        all.post("/body", says("taken"));
        return all;
    }

    gate held_;
};

TEST_F(OwnAnswers, AreSeenBeforeThereIsARoute) {
    const running service(routes(), limits());
    const auto refused = service.ask("GET / HTTP/1.1\r\nHost: a\r\nBad Field: 1\r\n\r\n");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.header("X-Marked"), "of nothing");
    EXPECT_TRUE(refused.closes());
    const auto large = service.ask("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890");
    EXPECT_EQ(large.status, 413);
    EXPECT_EQ(large.header("X-Marked"), "/body");
    const auto slow = service.ask("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n012");
    EXPECT_EQ(slow.status, 408);
    EXPECT_EQ(slow.header("X-Marked"), "/body");
}

TEST_F(OwnAnswers, AreSeenInThePlaceOfAHandlers) {
    const running service(routes(), limits());
    const auto late = service.ask(get("/held", "X-Request-Timeout: 20ms\r\n"));
    EXPECT_EQ(late.status, 504);
    EXPECT_EQ(late.header("X-Marked"), "/held");
    held_.open();
    const auto thrown = service.ask(get("/throws"));
    EXPECT_EQ(thrown.status, 500);
    EXPECT_EQ(thrown.header("X-Marked"), "/throws");
}

TEST_F(OwnAnswers, AreSeenWhereThereIsNoPlace) {
    const running service(routes(), limits());
    auto first = service.connect();
    first.send(get("/held"));
    ASSERT_TRUE(eventually([&] { return held_.entries() == 1; }));
    const auto refused = service.ask(get("/throws"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.header("X-Marked"), "/throws");
    EXPECT_EQ(refused.header("Retry-After"), "1");
    held_.open();
    EXPECT_EQ(answer_of(first).status, 200);
}

TEST_F(OwnAnswers, KeepTheirStatus) {
    router guarded;
    guarded.use(marked());
    guarded.use(server::require_bearer({"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"}));
    guarded.post("/body", says("taken"));
    const running service(std::move(guarded), limits());
    EXPECT_EQ(service.ask(support::request("POST", "/body", {}, "x")).status, 401);
    const auto large = service.ask(support::request("POST", "/body", {}, "01234567890"));
    EXPECT_EQ(large.status, 413) << "not 401";
    EXPECT_EQ(large.header("WWW-Authenticate"), "");
    EXPECT_EQ(large.header("X-Marked"), "/body") << "and the one around it has seen it all the same";
}

TEST_F(OwnAnswers, AreAsTheyWereWhenAMiddlewareThrows) {
    router broken;
    broken.use(
        server::around(server::nothing_before, [](const request&, response&) { throw std::runtime_error("no"); }));
    broken.post("/body", says("taken"));
    const running service(std::move(broken), limits());
    EXPECT_EQ(service.ask(support::request("POST", "/body", {}, "01234567890")).status, 413);
}

TEST_F(OwnAnswers, AreNotThatOfAGroup) {
    router grouped;
    grouped.group("/api", [](router& api) {
        api.use(marked());
        api.post("/body", says("taken"));
    });
    const running service(std::move(grouped), limits());
    EXPECT_EQ(service.ask(support::request("POST", "/api/body", {}, "01234567890")).header("X-Marked"), "");
}

}  // namespace
}  // namespace serving
