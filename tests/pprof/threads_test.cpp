#include "server/admin/pprof/threads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "tests/support/eventually.hpp"

namespace server::pprof {

/// Not in a namespace without a name, and never inlined, so that stacks show it.
[[gnu::noinline]] void go_on_until(const std::atomic<bool>& over);

void go_on_until(const std::atomic<bool>& over) {
    while (!over) {}
}

namespace {

using testing::Contains;
using testing::HasSubstr;

/// The worker of that name; an unknown one without any.
thread_view find(const lifecycle::workers& workers, const std::string& name) {
    for (const auto& describe_thread : describe_threads(workers.list()))
        if (describe_thread.name == name) return describe_thread;
    return {};
}

TEST(Threads, OneThatWaitsIsShownWithItsSystemCallAndOfWhat) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    lifecycle::workers workers;
    auto reads = workers.start("reader", "worker", [from = ends[0]](std::stop_token) {
        char byte;
        EXPECT_EQ(::read(from, &byte, 1), 0);
    });
    // A thread that begins may sleep somewhere else first, for a lock or a page, or be among the threads before it is
    // in a list of workers that was made a moment ago.
    auto seen = find(workers, "reader");
    EXPECT_TRUE(support::eventually([&] {
        seen = find(workers, "reader");
        return seen.state == "sleeping" && seen.waits_in.starts_with("read pipe:[") && seen.kind == "worker";
    })) << seen.state
        << ' ' << seen.waits_in;
    EXPECT_THAT(seen.stack, Contains(HasSubstr("lifecycle::workers")));
    ::close(ends[1]);
    reads.join();
    ::close(ends[0]);
}

TEST(Threads, OneThatComputesIsShownWithItsCpuTimeAndItsFunction) {
    std::atomic<bool> over{false};
    lifecycle::workers workers;
    auto burns = workers.start("burner", "worker", [&](std::stop_token) { go_on_until(over); });
    EXPECT_TRUE(support::eventually([&] {
        const auto seen = find(workers, "burner");
        return seen.cpu >= std::chrono::milliseconds(20) && seen.state == "running" &&
               testing::Value(seen.stack, Contains(HasSubstr("go_on_until")));
    }));
    EXPECT_EQ(find(workers, "burner").waits_in, "");
    over = true;
    burns.join();
}

TEST(Threads, TheMainThreadIsTheFirstAndThoseOfOthersAreNotInterrupted) {
    std::atomic<bool> over{false};
    std::jthread foreign([&] { over.wait(false); });
    ::pthread_setname_np(foreign.native_handle(), "foreign");
    const auto all = describe_threads({});
    over = true;
    over.notify_all();
    ASSERT_GE(all.size(), 2U);
    EXPECT_EQ(all.front().name, "main");
    EXPECT_EQ(all.front().id, ::getpid());
    EXPECT_FALSE(all.front().stack.empty());
    for (const auto& each : all)
        if (each.name == "foreign") {
            EXPECT_EQ(each.kind, "");
            EXPECT_TRUE(each.stack.empty());
        }
}

}  // namespace
}  // namespace server::pprof
