#include "lifecycle/task_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <stdexcept>

#include "lifecycle/wake_up.hpp"
#include "tests/lifecycle/loop.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using lifecycle::awaitable;
using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using lifecycle::task_group;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto quietly = asio::as_tuple(asio::deferred);
const auto never = clock::time_point::max();

/// Waits until it is cancelled the asio way, and notes that it has come home.
awaitable<> until_cancelled(int& home) {
    lifecycle::loop_timer timer(co_await asio::this_coro::executor, never);
    co_await timer.async_wait(quietly);
    ++home;
}

awaitable<> at_once(int& home) {
    ++home;
    co_return;
}

awaitable<> failing(const char* what) {
    throw std::runtime_error(what);
    co_return;
}

awaitable<> join_into(task_group& group, clock::time_point deadline, std::optional<bool>& answer) {
    answer = co_await group.join(deadline);
}

awaitable<> wait_into(context context, clock::time_point when, std::source_location where,
                      std::optional<bool>& answer) {
    answer = co_await lifecycle::sleep_until(context, when, where);  // lint: the awaitable under test
}

/// Its tasks have an owner.
struct loop : fakes::loop {
    task_group group{io.get_executor()};
};

TEST(TaskGroup, KnowsWhoLives) {
    loop loop;
    int home = 0;
    EXPECT_EQ(loop.group.size(), 0U);
    EXPECT_TRUE(loop.group.spawn("one", "connection", until_cancelled(home)));
    EXPECT_TRUE(loop.group.spawn("two", "timer", at_once(home)));
    EXPECT_EQ(home, 0) << "nothing runs inside spawn";
    EXPECT_EQ(loop.group.size(), 2U);
    loop.turn();
    EXPECT_EQ(home, 1);
    std::vector<std::string> names;
    loop.group.for_each([&](const lifecycle::task& task) { names.push_back(task.name + " " + task.kind); });
    EXPECT_THAT(names, ElementsAre("one connection"));
    loop.group.cancel();
    loop.run();
    EXPECT_EQ(loop.group.size(), 0U);
}

TEST(TaskGroup, CancelsEveryoneAndIsJoined) {
    loop loop;
    int home = 0;
    for (int index = 0; index < 100; ++index) loop.group.spawn("task", "test", until_cancelled(home));
    loop.turn();
    loop.group.cancel();
    loop.group.cancel();  // twice is the same
    std::optional<bool> joined;
    loop.start(join_into(loop.group, never, joined));
    loop.run();
    EXPECT_EQ(joined, true);
    EXPECT_EQ(home, 100);
    EXPECT_THAT(loop.group.errors(), IsEmpty());
}

TEST(TaskGroup, CancelsATaskThatHasNotRunYet) {
    loop loop;
    int home = 0;
    loop.group.spawn("task", "test", until_cancelled(home));
    loop.group.cancel();
    loop.run();
    EXPECT_EQ(loop.group.size(), 0U);
}

TEST(TaskGroup, IsJoinedAtOnceWhenEmpty) {
    loop loop;
    std::optional<bool> joined;
    loop.start(join_into(loop.group, clock::now() - 1s, joined));
    loop.turn();
    EXPECT_EQ(joined, true) << "whatever the deadline";
}

TEST(TaskGroup, GivesUpJoiningAtTheDeadline) {
    loop loop;
    int home = 0;
    loop.group.spawn("stubborn", "test", until_cancelled(home));
    std::optional<bool> joined;
    const auto deadline = clock::now() + 20ms;
    loop.start(join_into(loop.group, deadline, joined));
    while (!joined) {
        loop.io.restart();
        loop.io.run_one();
    }
    EXPECT_EQ(joined, false);
    EXPECT_GE(clock::now(), deadline);
    EXPECT_EQ(loop.group.size(), 1U);
    loop.group.cancel();
    loop.run();
}

TEST(TaskGroup, IsJoinedAsSoonAsTheLastIsHome) {
    loop loop;
    int home = 0;
    loop.group.spawn("task", "test", until_cancelled(home));
    std::optional<bool> joined;
    loop.start(join_into(loop.group, clock::now() + 1h, joined));
    loop.turn();
    EXPECT_FALSE(joined.has_value());
    loop.group.cancel();
    loop.run();  // would take an hour
    EXPECT_EQ(joined, true);
}

TEST(TaskGroup, RefusesALateSpawn) {
    loop loop;
    int home = 0;
    loop.group.close();
    EXPECT_FALSE(loop.group.spawn("late", "test", at_once(home)));
    loop.run();
    EXPECT_EQ(home, 0) << "nothing of it has run";
    EXPECT_EQ(loop.group.size(), 0U);
}

TEST(TaskGroup, LetsRunWhatWasThereWhenItWasClosed) {
    loop loop;
    int home = 0;
    loop.group.spawn("early", "test", at_once(home));
    loop.group.close();
    loop.run();
    EXPECT_EQ(home, 1);
}

TEST(TaskGroup, KeepsTheErrorOfATaskWithItsName) {
    loop loop;
    int home = 0;
    loop.group.spawn("bad", "test", failing("out of luck"));
    loop.group.spawn("good", "test", at_once(home));
    loop.run();
    EXPECT_EQ(home, 1) << "the others go on";
    ASSERT_EQ(loop.group.errors().size(), 1U);
    EXPECT_EQ(loop.group.errors()[0].first, "bad");
    try {
        std::rethrow_exception(loop.group.errors()[0].second);
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "out of luck");
    }
}

/// A task with a cancel of its own.
struct with_context final : lifecycle::task {
    explicit with_context(const context& parent) : task("own", "request"), scope(parent) {}
    ~with_context() override { ++destroyed; }
    void cancel() noexcept override { scope.cancel(cause::shutdown); }
    cancel_scope scope;
    static inline int destroyed = 0;
};

TEST(TaskGroup, CancelsATaskItsOwnWayAndKeepsItUntilItsWorkHasEnded) {
    with_context::destroyed = 0;
    loop loop;
    auto owned = std::make_unique<with_context>(context());
    std::optional<bool> answer;
    auto work = wait_into(owned->scope.get(), never, std::source_location::current(), answer);
    EXPECT_TRUE(loop.group.spawn(std::move(owned), std::move(work)));
    loop.turn();
    loop.group.cancel();
    EXPECT_EQ(with_context::destroyed, 0);
    loop.run();
    EXPECT_EQ(answer, false);
    EXPECT_EQ(with_context::destroyed, 1);
}

struct resting final : lifecycle::task {
    resting() : task("resting", "test") {}
    ~resting() override { ++destroyed; }
    void cancel() noexcept override {}
    bool rests() const noexcept override { return at_rest; }
    bool at_rest = true;
    static inline int destroyed = 0;
};

TEST(TaskGroup, KeepsATaskThatRestsWithoutACoroutineUntilItHasGoneOnAndEnded) {
    resting::destroyed = 0;
    loop loop;
    auto owned = std::make_unique<resting>();
    auto& begun = *owned;
    int home = 0;
    loop.group.spawn(std::move(owned), at_once(home));
    loop.group.close();
    loop.turn();
    EXPECT_EQ(home, 1);
    EXPECT_EQ(loop.group.size(), 1U);
    EXPECT_EQ(resting::destroyed, 0);
    begun.at_rest = false;
    loop.group.resume(begun, at_once(home));
    loop.run();
    EXPECT_EQ(home, 2);
    EXPECT_EQ(loop.group.size(), 0U);
    EXPECT_EQ(resting::destroyed, 1);
}

TEST(TaskGroup, EndsATaskThatFailsAlsoWhenItRests) {
    resting::destroyed = 0;
    loop loop;
    loop.group.spawn(std::make_unique<resting>(), failing("broke"));
    loop.run();
    EXPECT_EQ(resting::destroyed, 1);
    EXPECT_EQ(loop.group.errors().size(), 1U);
}

/// Its cancel ends it there and then, so it leaves the list inside `cancel`.
awaitable<> with_group_of_its_own(int& home) {
    const auto executor = co_await asio::this_coro::executor;
    task_group inner(executor);
    inner.spawn("inner", "test", until_cancelled(home));
    lifecycle::loop_timer timer(executor, never);
    co_await timer.async_wait(quietly);
    co_await asio::this_coro::reset_cancellation_state();
    inner.close();
    inner.cancel();
    const bool joined = co_await inner.join(never);
    EXPECT_TRUE(joined);
    ++home;
}

TEST(TaskGroup, StopsANestedGroupBeforeItself) {
    loop loop;
    int home = 0;
    loop.group.spawn("outer", "test", with_group_of_its_own(home));
    loop.turn();
    loop.group.cancel();
    loop.run();
    EXPECT_EQ(home, 2);
    EXPECT_THAT(loop.group.errors(), IsEmpty());
}

TEST(TaskGroup, StopsOneOfTwoGroupsOfALoop) {
    loop loop;
    task_group other(loop.io.get_executor());
    int here = 0, there = 0;
    loop.group.spawn("here", "test", until_cancelled(here));
    other.spawn("there", "test", until_cancelled(there));
    loop.turn();
    loop.group.cancel();
    loop.turn();
    EXPECT_EQ(here, 1);
    EXPECT_EQ(there, 0) << "a partial stop";
    other.cancel();
    loop.run();
    EXPECT_EQ(there, 1);
}

#ifndef NDEBUG
TEST(TaskGroup, AssertsThatItIsEmptyWhenDestroyed) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            loop loop;
            int home = 0;
            loop.group.spawn("left behind", "test", until_cancelled(home));
            loop.turn();
        },
        "a task outlives its owner");
}
#endif

TEST(SleepUntil, SaysYesWhenTheTimeHasCome) {
    loop loop;
    std::optional<bool> answer;
    const auto when = clock::now() + 5ms;
    loop.start(wait_into({}, when, std::source_location::current(), answer));
    loop.run();
    EXPECT_EQ(answer, true);
    EXPECT_GE(clock::now(), when);
}

TEST(SleepUntil, SaysYesToATimeThatHasPassed) {
    loop loop;
    std::optional<bool> answer;
    loop.start(wait_into({}, clock::now() - 1s, std::source_location::current(), answer));
    loop.run();
    EXPECT_EQ(answer, true);
}

TEST(SleepUntil, SharesItsWakeUpsUnlessItIsShort) {
    using std::chrono::milliseconds;
    const clock::time_point now(3s + 123'456ns);
    const auto woken = [&](clock::duration after) { return lifecycle::shared_wake_up(now + after, now) - now; };
    for (const clock::duration exact : {clock::duration(-1s), clock::duration(0), clock::duration(1ms + 1ns)})
        EXPECT_EQ(woken(exact), exact);
    EXPECT_EQ(woken(lifecycle::exact_sleep - 1ns), lifecycle::exact_sleep - 1ns);
    for (clock::duration after = lifecycle::exact_sleep; after < 1s; after += 77'777ns) {
        const auto late = woken(after) - after;
        ASSERT_TRUE(late >= 0ns && late < 1ms) << after.count();
        ASSERT_EQ((now + woken(after)).time_since_epoch() % 1ms, 0ns);
    }
    for (const auto end : {never, never - 1ns, clock::time_point::min()})
        EXPECT_EQ(lifecycle::shared_wake_up(end, now), end);
}

TEST(SleepUntil, IsCutShortByACancel) {
    loop loop;
    cancel_scope scope;
    std::optional<bool> answer;
    loop.start(wait_into(scope.get(), clock::now() + 1h, std::source_location::current(), answer));
    loop.turn();
    EXPECT_FALSE(answer.has_value());
    scope.cancel(cause::client_gone);
    loop.run();  // would take an hour
    EXPECT_EQ(answer, false);
}

TEST(SleepUntil, IsCutShortByTheDeadline) {
    loop loop;
    std::optional<bool> answer;
    const auto strict = context().with_deadline(clock::now() + 5ms);
    loop.start(wait_into(strict, clock::now() + 1h, std::source_location::current(), answer));
    loop.run();
    EXPECT_EQ(answer, false);
    EXPECT_EQ(strict.why(), cause::deadline);
}

TEST(SleepUntil, DoesNotBeginInAContextThatHasEnded) {
    loop loop;
    cancel_scope scope;
    scope.cancel(cause::shutdown);
    std::optional<bool> answer;
    loop.start(wait_into(scope.get(), clock::now() - 1s, std::source_location::current(), answer));
    loop.turn();
    EXPECT_EQ(answer, false);
}

TEST(SleepUntil, SaysNoWhenItsTaskIsCancelledTheAsioWay) {
    loop loop;
    std::optional<bool> answer;
    const auto later = clock::now() + 1h;
    loop.group.spawn("sleeper", "test", wait_into({}, later, std::source_location::current(), answer));
    loop.turn();
    loop.group.cancel();
    loop.run();
    EXPECT_EQ(loop.group.size(), 0U);
    EXPECT_NE(answer, true);
}

TEST(SleepUntil, LeavesABreadcrumbWhileItWaits) {
    loop loop;
    cancel_scope scope;
    std::optional<bool> answer;
    const auto here = std::source_location::current();
    loop.start(wait_into(scope.get(), clock::now() + 1h, here, answer));
    EXPECT_EQ(scope.get().waits_at().line(), 0U) << "not before it runs";
    loop.turn();
    EXPECT_EQ(scope.get().waits_at().line(), here.line());
    EXPECT_STREQ(scope.get().waits_at().file_name(), here.file_name());
    scope.cancel(cause::shutdown);
    loop.run();
    EXPECT_EQ(scope.get().waits_at().line(), 0U);
}

}  // namespace
