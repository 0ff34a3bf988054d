#include "lifecycle/group/group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <new>
#include <stdexcept>

#include "tests/lifecycle/dropped.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using lifecycle::awaitable;
using lifecycle::cancel_scope;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using lifecycle::group;
using lifecycle::outcome;
using lifecycle::run_all;
using lifecycle::run_each;
using lifecycle::run_first;
using testing::ElementsAre;
using testing::HasSubstr;

const auto never = clock::time_point::max();

/// What `work` has thrown; empty when nothing. The loop runs until nothing is left, which is soon.
std::string run(asio::io_context& io, awaitable<> work) {
    std::string thrown;
    asio::co_spawn(io.get_executor(), std::move(work), [&](const std::exception_ptr& error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const std::exception& e) {
            thrown = e.what();
        }
    });
    io.restart();
    io.run_for(20s);
    return io.stopped() ? thrown : "it has no end";
}

awaitable<int> turns_then(int turns, int value) {
    const auto on = co_await asio::this_coro::executor;
    for (; turns > 0; --turns) {
        auto turn = asio::post(on, asio::deferred);
        co_await std::move(turn);
    }
    co_return value;
}

/// Until its context ends; says why that was.
awaitable<int> obedient(context context, cause& why) {
    auto waiting = lifecycle::sleep_until(context, never);  // lint: the task waits, not the test
    co_await std::move(waiting);
    why = context.why();
    co_return 0;
}

awaitable<int> failing(const char* what) {
    throw std::invalid_argument(what);
    co_return 0;
}

struct Group : testing::Test {
    asio::io_context io{1};
    cancel_scope scope;
};

TEST_F(Group, ResultsComeInTheOrderOfTheStartsWhoeverIsFirst) {
    std::vector<int> values;
    const auto work = [&]() -> awaitable<> {
        const auto begin = [](group<int>& all) {
            for (int i = 0; i < 5; ++i) all.start("one", [i](context) { return turns_then(5 - i, i); });
        };
        auto running = run_all<int>(scope.get(), 0, begin);
        values = co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "");
    EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(Group, NoMoreThanTheLimitRunAndWhatIsQueuedStartsAsSoonAsThereIsRoom) {
    int running = 0, most = 0, begun_before_the_wait = 0;
    std::vector<int> order;
    const auto task = [&](int number) {
        return [&, number](context) -> awaitable<> {
            order.push_back(number);
            most = std::max(most, ++running);
            auto turns = turns_then(number % 3 + 1, 0);
            co_await std::move(turns);
            --running;
        };
    };
    const auto begin = [&](group<>& all) -> awaitable<> {
        for (int i = 0; i < 20; ++i) all.start("one", task(i));
        auto turns = turns_then(200, 0);
        co_await std::move(turns);
        begun_before_the_wait = static_cast<int>(order.size());
    };
    EXPECT_EQ(run(io, run_all(scope.get(), 4, begin)), "");
    EXPECT_EQ(most, 4);
    EXPECT_EQ(begun_before_the_wait, 20);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(Group, TheFirstErrorCancelsTheRestAndIsThrownWithNameAndPlaceWhenTheyAreHome) {
    cause seen = cause::none;
    const auto begin = [&](group<int>& all) {
        all.start("patient", [&](context context) { return obedient(context, seen); });
        all.start("broken", [](context) { return failing("no such shop"); });
        all.start("late", [](context) { return turns_then(1, 1); });
    };
    std::string message, nested;
    const auto work = [&]() -> awaitable<> {
        try {
            auto running = run_all<int>(scope.get(), 2, begin);
            co_await std::move(running);
        } catch (const lifecycle::task_error& error) {
            message = error.what();
            try {
                std::rethrow_if_nested(error);
            } catch (const std::invalid_argument& own) {
                nested = own.what();
            }
        }
    };
    EXPECT_EQ(run(io, work()), "");
    EXPECT_THAT(message, testing::MatchesRegex("broken \\(.*group_test.cpp:[0-9]+\\): no such shop"));
    EXPECT_EQ(nested, "no such shop");
    EXPECT_EQ(seen, cause::cancelled) << "it was joined before the error was thrown";
    EXPECT_FALSE(scope.get().done()) << "the caller's context goes on";
}

TEST_F(Group, WhatIsQueuedWhenTheContextEndsIsNeverCalled) {
    int called = 0;
    const auto begin = [&](group<int>& all) {
        all.start("broken", [](context) { return failing("at once"); });
        for (int i = 0; i < 3; ++i)
            all.start("queued", [&](context) {
                ++called;
                return turns_then(0, i);
            });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_all<int>(scope.get(), 1, begin);
        co_await std::move(running);
    };
    EXPECT_THAT(run(io, work()), HasSubstr("at once"));
    EXPECT_EQ(called, 0);
}

TEST_F(Group, EachKeepsItsOwnOutcomeWhenAllAreWanted) {
    std::vector<outcome<int>> all_of_them;
    const auto begin = [&](group<int>& all) {
        all.start("bad", [](context) { return failing("one"); });
        all.start("good", [](context) { return turns_then(3, 7); });
        all.start("worse", [](context) { return failing("two"); });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_each<int>(scope.get(), 1, begin);
        all_of_them = co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "");
    ASSERT_EQ(all_of_them.size(), 3U);
    EXPECT_TRUE(all_of_them[0].error && all_of_them[2].error);
    EXPECT_EQ(all_of_them[1].value, 7);
    EXPECT_EQ(all_of_them[2].name, "worse");
}

TEST_F(Group, TheFirstValueWinsAndTheOthersAreCancelledAndJoined) {
    cause seen = cause::none;
    int won = 0;
    const auto begin = [&](group<int>& all) {
        all.start("fails first", [](context) { return failing("not heard"); });
        all.start("never", [&](context context) { return obedient(context, seen); });
        all.start("wins", [](context) { return turns_then(2, 42); });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_first<int>(scope.get(), 0, begin);
        won = co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "");
    EXPECT_EQ(won, 42);
    EXPECT_EQ(seen, cause::cancelled);
}

TEST_F(Group, ACancelOfTheCallerReachesEveryTaskWithItsCause) {
    cause first = cause::none, second = cause::none;
    const auto begin = [&](group<int>& all) {
        all.start("one", [&](context context) { return obedient(context, first); });
        all.start("two", [&](context context) { return obedient(context, second); });
        asio::post(io, [&] { scope.cancel(cause::client_gone); });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_all<int>(scope.get(), 0, begin);
        co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "");
    EXPECT_EQ(first, cause::client_gone);
    EXPECT_EQ(second, cause::client_gone);
}

TEST_F(Group, IsJoinedAlsoWhenItsBeginThrows) {
    cause seen = cause::none;
    const auto begin = [&](group<int>& all) -> awaitable<> {
        all.start("one", [&](context context) { return obedient(context, seen); });
        auto turn = turns_then(1, 0);
        co_await std::move(turn);
        throw std::runtime_error("while it starts them");
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_all<int>(scope.get(), 0, begin);
        co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "while it starts them");
    EXPECT_EQ(seen, cause::cancelled);
}

awaitable<int> lost() {
    const auto on = co_await asio::this_coro::executor;
    auto waiting = fakes::dropped(on);
    co_await std::move(waiting);
    co_return 0;
}

TEST_F(Group, ATaskThatIsDestroyedWhileItWaitsHasAnErrorAndThoseBehindItRun) {
    std::vector<outcome<int>> all;
    const auto work = [&]() -> awaitable<> {
        const auto begin = [](group<int>& some) {
            some.start("lost", [](context) { return lost(); });
            some.start("next", [](context) { return turns_then(1, 7); });
            some.start("lost too", [](context) { return lost(); });
        };
        auto running = run_each<int>(scope.get(), 1, begin);
        all = co_await std::move(running);
    };
    EXPECT_EQ(run(io, work()), "");
    ASSERT_EQ(all.size(), 3U) << "its caller is not told";
    for (const auto nth : {0U, 2U}) {
        ASSERT_TRUE(all[nth].error) << "it has neither a value nor an error";
        EXPECT_THROW(std::rethrow_exception(all[nth].error), std::bad_alloc);
    }
    EXPECT_EQ(all[1].value, 7);
}

TEST_F(Group, IsJoinedAlsoWhenItsCallerIsCancelledInTheWayOfAsio) {
    cause seen = cause::none;
    bool ended = false;
    asio::cancellation_signal signal;
    const auto begin = [&](group<int>& all) {
        all.start("one", [&](context context) { return obedient(context, seen); });
    };
    const auto work = [&]() -> awaitable<> {
        auto running = run_all<int>(scope.get(), 0, begin);
        co_await std::move(running);
    };
    asio::co_spawn(io.get_executor(), work(),
                   asio::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr&) { ended = true; }));
    while (io.poll() > 0) continue;
    signal.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run();
    EXPECT_TRUE(ended);
    EXPECT_EQ(seen, cause::cancelled);
}

TEST_F(Group, ATaskMayStartOthersAndAllAreWaitedFor) {
    int done = 0;
    const auto begin = [&](group<>& all) {
        all.start("outer", [&](context) -> awaitable<> {
            for (int i = 0; i < 10; ++i)
                all.start("inner", [&](context) -> awaitable<> {
                    auto turns = turns_then(3, 0);
                    co_await std::move(turns);
                    ++done;
                });
            co_return;
        });
    };
    EXPECT_EQ(run(io, run_all(scope.get(), 2, begin)), "");
    EXPECT_EQ(done, 10);
}

TEST_F(Group, ALongQueueOfTasksThatNeverWaitNeedsNoDeepStack) {
    int done = 0;
    const auto begin = [&](group<>& all) {
        all.start("first", [](context) -> awaitable<> {
            auto turn = turns_then(1, 0);
            co_await std::move(turn);
        });
        for (int i = 0; i < 100'000; ++i)
            all.start("quick", [&](context) -> awaitable<> {
                ++done;
                co_return;
            });
    };
    EXPECT_EQ(run(io, run_all(scope.get(), 1, begin)), "");
    EXPECT_EQ(done, 100'000);
}

TEST_F(Group, SaysWhereItsCallerWaits) {
    unsigned line = 0;
    const auto begin = [&](group<>& all) {
        all.start("looks", [&](context) -> awaitable<> {
            auto turn = turns_then(1, 0);
            co_await std::move(turn);
            line = scope.get().waits_at().line();
            co_return;
        });
    };
    const auto expected = std::source_location::current();
    EXPECT_EQ(run(io, run_all(scope.get(), 0, begin, expected)), "");
    EXPECT_EQ(line, expected.line());
}

}  // namespace
