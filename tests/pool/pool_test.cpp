#include "lifecycle/pool/pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <latch>
#include <stdexcept>

#include "server/router.hpp"
#include "tests/server/run_handler.hpp"
#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::eventually;
using lifecycle::pool;
using testing::ElementsAre;
using testing::HasSubstr;

struct Pool : testing::Test {
    explicit Pool(std::size_t count = 2)
        : jobs({"jobs", count, 3}, workers, book.log, [this] { return until.load(); }) {}
    ~Pool() override { stop(); }
    void start() {
        part = workers.start("jobs", "part", [this](std::stop_token token) { jobs.run(std::move(token)); });
    }
    void stop() {
        part.request_stop();
        if (part.joinable()) part.join();
    }

    lifecycle::workers workers;
    fakes::log_book book;
    std::atomic<clock::time_point> until{clock::time_point::max()};
    pool jobs;
    std::jthread part;
};

TEST_F(Pool, DoesEachJobOnceOnNamedWorkersThatItJoins) {
    start();
    std::atomic<int> done{0};
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(eventually([&] { return jobs.try_submit("count", [&](std::stop_token) { ++done; }); }));
    EXPECT_TRUE(eventually([&] { return jobs.now().done == 100; }));
    EXPECT_EQ(done, 100);
    std::vector<std::string> names;
    for (const auto& worker : workers.list()) names.push_back(worker.name);
    EXPECT_THAT(names, ElementsAre("jobs", "jobs-1", "jobs-2"));
    stop();
    EXPECT_EQ(workers.live(), 0U);
}

TEST_F(Pool, FullIsAnAnswerAndNotAWait) {
    for (const auto* name : {"a", "b", "c"}) EXPECT_TRUE(jobs.try_submit(name, [](std::stop_token) {}));
    EXPECT_FALSE(jobs.try_submit("d", [](std::stop_token) {}));
    EXPECT_THAT(jobs.names(), ElementsAre("a", "b", "c"));
    EXPECT_EQ(jobs.now().queued, 3U);
    EXPECT_EQ(jobs.now().refused, 1U);
    start();
    EXPECT_TRUE(eventually([&] { return jobs.now().done == 3; }));
}

TEST_F(Pool, AnExceptionIsLoggedWithTheNameOfItsJobAndEndsNothingElse) {
    start();
    EXPECT_TRUE(jobs.try_submit("bad", [](std::stop_token) { throw std::runtime_error("out of order"); }));
    EXPECT_TRUE(jobs.try_submit("worse", [](std::stop_token) { throw 7; }));
    EXPECT_TRUE(jobs.try_submit("good", [](std::stop_token) {}));
    EXPECT_TRUE(eventually([&] { return jobs.now().done == 1 && jobs.now().failed == 2; }));
    stop();
    EXPECT_THAT(book.text.str(), HasSubstr("jobs: job bad failed: out of order"));
    EXPECT_THAT(book.text.str(), HasSubstr("jobs: job worse failed with an unknown exception"));
}

TEST_F(Pool, AStopDoesWhatIsQueuedAndTakesNothingNew) {
    std::latch go_on(1);
    std::atomic<int> done{0};
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(jobs.try_submit("slow", [&](std::stop_token) {
            go_on.wait();
            ++done;
        }));
    start();
    EXPECT_TRUE(eventually([&] { return jobs.now().running == 2; }));
    part.request_stop();
    go_on.count_down();
    stop();
    EXPECT_EQ(done, 3);
    EXPECT_FALSE(jobs.try_submit("late", [](std::stop_token) {}));
    EXPECT_EQ(jobs.now().dropped, 0U);
}

TEST_F(Pool, AtTheDeadlineWhatIsQueuedIsDroppedByNameAndWhatRunsIsAskedToEnd) {
    const auto obedient = [](std::stop_token token) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        never.wait(lock, token, [] { return false; });
    };
    for (const auto* name : {"runs", "runs too", "waits"}) EXPECT_TRUE(jobs.try_submit(name, obedient));
    start();
    EXPECT_TRUE(eventually([&] { return jobs.now().running == 2; }));
    part.request_stop();
    until = clock::now() + 10ms;  // a second signal may move it
    stop();
    EXPECT_EQ(jobs.now().dropped, 1U);
    EXPECT_EQ(jobs.now().done, 2U);
    EXPECT_THAT(book.text.str(), HasSubstr("job waits is dropped"));
    EXPECT_THAT(book.text.str(), HasSubstr("job runs is asked to end after "));
    EXPECT_THAT(book.text.str(), HasSubstr("job runs too is asked to end after "));
}

TEST_F(Pool, CountsHowLongJobsTake) {
    start();
    EXPECT_TRUE(jobs.try_submit("some time", [](std::stop_token) {
        const auto end = clock::now() + 5ms;
        while (clock::now() < end) continue;
    }));
    EXPECT_TRUE(eventually([&] { return jobs.now().done == 1 && jobs.now().running == 0; }));
    EXPECT_GE(jobs.now().longest, 5ms);
    EXPECT_GE(jobs.now().busy, jobs.now().longest);
}

/// How a handler uses it: what blocks goes to the pool, and a full pool is a 503.
TEST_F(Pool, AHandlerHandsOverWhatBlocksAndAnswersAtOnce) {
    namespace http = server::http;
    std::atomic<int> sent{0};
    server::handler send = [&](lifecycle::context, const server::request&) -> lifecycle::awaitable<server::response> {
        const bool taken = jobs.try_submit("send mail", [&](std::stop_token) { ++sent; });
        co_return server::problem(taken ? http::status::accepted : http::status::service_unavailable);
    };
    const server::request request;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(run_handler(send, request).status, http::status::accepted);
    EXPECT_EQ(run_handler(send, request).status, http::status::service_unavailable);
    start();
    stop();
    EXPECT_EQ(sent, 3);
}

}  // namespace
