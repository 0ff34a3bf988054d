#include "tracker/intake.hpp"

#include <gtest/gtest.h>

#include "tests/tracker/fakes.hpp"
#include "tracker/memory_backlog.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;
using tracker::intake;
using tracker::memory_backlog;
using tracker::overflow;
using tracker::verdict;

tracker::options room_for(std::size_t events, overflow policy = overflow::reject) {
    tracker::options options;
    options.queue_capacity = events;
    options.overflow = policy;
    options.batch_age = 1h;  // no batch is due for its age unless a test says so
    return options;
}

verdict offer(intake& queue, std::string data) {
    auto event = make_event(std::move(data), "");
    return queue.try_push(event);
}

std::vector<std::string> data_of(const tracker::batch& batch) {
    std::vector<std::string> all;
    all.reserve(batch.events.size());
    for (const auto& event : batch.events) all.push_back(event.data);
    return all;
}

using strings = std::vector<std::string>;

TEST(Queue, IsFirstInFirstOut) {
    const auto options = room_for(3);
    intake queue(options);
    for (const auto* data : {"a", "b", "c"}) EXPECT_EQ(offer(queue, data), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"a", "b", "c"}));
}

TEST(Queue, AnswersFullWhenThereIsNoRoomAndLeavesTheEventAlone) {
    const auto options = room_for(1);
    intake queue(options);
    EXPECT_EQ(offer(queue, "a"), verdict::accepted);
    auto event = make_event("b", "id");
    EXPECT_EQ(queue.try_push(event), verdict::full);
    EXPECT_EQ(event.data, "b");
    EXPECT_EQ(event.id, "id");
    EXPECT_EQ(queue.counts().accepted, 1U);
}

TEST(Queue, TryNeverWaitsForRoomWhenThePolicyIsToBlock) {
    intake queue(room_for(1, overflow::block));
    EXPECT_EQ(offer(queue, "a"), verdict::accepted);
    EXPECT_EQ(offer(queue, "b"), verdict::full);
}

TEST(Queue, DropsTheOldestAndCountsIt) {
    const auto options = room_for(2, overflow::drop_oldest);
    intake queue(options);
    for (const auto* data : {"a", "b", "c", "d"}) EXPECT_EQ(offer(queue, data), verdict::accepted);
    const auto account = memory_backlog(options, queue).account();
    EXPECT_EQ(account.accepted, 4U);
    EXPECT_EQ(account.dropped.at("overflow"), 2U);
    EXPECT_EQ(account.queued, 2U);
    EXPECT_TRUE(account.balanced());
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"c", "d"}));
}

TEST(Queue, BoundsBytesAsWellAsEvents) {
    auto options = room_for(100);
    options.queue_bytes = 10;
    intake queue(options);
    EXPECT_EQ(offer(queue, "12345678"), verdict::accepted);
    EXPECT_EQ(offer(queue, "123"), verdict::full);
    EXPECT_EQ(offer(queue, "12"), verdict::accepted);
    EXPECT_EQ(queue.depth(), 2U);
}

TEST(Queue, LetsAnEventBeyondTheByteLimitInAlone) {
    auto options = room_for(100);
    options.queue_bytes = 10;
    intake queue(options);
    EXPECT_EQ(offer(queue, std::string(1000, 'x')), verdict::accepted);
    EXPECT_EQ(offer(queue, ""), verdict::full);
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(offer(queue, "12"), verdict::accepted);
}

TEST(Queue, AnswersClosedAfterItWasClosedAndNeverCrashes) {
    intake queue(room_for(2));
    queue.close();
    queue.close();
    EXPECT_EQ(offer(queue, "late"), verdict::closed);
    EXPECT_EQ(queue.counts().accepted, 0U);
}

TEST(Queue, GivesWhatIsLeftAfterItWasClosedAndThenEnds) {
    const auto options = room_for(2);
    intake queue(options);
    EXPECT_EQ(offer(queue, "a"), verdict::accepted);
    queue.close();
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));  // although it is neither old nor large
    EXPECT_EQ(data_of(batch), strings{"a"});
    EXPECT_FALSE(queue.take(batch));
    EXPECT_FALSE(queue.take(batch));
}

TEST(Queue, MakesBatchesByCount) {
    auto options = room_for(10);
    options.batch_events = 2;
    intake queue(options);
    for (const auto* data : {"a", "b", "c", "d", "e"}) offer(queue, data);
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"a", "b"}));
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"c", "d"}));
}

TEST(Queue, MakesBatchesByBytes) {
    auto options = room_for(10);
    options.batch_bytes = 4;
    intake queue(options);
    for (const auto* data : {"aa", "bb", "cc", "longer than a batch", "dddd"}) offer(queue, data);
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"aa", "bb"}));
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), strings{"cc"});
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), strings{"longer than a batch"});
    ASSERT_TRUE(queue.take(batch));
    EXPECT_EQ(data_of(batch), strings{"dddd"});
}

TEST(Queue, MakesBatchesByAge) {
    auto options = room_for(10);
    options.batch_age = 2ms;
    intake queue(options);
    const auto began = fakes::clock::now();
    offer(queue, "alone");
    tracker::batch batch(options);
    ASSERT_TRUE(queue.take(batch));
    EXPECT_GE(fakes::clock::now() - began, 2ms);
    EXPECT_EQ(data_of(batch), strings{"alone"});
}

TEST(Queue, AFullQueueIsABatchHoweverSmallItIs) {
    const auto options = room_for(2);  // fewer than a batch has, and nothing gets old here
    intake queue(options);
    offer(queue, "a");
    offer(queue, "b");
    tracker::batch batch(options);
    EXPECT_TRUE(queue.take(batch));
}

TEST(Queue, WakesAWorkerThatWaitsForTheFirstEvent) {
    auto options = room_for(10);
    options.batch_age = 0ms;
    intake queue(options);
    lifecycle::workers workers;
    std::promise<strings> taken;
    const auto worker = workers.start("taker", "worker", [&](std::stop_token) {
        tracker::batch batch(options);
        if (queue.take(batch)) taken.set_value(data_of(batch));
    });
    offer(queue, "a");
    auto result = taken.get_future();
    ASSERT_EQ(result.wait_for(fakes::patience), std::future_status::ready);
    EXPECT_EQ(result.get(), strings{"a"});
}

TEST(Queue, DoesNotPauseOnceItIsClosed) {
    intake queue(room_for(1));
    queue.close();
    queue.pause_while_open(fakes::clock::now() + 24h);  // would not come back in the time of a test
}

TEST(Queue, KeepsTheLawAtEveryStep) {
    auto options = room_for(4);
    options.batch_events = 2;
    intake queue(options);
    memory_backlog backlog(options, queue);
    const auto law = [&](std::uint64_t queued, std::uint64_t delivered) {
        const auto account = backlog.account();
        EXPECT_TRUE(account.balanced());
        EXPECT_EQ(account.queued, queued);
        EXPECT_EQ(account.delivered, delivered);
    };
    for (const auto* data : {"a", "b", "c"}) offer(queue, data);
    law(3, 0);
    tracker::batch batch(options);
    ASSERT_TRUE(backlog.take(batch));
    law(3, 0);
    backlog.settle(batch, tracker::outcome::delivered);
    law(1, 2);
    backlog.close();
    ASSERT_TRUE(backlog.take(batch));
    backlog.settle(batch, tracker::outcome::given_up);
    law(0, 2);
    EXPECT_EQ(backlog.account().dropped.at("deadline"), 1U);
}

TEST(Queue, KeepsTheLawWhileWorkersSettle) {
    constexpr std::uint64_t events = 40'000;
    auto options = room_for(events);
    options.batch_events = 64;
    intake queue(options);
    memory_backlog backlog(options, queue);
    for (std::uint64_t i = 0; i < events; ++i) offer(queue, "x");
    backlog.close();
    lifecycle::workers workers;
    const auto work = [&](std::stop_token) {
        tracker::batch batch(options);
        for (unsigned turn = 0; backlog.take(batch); ++turn) {
            if (turn % 4 == 0) {
                backlog.give_back(batch);
                continue;
            }
            backlog.bury(batch, 0);
            // One by one: each is a moment at which the account could be seen between two columns.
            while (!batch.events.empty()) backlog.settle_part(batch, batch.events.size() - 1, 1);
        }
    };
    bool balanced = true;
    {
        const auto first = workers.start("first", "worker", work);
        const auto second = workers.start("second", "worker", work);
        while (!backlog.over()) balanced = balanced && backlog.account().balanced();
    }
    EXPECT_TRUE(balanced);
    const auto account = backlog.account();
    EXPECT_EQ(account.accepted, events);
    EXPECT_EQ(account.queued, 0U);
    EXPECT_TRUE(account.balanced());
}

}  // namespace
