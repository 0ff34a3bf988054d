#include "lifecycle/pool/run_on.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <latch>
#include <stdexcept>

#include "lifecycle/group/group.hpp"
#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace errc = boost::system::errc;
using fakes::clock;
using fakes::eventually;
using lifecycle::awaitable;
using lifecycle::cause;
using lifecycle::context;
using lifecycle::run_on;
using number = boost::system::result<int>;

struct RunOn : testing::Test {
    RunOn() : jobs({"jobs", 2, 2}, workers, book.log, [this] { return until.load(); }) {}
    ~RunOn() override { stop(); }
    void start() {
        part = workers.start("jobs", "part", [this](std::stop_token token) { jobs.run(std::move(token)); });
    }
    void stop() {
        part.request_stop();
        if (part.joinable()) part.join();
    }
    /// What the loop of the test gets from `work` on the pool.
    template <class F>
    number ask(context context, F work) {
        number got = 0;
        std::exception_ptr thrown;
        asio::co_spawn(io.get_executor(), run_on(jobs, std::move(context), "job", work),
                       [&](std::exception_ptr error, number value) {
                           thrown = std::move(error);
                           got = value;
                       });
        io.restart();
        io.run();
        if (thrown) std::rethrow_exception(thrown);
        return got;
    }

    lifecycle::workers workers;
    fakes::log_book book;
    std::atomic<clock::time_point> until{clock::time_point::max()};
    asio::io_context io{1};
    lifecycle::pool jobs;
    std::jthread part;
};

TEST_F(RunOn, CallsOnAWorkerAndGoesOnOnTheCallersLoop) {
    start();
    const auto here = std::this_thread::get_id();
    std::thread::id there;
    EXPECT_EQ(ask({},
                  [&](std::stop_token) {
                      there = std::this_thread::get_id();
                      return 7;
                  })
                  .value(),
              7);
    EXPECT_NE(there, here);
}

TEST_F(RunOn, AJobMayReturnABoolThoughAnErrorIsOneToo) {
    start();
    std::vector<int> seen;
    const auto asks = [&]() -> lifecycle::awaitable<> {
        for (const bool answer : {true, false}) {
            auto running = run_on(jobs, context(), "asks", [answer](std::stop_token) { return answer; });
            const auto got = co_await std::move(running);
            seen.push_back(got.has_value() ? static_cast<int>(*got) : -1);
        }
    };
    asio::co_spawn(io.get_executor(), asks(), [](std::exception_ptr failed) { EXPECT_FALSE(failed); });
    io.run();
    EXPECT_EQ(seen, (std::vector<int>{1, 0}));
}

TEST_F(RunOn, WhatTheJobThrowsIsThrownToWhoWaits) {
    start();
    EXPECT_THROW(ask({}, [](std::stop_token) -> int { throw std::out_of_range("far"); }), std::out_of_range);
}

TEST_F(RunOn, AFullPoolIsAnAnswer) {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(jobs.try_submit("first", [](std::stop_token) {}));
    EXPECT_EQ(ask({}, [](std::stop_token) { return 1; }).error(), errc::resource_unavailable_try_again);
}

TEST_F(RunOn, WhoeverWaitsGoesWhenItsContextEndsAndTheJobNeedNotBegin) {
    std::atomic<bool> begun{false};
    const auto soon = context().with_deadline(clock::now() + 10ms);
    const auto never_done = [&](std::stop_token) {
        begun = true;
        return 1;
    };
    EXPECT_EQ(ask(soon, never_done).error(), errc::timed_out);
    lifecycle::cancel_scope scope;
    scope.cancel(cause::client_gone);
    EXPECT_EQ(ask(scope.get(), never_done).error(), errc::operation_canceled);
    start();
    EXPECT_TRUE(eventually([&] { return jobs.now().queued == 0 && jobs.now().running == 0; }));
    EXPECT_FALSE(begun);
}

TEST_F(RunOn, AJobThatBlocksDoesNotHoldWhoeverWaits) {
    start();
    auto go_on = std::make_shared<std::latch>(1);
    const auto soon = context().with_deadline(clock::now() + 10ms);
    EXPECT_EQ(ask(soon,
                  [go_on](std::stop_token) {
                      go_on->wait();
                      return 1;
                  })
                  .error(),
              errc::timed_out);
    EXPECT_EQ(jobs.now().running, 1U);
    go_on->count_down();
    stop();
    io.restart();
    io.run();  // what the job tells a loop on which no coroutine waits any more
}

TEST_F(RunOn, AJobThatThePoolDropsIsCancelled) {
    until = clock::now();
    auto go_on = std::make_shared<std::latch>(1);
    for (int i = 0; i < 2; ++i)
        EXPECT_TRUE(jobs.try_submit("holds a worker", [go_on](std::stop_token) { go_on->wait(); }));
    start();
    EXPECT_TRUE(eventually([&] { return jobs.now().running == 2; }));
    number got = 0;
    asio::co_spawn(io.get_executor(), run_on(jobs, context(), "dropped", [](std::stop_token) { return 1; }),
                   [&](const std::exception_ptr&, number value) { got = value; });
    io.poll();
    EXPECT_EQ(jobs.now().queued, 1U);
    part.request_stop();
    EXPECT_TRUE(eventually([&] { return jobs.now().dropped == 1; }));
    io.restart();
    io.run();
    EXPECT_EQ(got.error(), errc::operation_canceled);
    go_on->count_down();
}

TEST_F(RunOn, AGroupWaitsForBlockingFunctionsAsForCoroutines) {
    start();
    std::vector<number> values;
    const auto begin = [&](lifecycle::group<number>& all) {
        for (int i = 0; i < 8; ++i)
            all.start("square", [this, i](context context) {
                return run_on(jobs, std::move(context), "square", [i](std::stop_token) { return i * i; });
            });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = lifecycle::run_all<number>(context(), 2, begin);
        values = co_await std::move(running);
    };
    asio::co_spawn(io.get_executor(), work(), [](const std::exception_ptr& error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
    ASSERT_EQ(values.size(), 8U);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)].value(), i * i);
}

}  // namespace
