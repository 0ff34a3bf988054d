// Middleware that is used outside of groups sees what the server itself answers, adds to it, and does not change it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "configs/values.hpp"
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

/// Says whom it takes for the client, through whom that has come, how, and for which route.
server::middleware says_who() {
    return server::around(server::nothing_before, [](const request& asked, response& answer) {
        answer.set("X-Who", asked.client().text() + " by " + asked.peer.host() + ' ' + std::string(asked.scheme) +
                                " for " + (asked.route.empty() ? "nothing" : std::string(asked.route)));
    });
}

/// What is asked, how it is answered, and for which route.
struct trial {
    std::string bytes;
    int status;
    std::string route;
};
const std::vector<trial> all_kinds = {
    {get("/"), 200, "GET /"},
    {get("/none"), 404, "nothing"},
    {support::request("PUT", "/", {}, "x"), 405, "nothing"},
    {get("/", "X-Request-Timeout: soon\r\n"), 400, "GET /"},
    {support::request("POST", "/body", "Content-Encoding: gzip\r\n", "x"), 415, "POST /body"},
    {"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413, "nothing"},
    {"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", 404, "nothing"},
    {"GET / HTTP/1.1\r\nHost: a\r\nBad Field: 1\r\n\r\n", 400, "nothing"}};

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

TEST_F(OwnAnswers, SayWhoAsksAndNotWhoDidBefore) {
    auto options = limits();
    options.proxy_protocol = true;
    const running service(router().use(says_who()).get("/", says("hello")).post("/body", says("taken")), options);
    for (int nth = 1; const auto& [bytes, status, route] : all_kinds) {
        const auto host = "192.0.2." + std::to_string(nth);
        const auto port = std::to_string(1'000 + nth++);
        auto header = "PROXY TCP4 " + host + " 198.51.100.2 ";
        header.append(port).append(" 443\r\n");
        const auto answer = service.ask(header + bytes);
        EXPECT_EQ(answer.status, status) << bytes;
        EXPECT_EQ(answer.header("X-Who"), host + ':' + port + " by 127.0.0.1 http for " + route) << bytes;
    }
}

TEST_F(OwnAnswers, SayWhomATrustedProxyHasNamedForThisRequest) {
    auto options = limits();
    options.trusted_proxies = *configs::parse_trusted("127.0.0.1");
    const running service(router().use(says_who()).get("/", says("hello")), options);
    auto proxy = service.connect();
    const auto who = [&](const std::string& path, const std::string& fields) {
        return std::string(ask_on(proxy, get(path, fields)).header("X-Who"));
    };
    const std::string first = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    EXPECT_EQ(who("/", first), "192.0.2.1:0 by 127.0.0.1 https for GET /");
    EXPECT_EQ(who("/none", "X-Forwarded-For: 192.0.2.2\r\n"), "192.0.2.2:0 by 127.0.0.1 http for nothing");
    EXPECT_EQ(who("/none", first), "192.0.2.1:0 by 127.0.0.1 https for nothing");
    proxy.send(get("/", first) + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    EXPECT_EQ(answer_of(proxy).header("X-Who"), "192.0.2.1:0 by 127.0.0.1 https for GET /");
    const auto large = answer_of(proxy);
    EXPECT_EQ(large.status, 413);
    EXPECT_THAT(std::string(large.header("X-Who")),
                testing::MatchesRegex("127.0.0.1:.* by 127.0.0.1 http for nothing"));
    proxy = service.connect();
    const auto own = who("/none", {});
    EXPECT_TRUE(own.starts_with("127.0.0.1:") && own.ends_with(" by 127.0.0.1 http for nothing")) << own;
    const auto handled = who("/", {});
    EXPECT_TRUE(handled.starts_with("127.0.0.1:") && handled.ends_with(" by 127.0.0.1 http for GET /")) << handled;
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
