// A tracker with the sink http and a server that refuses: what is an event's fault becomes a dead letter, what is the
// server's is tried again, and what has been settled stays settled.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <set>

#include "tests/sinks/fake_server.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/failure_log.hpp"
#include "tracker/http/http_sink.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::eventually;
using fakes::fake_server;
using fakes::make_event;
using reply = fake_server::reply;
using testing::HasSubstr;
using tracker::verdict;

reply status(int code) { return {.bytes = "HTTP/1.1 " + std::to_string(code) + " So\r\nContent-Length: 0\r\n\r\n"}; }

/// The ids in a body, or in a file of dead letters.
std::multiset<std::string> ids_in(const std::string& text) {
    std::multiset<std::string> ids;
    const std::string before = "{\"id\":\"";
    for (auto at = text.find(before); at != text.npos; at = text.find(before, at + 1)) {
        const auto from = at + before.size();
        ids.insert(text.substr(from, text.find('"', from) - from));
    }
    return ids;
}

/// What a server has taken, and one that refuses the events whose data is "poison".
struct taking_server {
    explicit taking_server(int refusal) : refusal_(refusal) {}

    reply operator()(const fake_server::request& request) {
        if (bad != 0) return status(bad);
        if (request.body.find("poison") != request.body.npos) return status(refusal_);
        const std::scoped_lock lock(mutex_);
        for (const auto& id : ids_in(request.body)) ++taken_[id];
        return {};
    }
    std::size_t taken() const {
        const std::scoped_lock lock(mutex_);
        return taken_.size();
    }
    int most_often() const {
        const std::scoped_lock lock(mutex_);
        int most = 0;
        for (const auto& [id, times] : taken_) most = std::max(most, times);
        return most;
    }

    std::atomic<int> bad{0};  ///< what everything hears; 0: nothing

private:
    const int refusal_;
    mutable std::mutex mutex_;
    std::map<std::string, int> taken_;
};

/// A tracker that runs, on a spool that stays.
struct run {
    run(const tracker::options& options, const std::string& url) {
        auto own = options;
        own.http.url = url;
        auto sink = std::make_shared<tracker::http_sink>(own, [this] { return flush_until.load(); });
        events.emplace(own, tracker::sinks{std::move(sink)}, workers, book.log, [this] { return flush_until.load(); });
        thread = workers.start("tracker", "part", [this](std::stop_token stop) { events->run(std::move(stop)); });
    }
    ~run() { stop(); }
    void stop() {
        thread.request_stop();
        if (thread.joinable()) thread.join();
    }
    std::size_t lines(const std::string& text) const {
        std::size_t found = 0;
        const auto log = book.text.str();
        for (auto at = log.find(text); at != log.npos; at = log.find(text, at + 1)) ++found;
        return found;
    }

    lifecycle::workers workers;
    fakes::log_book book;
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
    std::optional<tracker::event_tracker> events;
    std::jthread thread;
};

struct Refusal : testing::Test {
    Refusal() {
        options.sinks = {"http"};
        options.directory = (root.path() / "events").string();
        std::filesystem::create_directories(options.directory);
    }
    std::multiset<std::string> dead_letters() const {
        return ids_in(support::read_file(std::filesystem::path(options.directory) / "dead-letter.jsonl"));
    }

    support::temporary_directory root;
    tracker::options options;
};

struct OfTheSink : Refusal, testing::WithParamInterface<int> {};

TEST_P(OfTheSink, AStatusThatEveryEventHearsBuriesNone) {
    taking_server server(422);
    server.bad = GetParam();
    options.retry_max = 50ms;
    fake_server http([&](std::size_t, const auto& request) { return server(request); });
    const auto began = clock::now();
    run run(options, http.url());
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(run.events->try_record(make_event("x")), verdict::accepted);
        if (i % 10 == 0) {
            EXPECT_TRUE(eventually([&] { return http.requests().size() > static_cast<std::size_t>(i / 10); }));
        }
    }
    EXPECT_TRUE(eventually([&] { return http.requests().size() > 20; }));
    EXPECT_FALSE(run.events->healthy());
    const auto lines = run.lines("tracker: sink http fails");
    EXPECT_GE(lines, 1U);
    EXPECT_LE(lines, 1U + static_cast<std::size_t>((clock::now() - began) / tracker::failure_log::between_lines))
        << run.book.text.str();
    server.bad = 0;
    EXPECT_TRUE(eventually([&] { return run.events->account().delivered == 100; })) << run.book.text.str();
    EXPECT_TRUE(run.events->healthy());
    run.stop();
    EXPECT_EQ(server.taken(), 100U);
    EXPECT_EQ(server.most_often(), 1);
    EXPECT_TRUE(dead_letters().empty());
    EXPECT_TRUE(run.events->account().dropped.empty());
}

INSTANTIATE_TEST_SUITE_P(Http, OfTheSink,
                         testing::Values(400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 415, 418, 421, 423,
                                         425, 426, 428, 429, 431, 451),
                         [](const auto& tested) { return std::to_string(tested.param); });

struct OfAnEvent : Refusal, testing::WithParamInterface<int> {};

TEST_P(OfAnEvent, SixtyAmongFourHundredAreBuriedWithinFiveSecondsAndTheOthersDeliveredOnce) {
    taking_server server(GetParam());
    fake_server http([&](std::size_t, const auto& request) { return server(request); });
    run run(options, http.url());
    const auto began = clock::now();
    std::multiset<std::string> bad;
    for (int i = 0; i < 400; ++i) {
        const bool poison = i * 60 / 400 != (i + 1) * 60 / 400;  // the last one too
        const auto event = make_event(poison ? "poison" : "x");
        if (poison) bad.insert(event.id);
        ASSERT_EQ(run.events->try_record(event), verdict::accepted);
    }
    ASSERT_EQ(bad.size(), 60U);
    EXPECT_TRUE(eventually([&] { return run.events->account().delivered == 340 && run.events->account().queued == 0; }))
        << run.book.text.str();
    EXPECT_TRUE(support::in_time(clock::now() - began, 5s));
    run.stop();
    EXPECT_EQ(dead_letters(), bad);
    EXPECT_EQ(server.taken(), 340U);
    EXPECT_EQ(server.most_often(), 1);
    EXPECT_EQ(run.lines("tracker: sink http fails"), 0U) << run.book.text.str();
}

TEST_P(OfAnEvent, WhatWasSettledBeforeAStopInTheMiddleIsNotDeliveredOrBuriedAgain) {
    taking_server server(GetParam());
    std::atomic<bool> away{true};
    fake_server http([&](std::size_t number, const auto& request) {
        if (number > 60 && away) return status(503);
        return server(request);
    });
    std::multiset<std::string> bad;
    {
        run run(options, http.url());
        for (int i = 0; i < 400; ++i) {
            const auto event = make_event(i % 7 == 3 ? "poison" : "x");
            if (i % 7 == 3) bad.insert(event.id);
            ASSERT_EQ(run.events->try_record(event), verdict::accepted);
        }
        EXPECT_TRUE(eventually([&] { return http.requests().size() > 62; }));
        run.flush_until = clock::now();
        run.stop();
        EXPECT_TRUE(run.events->account().balanced());
        EXPECT_GT(run.events->account().delivered, 0U);
        EXPECT_GT(dead_letters().size(), 0U);
        EXPECT_LT(dead_letters().size(), bad.size());
    }
    away = false;
    run next(options, http.url());
    EXPECT_TRUE(eventually([&] { return server.taken() == 400 - bad.size() && next.events->account().queued == 0; }))
        << next.book.text.str();
    next.stop();
    EXPECT_EQ(dead_letters(), bad);
    if (GetParam() == 400)
        EXPECT_LE(server.most_often(), 2) << "one that was taken for comparison may come again";
    else
        EXPECT_EQ(server.most_often(), 1);
}

INSTANTIATE_TEST_SUITE_P(Http, OfAnEvent, testing::Values(400, 413, 422),
                         [](const auto& tested) { return std::to_string(tested.param); });

TEST_F(Refusal, ABatchThatIsTooLargeGoesInParts) {
    std::atomic<std::size_t> largest{0};
    fake_server http([&](std::size_t, const auto& request) {
        if (request.body.size() > 4'000) return status(413);
        largest = std::max<std::size_t>(largest, request.body.size());
        return reply();
    });
    run run(options, http.url());
    for (int i = 0; i < 300; ++i) ASSERT_EQ(run.events->try_record(make_event("x")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return run.events->account().delivered == 300; })) << run.book.text.str();
    EXPECT_GT(largest, 1'500U) << "and not one by one";
    EXPECT_TRUE(run.events->account().dropped.empty());
}

TEST_F(Refusal, WithoutASpoolItIsTheSame) {
    options.durability = tracker::durability::memory;
    taking_server server(400);
    fake_server http([&](std::size_t, const auto& request) { return server(request); });
    run run(options, http.url());
    ASSERT_EQ(run.events->try_record(make_event("poison")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return http.requests().size() > 3; }));
    EXPECT_EQ(run.events->account().queued, 1U) << "with nothing to compare it with, it may be the server";
    for (int i = 0; i < 20; ++i) ASSERT_EQ(run.events->try_record(make_event("x")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return run.events->account().delivered == 20; })) << run.book.text.str();
    EXPECT_TRUE(eventually([&] { return run.events->account().queued == 0; }));
    EXPECT_EQ(run.events->account().dropped.at("dead_letter"), 1U);
    EXPECT_EQ(dead_letters().size(), 1U);
}

}  // namespace
