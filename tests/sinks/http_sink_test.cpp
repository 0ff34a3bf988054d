#include "tracker/http/http_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/sinks/fake_server.hpp"
#include "tests/support/in_time.hpp"
#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::fake_server;
using fakes::make_event;
using reply = fake_server::reply;
using testing::HasSubstr;
using testing::StartsWith;
using batch = std::vector<tracker::event>;

reply status(const std::string& line, const std::string& headers = "") {
    return {.bytes = "HTTP/1.1 " + line + "\r\n" + headers + "Content-Length: 2\r\n\r\nno"};
}

struct HttpSink : testing::Test {
    tracker::http_sink to(const std::string& url) {
        tracker::options options;
        options.http.url = url;
        options.http.timeout = timeout;
        options.http.authorization = "Bearer secret";
        return tracker::http_sink(options, [this] { return flush_until.load(); });
    }
    /// What a try of a delivery says; empty when it succeeds.
    static std::string failure(tracker::http_sink& sink, const batch& events) try {
        sink.deliver(events);
        return "";
    } catch (const tracker::refused& error) {
        const bool certain = error.what_of() == tracker::refused::about::the_events;
        return (certain ? "of the events: " : "perhaps of the events: ") + std::string(error.what());
    } catch (const std::exception& error) {
        return error.what();
    }

    std::chrono::milliseconds timeout{10s};
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
    batch two{make_event("a"), make_event("b")};
};

TEST_F(HttpSink, PostsABatchAsLinesOnAConnectionThatIsKept) {
    fake_server server([](std::size_t, const auto&) { return reply(); });
    auto sink = to(server.url());
    EXPECT_EQ(failure(sink, two), "");
    EXPECT_EQ(failure(sink, {two[0]}), "");
    ASSERT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(server.connections(), 1U);
    const auto first = server.requests()[0];
    EXPECT_THAT(first.head, StartsWith("POST /in?a=b HTTP/1.1\r\nHost: 127.0.0.1:"));
    EXPECT_EQ(first.header("Content-Type"), "application/x-ndjson");
    EXPECT_EQ(first.header("Authorization"), "Bearer secret");
    std::string lines;
    for (const auto& event : two) {
        tracker::append_json(lines, event);
        lines += '\n';
    }
    EXPECT_EQ(first.body, lines);
}

TEST_F(HttpSink, SendsTheNewestAuthorizationOnTheConnectionThatItHas) {
    fake_server server([](std::size_t, const auto&) { return reply(); });
    auto sink = to(server.url());
    tracker::options fresh;
    for (const auto* value : {"Bearer new", "Bearer newer", ""}) {
        EXPECT_EQ(failure(sink, two), "");
        fresh.http.authorization = value;
        sink.apply(fresh);
    }
    EXPECT_EQ(failure(sink, two), "");
    std::vector<std::string> sent;
    for (const auto& request : server.requests()) sent.push_back(request.header("Authorization"));
    EXPECT_THAT(sent, testing::ElementsAre("Bearer secret", "Bearer new", "Bearer newer", ""));
    EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpSink, ABatchThatIsTriedAgainHasTheSameKeyAndAnotherOneHasNot) {
    fake_server server([](std::size_t number, const auto&) { return number == 1 ? status("500 Oops") : reply(); });
    auto sink = to(server.url());
    EXPECT_THAT(failure(sink, two), HasSubstr("500"));
    EXPECT_EQ(failure(sink, two), "");
    EXPECT_EQ(failure(sink, {two[1]}), "");
    const auto requests = server.requests();
    EXPECT_FALSE(requests[0].header("Idempotency-Key").empty());
    EXPECT_EQ(requests[0].header("Idempotency-Key"), requests[1].header("Idempotency-Key"));
    EXPECT_NE(requests[0].header("Idempotency-Key"), requests[2].header("Idempotency-Key"));
}

TEST_F(HttpSink, ADeadServerIsAFailure) {
    std::string url;
    {
        url = fake_server([](std::size_t, const auto&) { return reply(); }).url();
    }
    auto sink = to(url);
    EXPECT_THAT(failure(sink, two), HasSubstr("connect"));
}

TEST_F(HttpSink, AHangingServerCostsTheTimeOutAtMost) {
    fake_server server([](std::size_t number, const auto&) {
        return number == 1 ? reply{.bytes = "", .after = reply::then::hang} : reply();
    });
    timeout = 100ms;
    auto sink = to(server.url());
    const auto began = clock::now();
    EXPECT_THAT(failure(sink, two), HasSubstr("no time is left"));
    EXPECT_TRUE(support::in_time(clock::now() - began, 5s));
    EXPECT_EQ(failure(sink, two), "");
}

TEST_F(HttpSink, ATricklingServerCostsTheTimeOutAtMost) {
    fake_server server([](std::size_t, const auto&) {
        return reply{.bytes = status("200 OK").bytes + std::string(1000, 'x'), .trickle_ms = 50};
    });
    timeout = 300ms;
    auto sink = to(server.url());
    const auto began = clock::now();
    EXPECT_THAT(failure(sink, two), HasSubstr("no time is left"));
    EXPECT_TRUE(support::in_time(clock::now() - began, 5s));
}

TEST_F(HttpSink, AStopCutsAnExchangeShort) {
    fake_server server([](std::size_t, const auto&) { return reply{.bytes = "", .after = reply::then::hang}; });
    timeout = 1h;
    auto sink = to(server.url());
    std::jthread second_signal([&] {
        EXPECT_TRUE(fakes::eventually([&] { return server.requests().size() == 1; }));
        flush_until = clock::now();
    });
    EXPECT_THAT(failure(sink, two), HasSubstr("no time is left"));
}

TEST_F(HttpSink, NothingIsSentBeforeRetryAfter) {
    fake_server server([](std::size_t number, const auto&) {
        return number == 1 ? status("503 Busy", "Retry-After: 1\r\n") : reply();
    });
    auto sink = to(server.url());
    const auto began = clock::now();
    EXPECT_THAT(failure(sink, two), HasSubstr("Retry-After 1 s"));
    EXPECT_THAT(failure(sink, two), HasSubstr("left alone"));
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_TRUE(fakes::eventually([&] { return failure(sink, two).empty(); }));
    EXPECT_GE(clock::now() - began, 1s);
    EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpSink, RetryAfterMayBeADateAndIsNotBelievedForEver) {
    fake_server server(
        [](std::size_t, const auto&) { return status("429 Slow", "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"); });
    auto sink = to(server.url());
    EXPECT_THAT(failure(sink, two), HasSubstr("Retry-After 600 s"));
}

TEST_F(HttpSink, AConnectionThatIsResetInTheMiddleIsAFailureAndTheNextTryDelivers) {
    fake_server server([](std::size_t number, const auto&) {
        return number == 1 ? reply{.bytes = "HTTP/1.1 200 OK\r\nContent-Le", .after = reply::then::reset} : reply();
    });
    auto sink = to(server.url());
    EXPECT_THAT(failure(sink, two), HasSubstr("receive"));
    EXPECT_EQ(failure(sink, two), "");
}

TEST_F(HttpSink, AKeptConnectionThatTheServerHasClosedIsNoFailure) {
    fake_server server([](std::size_t, const auto&) { return reply{.after = reply::then::close}; });
    auto sink = to(server.url());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(failure(sink, two), "");
    EXPECT_EQ(server.connections(), 3U);
}

TEST_F(HttpSink, InterimAnswersAreNoneInOnePieceAndInMany) {
    for (const int trickle : {0, 1}) {
        fake_server server([&](std::size_t number, const auto&) {
            const std::string last = number == 2 ? status("503 Busy").bytes : reply().bytes;
            return reply{.bytes = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + last,
                         .trickle_ms = trickle};
        });
        auto sink = to(server.url());
        EXPECT_EQ(failure(sink, two), "");
        EXPECT_THAT(failure(sink, two), HasSubstr("503")) << "each answer is that of its own request";
        EXPECT_EQ(failure(sink, two), "");
        EXPECT_EQ(server.requests().size(), 3U);
        EXPECT_EQ(server.connections(), 1U);
    }
}

TEST_F(HttpSink, AnAnswerThatNobodyHasAskedForIsNotTakenForTheNextOne) {
    fake_server server([&](std::size_t number, const auto&) {
        return number == 1 ? reply{.bytes = reply().bytes + reply().bytes} : status("503 Busy");
    });
    auto sink = to(server.url());
    EXPECT_EQ(failure(sink, two), "");
    EXPECT_THAT(failure(sink, two), HasSubstr("503"));
}

TEST_F(HttpSink, ALongAnswerIsKnownByItsHead) {
    fake_server server([](std::size_t, const auto&) {
        return reply{.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'x')};
    });
    auto sink = to(server.url());
    EXPECT_EQ(failure(sink, two), "");
    EXPECT_EQ(failure(sink, two), "");
    EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpSink, AnAnswerAboutTheAddressTheRightToItOrTheMomentSpeaksOfNoEvent) {
    for (const auto code : {401, 402, 403, 404, 405, 407, 408, 409, 410, 411, 415, 421,
                            423, 425, 426, 428, 429, 431, 451, 301, 500, 503, 599}) {
        fake_server server([&](std::size_t, const auto&) { return status(std::to_string(code) + " No"); });
        auto sink = to(server.url());
        EXPECT_EQ(failure(sink, two), "the server answered " + std::to_string(code));
        EXPECT_EQ(server.requests().size(), 1U);
    }
}

TEST_F(HttpSink, TwoStatusesSpeakOfTheEventsAndAllOthersOfTheKindPerhaps) {
    for (const auto code : {413, 422}) {
        fake_server server([&](std::size_t, const auto&) { return status(std::to_string(code) + " No"); });
        auto sink = to(server.url());
        EXPECT_EQ(failure(sink, two), "of the events: the server answered " + std::to_string(code));
    }
    for (const auto code : {400, 406, 412, 418, 424, 444}) {
        fake_server server([&](std::size_t, const auto&) { return status(std::to_string(code) + " No"); });
        auto sink = to(server.url());
        EXPECT_EQ(failure(sink, two), "perhaps of the events: the server answered " + std::to_string(code));
    }
}

TEST_F(HttpSink, WhoSaysWhenToComeAgainSpeaksOfTheMoment) {
    fake_server server([](std::size_t, const auto&) { return status("413 Too Much", "Retry-After: 5\r\n"); });
    auto sink = to(server.url());
    EXPECT_EQ(failure(sink, two), "the server answered 413, Retry-After 5 s");
}

TEST_F(HttpSink, SaysWhatIsWrongWithAnAddress) {
    for (const auto* url :
         {"", "ftp://a/b", "http://", "a b", "http://user:hunter2@host/", "http://host:0/", "http://host:70000/",
          "ftp://user:hunter2@a/?hunter2", "ftp://user:hun/ter2@a", "user:hunter2@a", "http://a b/?hunter2"})
        try {
            to(url);
            ADD_FAILURE() << url;
        } catch (const std::runtime_error& error) {
            EXPECT_THAT(error.what(), HasSubstr("tracker.http_url"));
            EXPECT_THAT(error.what(), testing::Not(testing::AnyOf(HasSubstr("hun"), HasSubstr("ter2"))));
        }
}

}  // namespace
