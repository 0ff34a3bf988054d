// Coroutines that wait for room, on loops of their own.

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "tests/tracker/fakes.hpp"
#include "tracker/intake.hpp"
#include "tracker/memory_backlog.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::eventually;
using fakes::make_event;
using lifecycle::context;
using tracker::intake;
using tracker::overflow;
using tracker::verdict;

const auto here = std::source_location::current();

tracker::options room_for(std::size_t events) {
    tracker::options options;
    options.queue_capacity = events;
    options.overflow = overflow::block;
    options.batch_age = 1h;
    return options;
}

struct Waiting : testing::Test {
    tracker::options options = room_for(1);
    lifecycle::workers workers;
    intake queue{options};
    tracker::batch batch{options};
    fakes::loop first{workers};

    void fill() {
        auto event = make_event("first");
        ASSERT_EQ(queue.try_push(event), verdict::accepted);
    }
    /// Starts a push on `loop` that has to wait, and comes back when it stands in line.
    std::future<verdict> wait_in_line(fakes::loop& loop, std::string data, const context& until = {}) {
        const auto before = queue.waiting();
        auto answer = loop.spawn(queue.push(until, make_event(std::move(data)), here));
        EXPECT_TRUE(eventually([&] { return queue.waiting() == before + 1; }));
        return answer;
    }
    verdict within_patience(std::future<verdict>& answer) {
        EXPECT_EQ(answer.wait_for(fakes::patience), std::future_status::ready);
        return answer.get();
    }
};

TEST_F(Waiting, GetsRoomInOrderOfArrivalAcrossLoops) {
    fakes::loop second(workers);
    fill();
    std::vector<std::future<verdict>> answers;
    answers.reserve(6);
    for (int i = 0; i < 6; ++i) answers.push_back(wait_in_line(i % 2 == 0 ? first : second, std::to_string(i)));
    ASSERT_TRUE(queue.take(batch));
    for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(within_patience(answers[static_cast<std::size_t>(i)]), verdict::accepted);
        ASSERT_TRUE(queue.take(batch));
        EXPECT_EQ(batch.events.at(0).data, std::to_string(i));
    }
    EXPECT_EQ(queue.counts().accepted, 7U);
}

TEST_F(Waiting, GoesOnUnderAnotherPolicyWhichHoldsForWhoComesNow) {
    fill();
    auto waiting = wait_in_line(first, "second");
    options.overflow = overflow::reject;
    queue.apply(options);
    auto refused = first.spawn(queue.push({}, make_event("third"), here));
    EXPECT_EQ(within_patience(refused), verdict::full);
    options.overflow = overflow::drop_oldest;
    queue.apply(options);
    auto fourth = make_event("fourth");
    EXPECT_EQ(queue.try_push(fourth), verdict::full) << "who waits comes first, and nothing is dropped for it";
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(batch.events.at(0).data, "first");
    EXPECT_EQ(within_patience(waiting), verdict::accepted);
    EXPECT_EQ(queue.try_push(fourth), verdict::accepted);
    EXPECT_EQ(queue.counts().dropped, 1U) << "now the oldest goes";
    EXPECT_TRUE(tracker::memory_backlog(options, queue).account().balanced());
}

TEST_F(Waiting, DoesNotWaitWhenThereIsRoom) {
    auto answer = first.spawn(queue.push({}, make_event("a"), here));
    EXPECT_EQ(within_patience(answer), verdict::accepted);
    EXPECT_EQ(queue.depth(), 1U);
}

TEST_F(Waiting, ComesBackOnItsOwnLoop) {
    fill();
    const auto where = [](intake& full) -> lifecycle::awaitable<std::thread::id> {
        auto room = full.push({}, make_event("a"), here);
        co_await std::move(room);
        co_return std::this_thread::get_id();
    };
    std::thread::id home;
    first.run_here([&] { home = std::this_thread::get_id(); });
    auto answer = first.spawn(where(queue));
    ASSERT_TRUE(eventually([&] { return queue.waiting() == 1; }));
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(answer.get(), home);
}

TEST(WaitingByBytes, ANewcomerStandsBehindThoseWhoWait) {
    auto options = room_for(10);
    options.queue_bytes = 100;
    lifecycle::workers workers;
    intake queue(options);
    auto first = make_event(std::string(50, 'x'), "");
    ASSERT_EQ(queue.try_push(first), verdict::accepted);
    fakes::loop loop(workers);
    auto large = loop.spawn(queue.push({}, make_event(std::string(80, 'y'), ""), here));
    ASSERT_TRUE(eventually([&] { return queue.waiting() == 1; }));

    auto small = make_event("would fit", "");
    EXPECT_EQ(queue.try_push(small), verdict::full);
    auto behind = loop.spawn(queue.push({}, make_event("fits too", ""), here));
    ASSERT_TRUE(eventually([&] { return queue.waiting() == 2; }));

    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(large.get(), verdict::accepted);
    EXPECT_EQ(behind.get(), verdict::accepted);
    queue.close();
    ASSERT_TRUE(queue.take(batch));
    ASSERT_EQ(batch.events.size(), 2U);
    EXPECT_EQ(batch.events[1].data, "fits too");
}

TEST_F(Waiting, ACancelledContextLeavesTheLine) {
    fill();
    lifecycle::cancel_scope scope;
    auto answer = wait_in_line(first, "never", scope.get());
    auto next = wait_in_line(first, "next");
    first.run_here([&] { scope.cancel(lifecycle::cause::client_gone); });
    EXPECT_EQ(within_patience(answer), verdict::deadline);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(within_patience(next), verdict::accepted);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(batch.events.at(0).data, "next");
    EXPECT_EQ(queue.counts().accepted, 2U);
}

TEST_F(Waiting, AContextThatEndedBeforeItStoodInLineDoesNotWait) {
    fill();
    lifecycle::cancel_scope scope;
    scope.cancel(lifecycle::cause::shutdown);
    auto answer = first.spawn(queue.push(scope.get(), make_event("never"), here));
    EXPECT_EQ(within_patience(answer), verdict::deadline);
    EXPECT_EQ(queue.waiting(), 0U);
}

TEST_F(Waiting, EndsWithTheDeadlineOfItsContext) {
    fill();
    const auto until = fakes::clock::now() + 5ms;
    auto answer = first.spawn(queue.push(context().with_deadline(until), make_event("never"), here));
    EXPECT_EQ(within_patience(answer), verdict::deadline);
    EXPECT_GE(fakes::clock::now(), until);
    EXPECT_EQ(queue.waiting(), 0U);
}

TEST_F(Waiting, AsiosCancellationIsTheSame) {
    fill();
    boost::asio::cancellation_signal signal;
    std::promise<verdict> promise;
    auto answer = promise.get_future();
    first.run_here([&] {
        auto done = [&](std::exception_ptr, verdict what) { promise.set_value(what); };
        boost::asio::co_spawn(first.context(), queue.push({}, make_event("never"), here),
                              boost::asio::bind_cancellation_slot(signal.slot(), std::move(done)));
    });
    ASSERT_TRUE(eventually([&] { return queue.waiting() == 1; }));
    first.run_here([&] { signal.emit(boost::asio::cancellation_type::terminal); });
    EXPECT_EQ(within_patience(answer), verdict::deadline);
}

TEST_F(Waiting, ClosingAnswersAllWhoWait) {
    fakes::loop second(workers);
    fill();
    std::vector<std::future<verdict>> answers;
    for (int i = 0; i < 200; ++i) {
        auto& loop = i % 2 == 0 ? first : second;
        answers.push_back(loop.spawn(queue.push({}, make_event("never"), here)));
    }
    ASSERT_TRUE(eventually([&] { return queue.waiting() == 200; }));
    queue.close();
    for (auto& answer : answers) EXPECT_EQ(within_patience(answer), verdict::closed);
    EXPECT_EQ(queue.waiting(), 0U);
    EXPECT_EQ(queue.counts().accepted, 1U);
}

TEST_F(Waiting, ALoopThatIsDestroyedLeavesNobodyInLine) {
    fill();
    {
        boost::asio::io_context loop(1);
        boost::asio::co_spawn(loop, queue.push({}, make_event("never"), here), boost::asio::detached);
        loop.poll();
        ASSERT_EQ(queue.waiting(), 1U);
    }
    EXPECT_EQ(queue.waiting(), 0U);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(queue.depth(), 0U);
}

TEST_F(Waiting, ALoopKeepsRunningForAWakeUpOnItsWay) {
    fill();
    boost::asio::io_context loop(1);
    auto answer = verdict::full;
    boost::asio::co_spawn(loop, queue.push({}, make_event("a"), here),
                          [&](std::exception_ptr, verdict what) { answer = what; });
    loop.poll();
    ASSERT_TRUE(queue.take(batch));
    loop.run();  // returns: nothing keeps it once the coroutine has ended
    EXPECT_EQ(answer, verdict::accepted);
}

TEST_F(Waiting, SaysWhereItWaits) {
    fill();
    const lifecycle::cancel_scope scope;
    auto answer = wait_in_line(first, "a", scope.get());
    // In line is a step before the breadcrumb; a turn of the loop later it is there.
    first.run_here([] {});
    EXPECT_EQ(scope.get().waits_at().line(), here.line());
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(within_patience(answer), verdict::accepted);
    EXPECT_EQ(scope.get().waits_at().line(), 0U);
}

}  // namespace
