// What a server does about time, about too much, and about clients and handlers that do not behave.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <semaphore>

#include "server/loop.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using lifecycle::cause;
using testing::HasSubstr;

TEST(HttpServerDeadline, AHandlerThatEndsWithItsContextIs504) {
    gate held;
    auto options = one_loop();
    options.request_timeout = 50ms;
    const running app(router().get("/", waits_at(held)), options);
    EXPECT_EQ(app.ask(get("/")).status, 504);
    EXPECT_EQ(held.seen(), cause::deadline);
}

TEST(HttpServerDeadline, AHandlerThatIgnoresItsContextIs504TooAndItsAnswerIsDropped) {
    gate held;
    auto options = one_loop();
    options.request_timeout = 50ms;
    running app(router().get("/stubborn", stubborn_at(held)).get("/", says("hello")), options);
    auto client = app.connect();
    client.send(get("/stubborn") + get("/"));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 504);
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(client.closes_silently(5s));
    EXPECT_EQ(app.ask(get("/")).status, 200) << "the loop goes on";
    held.open();
    app.stop();
    EXPECT_THAT(app.log(), HasSubstr("GET /stubborn has not ended with its context"));
}

TEST(HttpServerDeadline, AClientMayShortenItButNotLengthenIt) {
    gate held;
    auto options = one_loop();
    options.request_timeout = 1h;  // longer than a client of these tests waits
    {
        const running patient(router().get("/", waits_at(held)), options);
        EXPECT_EQ(patient.ask(get("/", "X-Request-Timeout: 1ms\r\n")).status, 504);
    }
    options.request_timeout = 200ms;
    const running brief(router().get("/", waits_at(held)), options);
    const auto began = clock::now();
    EXPECT_EQ(brief.ask(get("/", "X-Request-Timeout: 60m\r\n")).status, 504);
    EXPECT_GE(clock::now() - began, 200ms);
}

TEST(HttpServerDeadline, ATimeoutThatIsNoneIs400) {
    const running app(router().get("/", says("hello")));
    for (const auto* value : {"1", "ms", "-1ms", "1.5s", "1h", "1 s", "99999999999999999999ms", "1ms1"})
        EXPECT_EQ(app.ask(get("/", "X-Request-Timeout: " + std::string(value) + "\r\n")).status, 400) << value;
    for (const auto* value : {"100ms", "2s", "3m"})
        EXPECT_EQ(app.ask(get("/", "X-Request-Timeout: " + std::string(value) + "\r\n")).status, 200) << value;
}

TEST(HttpServerClientGone, AFinWhileAHandlerWaitsEndsItsContextAndWhatItReturnsIsWritten) {
    gate held;
    const running app(router().get("/", waits_at(held, "to the other half")));
    auto client = app.connect();
    client.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    client.finish_sending();
    EXPECT_EQ(answer_of(client).body, "to the other half");
    EXPECT_EQ(held.seen(), cause::client_gone);
}

TEST(HttpServerClientGone, AResetEndsTheContextAlthoughBytesArePipelinedBehind) {
    for (const auto& behind : {std::string(), get("/"), std::string(100'000, 'x')}) {
        gate held;
        const running app(router().get("/", waits_at(held)));
        auto client = app.connect();
        client.send(get("/") + behind);
        ASSERT_TRUE(eventually([&] { return held.entered(); }));
        client.reset();
        EXPECT_TRUE(eventually([&] { return held.seen() == cause::client_gone; })) << behind.size();
        held.open();
        EXPECT_TRUE(eventually([&] { return app.server().now().open == 0; }));
    }
}

TEST(HttpServerOverload, AboveTheLimitIs503AndProbesAreAnswered) {
    gate held;
    auto options = one_loop();
    options.max_in_flight = 2;
    const running app(router().get("/slow", waits_at(held)).probe("/livez", says("ok")), options);
    auto first = app.connect(), second = app.connect(), third = app.connect();
    first.send(get("/slow"));
    second.send(get("/slow"));
    ASSERT_TRUE(eventually([&] { return held.entries() == 2; }));
    EXPECT_EQ(app.server().now().in_flight, 2U);
    const auto refused = third.exchange(get("/slow"));
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 503);
    EXPECT_FALSE(refused->header("Retry-After").empty());
    EXPECT_EQ(ask_on(third, get("/livez")).status, 200);
    held.open();
    EXPECT_EQ(answer_of(first).status, 200);
    EXPECT_EQ(answer_of(second).status, 200);
    EXPECT_EQ(ask_on(third, get("/slow")).status, 200);
}

TEST(HttpServerOverload, AtTheLimitOfConnectionsTheOneIdleLongestMakesRoom) {
    gate held;
    auto options = one_loop();
    options.max_connections = 3;
    const running app(router().get("/", says("hello")).get("/slow", waits_at(held)), options);
    auto busy = app.connect();
    busy.send(get("/slow"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    auto oldest = app.connect();
    EXPECT_EQ(ask_on(oldest, get("/")).status, 200);
    auto younger = app.connect();
    EXPECT_EQ(ask_on(younger, get("/")).status, 200);
    auto next = app.connect();
    EXPECT_EQ(ask_on(next, get("/")).status, 200);
    EXPECT_TRUE(oldest.closes_silently(5s));
    EXPECT_EQ(ask_on(younger, get("/")).status, 200);
    held.open();
    EXPECT_EQ(answer_of(busy).status, 200) << "busy ones are left alone";
}

TEST(HttpServerOverload, WhenAllAreBusyANewConnectionWaits) {
    gate held;
    auto options = one_loop();
    options.max_connections = 1;
    const running app(router().get("/", says("hello")).get("/slow", waits_at(held)), options);
    auto busy = app.connect();
    busy.send(get("/slow"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    auto waiting = app.connect();
    waiting.send(get("/"));
    EXPECT_FALSE(waiting.closes_silently(50ms));
    held.open();
    EXPECT_EQ(answer_of(busy).status, 200);
    EXPECT_EQ(answer_of(waiting).status, 200);
}

TEST(HttpServerLimits, TheLastRequestOfAConnectionSaysClose) {
    auto options = one_loop();
    options.max_requests = 3;
    const running app(router().get("/", says("hello")), options);
    auto client = app.connect();
    for (int nth = 1; nth <= 3; ++nth) EXPECT_EQ(ask_on(client, get("/")).closes(), nth == 3) << nth;
    EXPECT_TRUE(client.closes_silently(5s));
}

TEST(HttpServerLimits, WhatIsPipelinedBehindTheLastRequestIsAnsweredFirst) {
    auto options = one_loop();
    options.max_requests = 3;
    const running app(router().get("/", says("hello")), options);
    auto client = app.connect();
    std::string many;
    for (int nth = 0; nth < 20; ++nth) many += get("/");
    client.send(many);
    for (int nth = 1; nth <= 20; ++nth) {
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << nth;
        EXPECT_EQ(answer->closes(), nth == 20) << nth;
    }
    EXPECT_TRUE(client.closes_silently(5s));
}

TEST(HttpServerLimits, APipelineThatIsAlwaysFullEndsTooBehindWhatHadComeByThen) {
    auto options = one_loop();
    options.max_requests = 1'000;
    const running app(router().get("/", says("hello")), options);
    auto client = app.connect();
    std::string many;
    for (int nth = 0; nth < 1'000; ++nth) many += get("/");
    std::size_t answers = 0;
    bool said_close = false;
    for (int nth = 0; nth < 3; ++nth) client.send(many);
    while (!said_close && answers < 100'000) {
        if (answers % 1'000 == 0) client.send(many);
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << answers;
        ++answers;
        said_close = answer->closes();
    }
    const auto fit = 2 * options.max_pipelined_bytes / get("/").size();
    EXPECT_TRUE(said_close);
    EXPECT_GE(answers, options.max_requests);
    EXPECT_LE(answers, options.max_requests + fit);
    EXPECT_EQ(client.receive_to_end(), "");
}

server::options impatient() {
    auto options = one_loop();
    options.header_timeout = 100ms;
    options.body_timeout = 100ms;
    options.idle_timeout = 100ms;
    options.write_timeout = 100ms;
    return options;
}

TEST(HttpServerTimeout, AHeadOrABodyThatDoesNotBecomeWholeIs408) {
    const running app(router().get("/", says("hello")).post("/", echo()), impatient());
    for (const auto* begun :
         {"G", "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx",
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"}) {
        auto client = app.connect();
        const auto answer = client.exchange(begun);
        ASSERT_TRUE(answer) << begun;
        EXPECT_EQ(answer->status, 408) << begun;
        EXPECT_TRUE(answer->closes()) << begun;
        EXPECT_TRUE(client.closes_silently(5s)) << begun;
    }
}

TEST(HttpServerTimeout, ALaterHeadIs408Too) {
    const running app(router().get("/", says("hello")), impatient());
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/")).status, 200);
    EXPECT_EQ(ask_on(client, "GET / HT").status, 408);
}

TEST(HttpServerTimeout, AByteNowAndThenDoesNotMoveTheDeadlineOfAHead) {
    const running app(router().get("/", says("hello")), impatient());
    auto client = app.connect();
    client.send("GET / HTTP/1.1\r\nA: ");
    const auto began = clock::now();
    while (!client.closes_silently(20ms) && client.ended() == support::client::ending::late && !client.partial()) {
        ASSERT_LT(clock::now() - began, 10s);
        client.send("b");
    }
    EXPECT_THAT(client.receive_to_end(), testing::StartsWith("HTTP/1.1 408 "));
}

TEST(HttpServerTimeout, WhoHasSentNothingIsClosedWithoutAWord) {
    const running app(router().get("/", says("hello")), impatient());
    auto fresh = app.connect();
    auto blank = app.connect();
    blank.send("\r\n");
    auto idle = app.connect();
    EXPECT_EQ(ask_on(idle, get("/")).status, 200);
    EXPECT_TRUE(fresh.closes_silently(10s));
    EXPECT_TRUE(blank.closes_silently(10s));
    EXPECT_TRUE(idle.closes_silently(10s));
}

/// Asks a server what lives on its loops, from a loop of our own.
std::vector<server::http_server::loop_report> inspect(server::http_server& server) {
    std::vector<server::http_server::loop_report> reports;
    boost::asio::io_context asking(1);
    boost::asio::co_spawn(asking.get_executor(), server.inspect(100ms),
                          [&](std::exception_ptr error, std::vector<server::http_server::loop_report> seen) {
                              EXPECT_FALSE(error);
                              reports = std::move(seen);
                          });
    asking.run();
    return reports;
}

TEST(HttpServerInspect, AWedgedLoopIsAnEntryAndNotAHang) {
    std::binary_semaphore entered(0), go_on(0);
    running app(router().get("/wedge", [&](lifecycle::context, const request&) -> reply {
        entered.release();
        go_on.acquire();
        co_return response(http::status::ok, "at last");
    }));
    auto client = app.connect();
    client.send(get("/wedge"));
    entered.acquire();
    const auto wedged = inspect(app.server());
    ASSERT_EQ(wedged.size(), 1U);
    EXPECT_EQ(wedged[0].name, "app-1");
    EXPECT_FALSE(wedged[0].answered);
    EXPECT_EQ(wedged[0].last_entered, "GET /wedge");
    EXPECT_GT(wedged[0].thread, 0);
    go_on.release();
    EXPECT_EQ(answer_of(client).body, "at last");
    EXPECT_TRUE(inspect(app.server())[0].answered);
}

TEST(HttpServerInspect, ShowsRequestsWithAgeStateAndTheLineAtWhichTheyWait) {
    gate held;
    running app(router().get("/slow/{x}", waits_at(held)));
    auto client = app.connect(), idle = app.connect();
    client.send(get("/slow/1", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n"));
    ASSERT_TRUE(eventually([&] { return held.entered() && app.server().now().open == 2; }));
    const auto reports = inspect(app.server());
    ASSERT_EQ(reports.size(), 1U);
    ASSERT_TRUE(reports[0].answered);
    std::vector<std::string> seen;
    for (const auto& row : reports[0].tasks)
        seen.push_back(row.kind + ' ' + row.name + ' ' + row.state + ' ' + row.trace);
    EXPECT_THAT(seen, testing::IsSupersetOf({"request GET /slow/{x} handling 4bf92f3577b34da6a3ce929d0e0e4736",
                                             "connection connection fresh ", "listener listener waiting ",
                                             "timer tick waiting "}));
    held.open();
    EXPECT_EQ(answer_of(client).status, 200);
}

TEST(HttpServerStop, WhatHasBegunIsAnsweredWithConnectionCloseAndAccountedFor) {
    gate held;
    running app(router().get("/", says("hello")).get("/slow", waits_at(held)));
    auto busy = app.connect(), idle = app.connect(), half = app.connect();
    EXPECT_EQ(ask_on(idle, get("/")).status, 200);
    half.send("GET / HTTP/1.1\r\nHo");
    busy.send(get("/slow") + get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered() && app.server().now().idle == 1; }));
    std::jthread stopping([&] { app.stop(); });
    EXPECT_TRUE(idle.closes_silently(10s));
    half.send("st: a\r\n\r\n");
    const auto completed = half.receive();
    ASSERT_TRUE(completed);
    EXPECT_EQ(completed->status, 200);
    EXPECT_TRUE(completed->closes());
    held.open();
    const auto first = busy.receive();
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->closes()) << "the header goes on the last response of what has been received";
    const auto last = busy.receive();
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->closes());
    stopping.join();
    server::stop_account report;
    app.server().account(report);
    EXPECT_EQ(report.connections.open_at_stop + report.connections.accepted_after, 3U);
    EXPECT_EQ(report.connections.closed_idle, 1U);
    EXPECT_EQ(report.connections.finished, 2U);
    EXPECT_EQ(report.connections.forced, 0U);
    EXPECT_EQ(report.requests.finished, 3U);
    EXPECT_EQ(report.requests.cut, 0U);
}

TEST(HttpServerStop, TheAccountBeginsAnewWhenALoopStoodStillBetweenTwoStops) {
    std::promise<void> entered, let_go;
    const auto stands_still = [&](const lifecycle::context&, const request&) {
        entered.set_value();
        let_go.get_future().wait();
        return response(http::status::ok, "went on");
    };
    running app(router().get("/", says("hello")).get("/stands-still", stands_still));
    auto first = app.connect(), second = app.connect();
    app.begin_stop();
    EXPECT_EQ(ask_on(first, get("/")).status, 200) << "the loop knows of this stop";
    second.send(get("/stands-still"));
    entered.get_future().wait();
    EXPECT_TRUE(app.leave_stop());
    app.begin_stop();
    let_go.set_value();
    EXPECT_EQ(answer_of(second).status, 200);
    app.stop();
    server::stop_account report;
    app.server().account(report);
    EXPECT_EQ(report.requests.in_flight_at_stop, 1U);
    EXPECT_EQ(report.requests.begun_after, 0U) << "of the stop before";
    EXPECT_EQ(report.requests.finished, 1U);
    EXPECT_EQ(report.connections.accepted_after, 0U);
}

TEST(HttpServerStop, AServerWithoutConnectionsIsHomeAtOnce) {
    running app((router()));
    app.stop();  // or this test does not end
    EXPECT_FALSE(app.failure());
}

}  // namespace
}  // namespace serving
