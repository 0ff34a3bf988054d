// A server in this process, asked by a client that knows nothing of it.

#include "server/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "server/metrics.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(HttpServer, AnswersOnAFreePortWithDateAndRequestId) {
    const running app(router().get("/", says("hello")));
    EXPECT_THAT(app.server().address(), testing::MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
    const auto answer = app.ask(get("/"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_THAT(std::string(answer.header("Date")), testing::MatchesRegex("[A-Z][a-z][a-z], [0-9]+ .* GMT"));
    EXPECT_FALSE(answer.header("X-Request-Id").empty());
    EXPECT_FALSE(answer.closes());
}

TEST(HttpServer, KeepsAConnectionForManyRequests) {
    const running app(router().get("/", says("hello")).post("/echo", echo()));
    auto client = app.connect();
    for (int nth = 0; nth < 50; ++nth) {
        ASSERT_EQ(ask_on(client, get("/")).body, "hello");
        const std::string body(static_cast<std::size_t>(nth) * 1'000, 'x');
        ASSERT_EQ(ask_on(client, support::request("POST", "/echo", {}, body)).body, body);
    }
    EXPECT_EQ(app.server().now().accepted, 1U);
    EXPECT_EQ(app.server().now().requests, 100U);
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
    const running app(router().get("/", says("hello")));
    for (const auto* bytes : {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
        auto client = app.connect();
        const auto answer = client.exchange(bytes);
        ASSERT_TRUE(answer) << bytes;
        EXPECT_TRUE(answer->closes()) << bytes;
        EXPECT_TRUE(client.closes_silently(5s)) << bytes;
    }
    auto client = app.connect();
    for (int nth = 0; nth < 3; ++nth) {
        const auto answer = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->header("Connection"), "keep-alive");
    }
}

TEST(HttpServer, AnswersTheLastRequestOfAClientThatHasFinishedSending) {
    const running app(router().get("/", says("hello")));
    auto client = app.connect();
    client.send(get("/") + get("/"));
    client.finish_sending();
    EXPECT_EQ(answer_of(client).body, "hello");
    EXPECT_EQ(answer_of(client).body, "hello");
    EXPECT_TRUE(client.closes_silently(5s));
}

TEST(HttpServer, AnswersPipelinedRequestsInTheirOrderHoweverSlowTheFirstIs) {
    gate held;
    const running app(router().get("/slow", waits_at(held, "slow")).get("/fast", says("fast")).post("/echo", echo()));
    auto client = app.connect();
    client.send(get("/slow") + get("/fast") + support::request("POST", "/echo", {}, "body") + get("/none"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    held.open();
    EXPECT_EQ(answer_of(client).body, "slow");
    EXPECT_EQ(answer_of(client).body, "fast");
    EXPECT_EQ(answer_of(client).body, "body");
    EXPECT_EQ(answer_of(client).status, 404);
}

TEST(HttpServer, AnAnswerDoesNotWaitForTheHandlerOfTheRequestBehindIt) {
    gate held;
    const running app(router().get("/slow", waits_at(held, "slow")).get("/fast", says("fast")));
    auto client = app.connect(0, 2s);
    client.send(get("/fast") + get("/slow"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    EXPECT_EQ(answer_of(client).body, "fast");
    held.open();
    EXPECT_EQ(answer_of(client).body, "slow");
}

TEST(HttpServer, ARefusalOfAStopSaysWhenToComeBackAndAHandlersOwnWordStays) {
    const auto refuses = [](std::string_view after) {
        return [after](lifecycle::context, const request&) -> reply {
            auto refusal = server::problem(http::status::service_unavailable);
            if (!after.empty()) refusal.set("Retry-After", after);
            co_return refusal;
        };
    };
    running app(router().get("/", refuses("")).get("/own", refuses("7")).get("/well", says("hello")));
    EXPECT_EQ(app.ask(get("/")).header("Retry-After"), "");
    auto plain = app.connect(), own = app.connect(), well = app.connect();
    app.begin_stop();
    EXPECT_EQ(ask_on(plain, get("/")).header("Retry-After"), "1");
    EXPECT_EQ(ask_on(own, get("/own")).header("Retry-After"), "7");
    EXPECT_EQ(ask_on(well, get("/well")).header("Retry-After"), "");
}

TEST(HttpServer, AnswersThousandsOfPipelinedRequestsOnOneConnection) {
    const running app(router().get("/", says("hello")));
    auto client = app.connect();
    std::string bytes;
    for (int nth = 0; nth < 2'000; ++nth) bytes += get("/");
    client.send(bytes);
    for (int nth = 0; nth < 2'000; ++nth) ASSERT_EQ(answer_of(client).status, 200) << nth;
}

TEST(HttpServer, AHandlerThatThrowsIs500AndTheConnectionGoesOn) {
    running app(router()
                    .get("/", says("hello"))
                    .get("/throws",
                         [](lifecycle::context, const request&) -> reply {
                             throw std::runtime_error("of no interest to a client");
                             co_return response();
                         })
                    .get("/throws/before", [](lifecycle::context, const request&) -> reply { throw 1; }));
    auto client = app.connect();
    for (const auto* path : {"/throws", "/throws/before"}) {
        const auto answer = client.exchange(get(path));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 500);
        EXPECT_EQ(answer->body, "{\"title\":\"Internal Server Error\",\"status\":500}\n");
    }
    EXPECT_EQ(ask_on(client, get("/")).status, 200);
    app.stop();
    EXPECT_THAT(app.log(), HasSubstr("GET /throws failed: of no interest to a client"));
}

TEST(HttpServer, ReadsABodyByLengthOrInChunksHoweverItComes) {
    const running app(router().post("/echo", echo()));
    auto client = app.connect();
    const std::string body(300'000, 'b');
    EXPECT_EQ(ask_on(client, support::request("POST", "/echo", {}, body)).body, body);
    std::string chunks;
    for (int nth = 0; nth < 3'000; ++nth) chunks += "64;x=y\r\n" + std::string(100, 'b') + "\r\n";
    const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(ask_on(client, head + chunks + "0\r\nA: b\r\n\r\n").body, body);
    for (const char byte : head + "3\r\nabc\r\n0\r\n\r\n") client.send({&byte, 1});
    EXPECT_EQ(answer_of(client).body, "abc");
}

TEST(HttpServer, SaysContinueOnlyWhenItWillReadTheBody) {
    const running app(router().post("/echo", echo()));
    const std::string fields = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    auto client = app.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
    ASSERT_EQ(answer_of(client).status, 100);
    EXPECT_EQ(ask_on(client, "abc").body, "abc");
    EXPECT_EQ(ask_on(client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").body, "x");

    auto unknown = app.connect();
    const auto answer = unknown.exchange("POST /none HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 404);
    EXPECT_TRUE(answer->closes());

    auto large = app.connect();
    const auto refused =
        large.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 413);
}

TEST(HttpServer, KeepsASoundRequestIdAndMakesOneOtherwise) {
    const running app(router().get("/", [](lifecycle::context, const request& asked) -> reply {
        co_return response(http::status::ok, std::string(asked.id));
    }));
    auto client = app.connect();
    const auto kept = client.exchange(get("/", "X-Request-Id: My.id:1_2-3\r\n"));
    EXPECT_EQ(kept->header("X-Request-Id"), "My.id:1_2-3");
    EXPECT_EQ(kept->body, "My.id:1_2-3");
    std::set<std::string> made;
    const std::string tedious(129, 'a');
    for (const auto& id : {std::string("a b"), std::string("<script>"), tedious, std::string()}) {
        const auto answer = client.exchange(get("/", "X-Request-Id: " + id + "\r\n"));
        EXPECT_NE(answer->header("X-Request-Id"), id);
        EXPECT_EQ(answer->header("X-Request-Id"), answer->body);
        made.insert(answer->body);
    }
    EXPECT_EQ(made.size(), 4U);
}

TEST(HttpServer, AnswersHeadOptions404And405) {
    const running app(router().get("/a", says("hello")));
    const auto head = app.ask("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", true);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.header("Content-Length"), "5");
    EXPECT_EQ(app.ask(get("/b")).status, 404);
    const auto refused = app.ask(support::request("POST", "/a"));
    EXPECT_EQ(refused.status, 405);
    EXPECT_EQ(refused.header("Allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(app.ask(support::request("OPTIONS", "/a")).header("Allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(app.ask(support::request("OPTIONS", "*")).status, 204);
    EXPECT_EQ(app.ask(support::request("CONNECT", "a:443")).status, 501);
}

TEST(HttpServer, WhatIsNoRequestIsAnsweredAndClosedAfterTheAnswersBeforeIt) {
    const running app(router().get("/", says("hello")));
    auto client = app.connect();
    client.send(get("/") + "nonsense\r\n\r\n" + get("/"));
    EXPECT_EQ(answer_of(client).status, 200);
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400);
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(client.closes_silently(5s));
    EXPECT_TRUE(eventually([&] { return app.server().now().open == 0; }));
}

TEST(HttpServer, ServesManyConnectionsOnSeveralLoops) {
    auto options = one_loop();
    options.threads = 3;
    const running app(router().get("/", says("hello")), options);
    std::vector<support::client> clients;
    clients.reserve(60);
    for (int nth = 0; nth < 60; ++nth) clients.push_back(app.connect());
    for (int round = 0; round < 5; ++round) {
        for (auto& client : clients) client.send(get("/"));
        for (auto& client : clients) ASSERT_EQ(answer_of(client).status, 200);
    }
    EXPECT_EQ(app.server().now().open, 60U);
    EXPECT_EQ(app.server().now().requests, 300U);
}

TEST(HttpServer, CountsWhatItHasDone) {
    const running app(router().get("/a", says("hello")));
    auto client = app.connect();
    for (int nth = 0; nth < 3; ++nth) client.exchange(get("/a"));
    client.exchange(get("/b"));
    ASSERT_TRUE(eventually([&] { return app.server().now().requests == 4; }));
    server::metrics_text out;
    app.server().write_metrics(out);
    const auto text = out.take();
    EXPECT_THAT(text, HasSubstr("http_requests_total{server=\"app\",route=\"GET /a\",code=\"2xx\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("http_requests_total{server=\"app\",route=\"unmatched\",code=\"4xx\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("http_request_duration_seconds_count{server=\"app\",route=\"GET /a\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("http_connections_accepted_total{server=\"app\"} 1\n"));
}

TEST(HttpServer, AnIdleConnectionThatHasGivenItsBufferBackIsServedAgain) {
    const running app(router().get("/", says("hello")));
    auto client = app.connect();
    for (int nth = 0; nth < 2; ++nth) {
        ASSERT_EQ(ask_on(client, get("/")).status, 200);
        EXPECT_FALSE(client.closes_silently(1'500ms));  // longer than a connection keeps what it does not use
    }
    EXPECT_EQ(ask_on(client, get("/")).status, 200);
}

TEST(HttpServer, NamesTheRouteThatHasHeldUpItsLoop) {
    const auto computes = [](lifecycle::context, const request&) -> reply {
        const auto end = clock::now() + 250ms;
        while (clock::now() < end) {}
        co_return response(http::status::ok, "computed");
    };
    running app(router().get("/sums", computes).get("/", says("quick")));
    EXPECT_EQ(app.ask(get("/")).status, 200);
    EXPECT_EQ(app.ask(get("/sums", "X-Request-Id: heavy\r\n")).status, 200);
    EXPECT_EQ(app.ask(get("/")).status, 200);
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("app-1 stood still for [0-9]+ ms, [0-9]+ ms of CPU time: "
                                         "GET /sums \\(request heavy\\)"));
}

TEST(HttpServer, RefusesAnAddressThatIsTakenWithOneLine) {
    const running app((router()));
    auto options = one_loop();
    options.port = support::endpoint(app.server().address()).port;
    try {
        const running second(router(), options);
        FAIL() << "two servers on one port";
    } catch (const std::exception& error) {
        EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("127.0.0.1"), HasSubstr(std::to_string(options.port))));
        EXPECT_THAT(error.what(), testing::Not(HasSubstr("\n")));
    }
}

}  // namespace
}  // namespace serving
