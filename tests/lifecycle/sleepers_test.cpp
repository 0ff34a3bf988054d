// Many coroutines of a loop that sleep.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "lifecycle/sleepers.hpp"
#include "lifecycle/task_group.hpp"
#include "tests/lifecycle/loop.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using fakes::loop;
using lifecycle::awaitable;
using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Those that have woken up, in that order.
using order = std::vector<std::size_t>;

awaitable<> sleep_as(std::size_t nth, context context, clock::time_point when, order& woken) {
    auto sleeping = lifecycle::sleep_until(context, when);  // lint: the awaitable under test
    co_await std::move(sleeping);
    woken.push_back(nth);
}

TEST(Sleepers, WakeUpInTheOrderOfTheirTimes) {
    constexpr std::size_t count = 200, alike = 4;
    loop loop;
    order woken, expected;
    asio::post(loop.io, [&] {  // in one turn all of them fall asleep
        const auto now = clock::now();
        for (std::size_t nth = 0; nth < count; ++nth) {
            const auto place = nth * 73 % count / alike;  // of each as many
            loop.start(sleep_as(place, {}, now + 20ms + 4ms * place, woken));
            expected.push_back(nth / alike);
        }
    });
    loop.run();
    EXPECT_EQ(woken, expected);
}

TEST(Sleepers, OneThatFallsAsleepLastMayWakeUpFirst) {
    loop loop;
    order woken;
    loop.start(sleep_as(1, {}, clock::now() + 30ms, woken));
    loop.turn();
    loop.start(sleep_as(0, {}, clock::now() + 1ms, woken));
    loop.run();
    EXPECT_THAT(woken, ElementsAre(0, 1));
}

TEST(Sleepers, ACancelWakesOnlyThoseOfItsContext) {
    loop loop;
    order woken;
    std::deque<cancel_scope> scopes;
    for (std::size_t nth = 0; nth < 9; ++nth)
        loop.start(sleep_as(nth, scopes.emplace_back().get(), clock::now() + 1h + 1ms * nth, woken));
    loop.turn();
    scopes[4].cancel(cause::cancelled);
    scopes[0].cancel(cause::cancelled);
    EXPECT_THAT(woken, IsEmpty()) << "inside the cancel";
    loop.turn();
    EXPECT_THAT(woken, UnorderedElementsAre(0, 4));
    scopes[8].cancel(cause::cancelled);
    loop.turn();
    EXPECT_THAT(woken, UnorderedElementsAre(0, 4, 8));
    for (auto& scope : scopes) scope.cancel(cause::cancelled);
    loop.run();  // would take an hour
    EXPECT_EQ(woken.size(), 9U);
}

awaitable<> cancel_then_sleep(cancel_scope& other, context own, order& woken) {
    auto first = lifecycle::sleep_until(own, clock::now() + 1ms);  // lint: the awaitable under test
    co_await std::move(first);
    other.cancel(cause::shutdown);
    auto second = lifecycle::sleep_until(own, clock::now() + 2ms);  // lint: the awaitable under test
    co_await std::move(second);
    woken.push_back(2);
}

TEST(Sleepers, OneThatWakesUpMayWakeAnother) {
    loop loop;
    order woken;
    cancel_scope scope;
    loop.start(sleep_as(1, scope.get(), clock::now() + 1h, woken));
    loop.start(cancel_then_sleep(scope, {}, woken));
    loop.run();
    EXPECT_THAT(woken, ElementsAre(1, 2));
}

awaitable<> nap_until(const bool& over, int& naps) {
    while (!over) {
        auto nap = lifecycle::sleep_until({}, clock::time_point());  // lint: the awaitable under test
        co_await std::move(nap);
        ++naps;
    }
}

TEST(Sleepers, OneThatFallsAsleepAgainAndAgainLetsOthersHaveTheirTurn) {
    loop loop;
    bool over = false;
    int naps = 0;
    loop.start(nap_until(over, naps));
    std::function<void()> other = [&] {
        if (naps >= 3)
            over = true;
        else
            asio::post(loop.io, other);
    };
    asio::post(loop.io, other);
    loop.run();  // would never end
    EXPECT_TRUE(over);
}

awaitable<> sleep_with(std::shared_ptr<int> kept) {
    auto sleeping = lifecycle::sleep_until({}, clock::time_point::max());  // lint: the awaitable under test
    co_await std::move(sleeping);
    ++*kept;
}

struct idle_sleeper final : lifecycle::sleeper {
    void go_on(clock::time_point) override {}
    void drop() override {}
};

TEST(Sleepers, ALoopDoesNotWaitForThoseThatWereRemoved) {
    loop loop;
    idle_sleeper first, second;
    auto& all = lifecycle::sleepers::of(loop.io.get_executor());
    first.due = clock::now() + 1h;
    second.due = clock::now() + 2h;
    all.add(first);
    all.add(second);
    loop.turn();
    all.remove(first);
    all.remove(second);
    loop.io.restart();
    loop.io.run_for(10s);
    EXPECT_TRUE(loop.io.stopped()) << "it waits for nobody";
}

TEST(Sleepers, EndWithTheirLoop) {
    const auto kept = std::make_shared<int>(0);
    {
        loop loop;
        for (int times = 0; times < 3; ++times) loop.start(sleep_with(kept));
        loop.turn();
        EXPECT_EQ(kept.use_count(), 4);
    }
    EXPECT_EQ(kept.use_count(), 1) << "a coroutine is left";
    EXPECT_EQ(*kept, 0);
}

}  // namespace
