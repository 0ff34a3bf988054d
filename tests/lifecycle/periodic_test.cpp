#include "lifecycle/periodic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "lifecycle/context.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/lifecycle/test_clock.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;
using lifecycle::run_periodically;

/// When it was called, in hours since the first time, if its runs take as long as `lasting` says; after the last of
/// them it is stopped. Were an interval more than that, the test would wait for hours.
std::vector<int> starts(std::vector<int> lasting) {
    fakes::test_clock time;
    std::stop_source stop;
    auto sink = std::make_shared<fakes::line_sink>();
    spdlog::logger log("test", sink);
    const auto first = clock::now();
    std::vector<int> all;
    run_periodically(stop.get_token(), 1h, "x", log, [&](const std::stop_token&) {
        all.push_back(static_cast<int>((clock::now() - first) / 1h));
        time.advance(std::chrono::hours(lasting[all.size() - 1]));
        if (all.size() == lasting.size()) stop.request_stop();
    });
    return all;
}

TEST(PeriodicStarts, AnIntervalIsFromStartToStart) {
    EXPECT_THAT(starts({1, 1, 1, 1}), testing::ElementsAre(0, 1, 2, 3));
}

TEST(PeriodicStarts, AJobThatTakesLongerIsCalledAgainAtOnceAndNothingIsMadeUpFor) {
    EXPECT_THAT(starts({5, 1, 1, 1}), testing::ElementsAre(0, 5, 6, 7));
}

class Periodic : public testing::Test {
protected:
    void run(std::chrono::milliseconds interval, const std::function<void(const std::stop_token&)>& job) {
        run_periodically(stop.get_token(), interval, "rates", log, job);
    }

    std::stop_source stop;
    std::shared_ptr<fakes::line_sink> written = std::make_shared<fakes::line_sink>();
    spdlog::logger log{"test", written};
};

TEST_F(Periodic, TheStopCutsAWaitShort) {
    std::atomic<int> calls = 0;
    std::jthread worker([&] { run(24h, [&](const std::stop_token&) { ++calls; }); });
    ASSERT_TRUE(fakes::eventually([&] { return calls == 1; }));
    stop.request_stop();
    worker.join();
    EXPECT_EQ(calls, 1);
}

TEST_F(Periodic, AJobIsToldOfTheStopAndWaitedFor) {
    std::atomic<bool> told = false;
    std::atomic<bool> runs = false;
    std::jthread worker([&] {
        run(1ms, [&](const std::stop_token& token) {
            runs = true;
            fakes::until_asked(token);
            told = true;
        });
    });
    ASSERT_TRUE(fakes::eventually([&] { return runs.load(); }));
    stop.request_stop();
    worker.join();
    EXPECT_TRUE(told);
}

TEST_F(Periodic, WhatItThrowsIsLoggedAndTheNextOneIsDueAllTheSame) {
    int calls = 0;
    run(1ms, [&](const std::stop_token&) {
        if (++calls == 1) throw std::runtime_error("the bank is closed");
        if (calls == 2) throw 7;
        stop.request_stop();
    });
    EXPECT_EQ(calls, 3);
    EXPECT_TRUE(written->has("job rates failed, the next one is due all the same: the bank is closed"));
    EXPECT_TRUE(written->has("job rates failed, the next one is due all the same: not a std::exception"));
}

TEST_F(Periodic, IsNotCalledWhenTheStopCameFirst) {
    stop.request_stop();
    run(1ms, [](const std::stop_token&) { FAIL(); });
}

}  // namespace
