#include "lifecycle/start_guard.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "tests/lifecycle/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// Main opens a file on a disk that does not answer.
void hanging_start() {
    const lifecycle::signals blocked;  // as they are in main
    lifecycle::start_guard guard(
        {.budget = 20ms, .say = [](const char* what) { std::fprintf(stderr, "%s!\n", what); }},
        [](milliseconds budget) { std::fprintf(stderr, "heard, %d ms for ", int(budget.count())); });
    guard.doing("tracker.directory");
    ::kill(::getpid(), SIGTERM);
    for (;;) fakes::hang();
}

TEST(StartGuardDeath, SaysWhatItWaitsForAndEndsWithCode3WhenTheBudgetHasPassedSinceASignal) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(hanging_start(), testing::ExitedWithCode(3), "heard, 20 ms for tracker.directory!");
}

TEST(StartGuard, LeavesTheSignalForMainWhoComesInTime) {
    fakes::signals_without_terminal made;
    std::atomic<int> said{0}, heard_ms{0};
    {
        lifecycle::start_guard guard({.budget = 1h, .say = [&](const char*) { ++said; }},
                                     [&](milliseconds budget) { heard_ms = int(budget.count()); });
        guard.change({.budget = 2h, .say = [&](const char*) { ++said; }});
        ::kill(::getpid(), SIGINT);
        EXPECT_TRUE(fakes::eventually([&] { return heard_ms != 0; }));
    }
    EXPECT_EQ(heard_ms, milliseconds(2h).count()) << "the later limits";
    EXPECT_EQ(said, 0);
    EXPECT_STREQ(made.signals.next().name, "SIGINT");
}

TEST(StartGuard, HearsNothingWhereNothingComes) {
    fakes::signals_without_terminal made;
    std::atomic<int> heard{0};
    {
        const lifecycle::start_guard guard({.budget = 0ms, .say = [&](const char*) { ++heard; }},
                                           [&](milliseconds) { ++heard; });
        ::kill(::getpid(), SIGHUP);  // that is no stop
    }
    EXPECT_EQ(heard, 0);
    EXPECT_STREQ(made.signals.next().name, "SIGHUP");
}

}  // namespace
