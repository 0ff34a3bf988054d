#include "lifecycle/workers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <memory>
#include <semaphore>

#include "tests/lifecycle/fakes.hpp"

namespace {

using fakes::until_asked;
using lifecycle::workers;
using ::testing::AnyOf;

std::string kernel_name_of(pid_t thread) {
    auto name = fakes::content_of("/proc/self/task/" + std::to_string(thread) + "/comm");
    if (!name.empty()) name.pop_back();
    return name;
}

TEST(Workers, ListsWhoRunsWithNameKindAndThread) {
    workers workers;
    std::binary_semaphore running{0};
    pid_t self = 0;
    auto thread = workers.start("app-1", "loop", [&](const std::stop_token& stop) {
        self = static_cast<pid_t>(::syscall(SYS_gettid));
        running.release();
        until_asked(stop);
    });
    running.acquire();
    const auto all = workers.list();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].name, "app-1");
    EXPECT_EQ(all[0].kind, "loop");
    EXPECT_EQ(all[0].thread, self);
    EXPECT_LE(all[0].born, lifecycle::clock::now());
    EXPECT_EQ(workers.live(), 1U);
}

TEST(Workers, NamesTheThreadForTheKernelWithFifteenCharacters) {
    workers workers;
    std::binary_semaphore running{0};
    pid_t self = 0;
    auto thread = workers.start("tracker-of-events", "worker", [&](const std::stop_token& stop) {
        self = static_cast<pid_t>(::syscall(SYS_gettid));
        running.release();
        until_asked(stop);
    });
    running.acquire();
    EXPECT_THAT(kernel_name_of(self), AnyOf("tracker-of-even", "")) << "empty without /proc";
    EXPECT_EQ(workers.list()[0].name, "tracker-of-events") << "the whole name in our own list";
}

TEST(Workers, AsksAndJoinsWhenTheThreadGoesOutOfScope) {
    workers workers;
    bool asked = false;
    {
        const auto thread = workers.start("worker", "worker", [&](const std::stop_token& stop) {
            until_asked(stop);
            asked = true;
        });
    }
    EXPECT_TRUE(asked);
    EXPECT_EQ(workers.live(), 0U);
    EXPECT_TRUE(workers.list().empty());
}

TEST(Workers, LeavesNoThreadOnceJoined) {
    workers workers;
    EXPECT_THAT(workers.threads_left(), AnyOf(0, -1));
    for (int round = 0; round < 20; ++round) {
        std::vector<std::jthread> threads;
        threads.reserve(4);
        for (int index = 0; index < 4; ++index) threads.push_back(workers.start("w", "worker", until_asked));
        threads.clear();
        ASSERT_THAT(workers.threads_left(), AnyOf(0, -1));
    }
}

TEST(Workers, CountsAThreadThatIsLeft) {
    workers workers;
    if (workers.threads_left() < 0) GTEST_SKIP() << "no /proc here";
    const auto thread = workers.start("left", "worker", until_asked);
    EXPECT_TRUE(fakes::eventually([&] { return workers.threads_left(std::chrono::milliseconds(0)) == 1; }));
}

TEST(Workers, LetsGoOfWhatTheWorkHoldsBeforeItCountsAsGone) {
    workers workers;
    std::size_t live = 99;
    const auto look = [&](int* held) {
        live = workers.live();
        delete held;
    };
    std::shared_ptr<int> held(new int(1), look);
    workers.start("holder", "worker", [held = std::move(held)](const std::stop_token&) {}).join();
    EXPECT_EQ(live, 1U);
    EXPECT_EQ(workers.live(), 0U);
}

TEST(Workers, MayBeStartedAndListedFromAnyThread) {
    workers workers;
    std::vector<std::jthread> threads;
    threads.reserve(3);
    for (int index = 0; index < 3; ++index)
        threads.push_back(workers.start("outer", "worker", [&](const std::stop_token&) {
            for (int round = 0; round < 20; ++round) {
                const auto inner = workers.start("inner", "worker", until_asked);
                EXPECT_GE(workers.list().size(), 2U);
            }
        }));
    threads.clear();
    EXPECT_EQ(workers.live(), 0U);
}

}  // namespace
