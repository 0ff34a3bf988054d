// What was delivered or buried of a batch is settled at once, whatever becomes of the rest.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tracker/spool_fakes.hpp"
#include "tracker/memory_backlog.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::make_event;
using fakes::some_events;
using tracker::outcome;
using tracker::spool;
using tracker::verdict;
using strings = std::vector<std::string>;

struct SettledInParts : testing::Test, fakes::spool_place {
    std::unique_ptr<spool> open() { return std::make_unique<spool>(options, book.log); }
    static strings data_of(const tracker::batch& batch) {
        strings all;
        for (const auto& event : batch.events) all.push_back(event.data);
        return all;
    }
};

TEST_F(SettledInParts, WhatWasDeliveredDoesNotComeAgainAfterAKillInTheMiddle) {
    {
        const auto first = open();
        ASSERT_EQ(first->append(some_events({"a", "b", "c", "d", "e"})), verdict::accepted);
        tracker::batch batch(options);
        ASSERT_TRUE(first->of_sink(0).take(batch));
        first->of_sink(0).settle_part(batch, 0, 2);
        EXPECT_EQ(data_of(batch), (strings{"c", "d", "e"}));
        EXPECT_EQ(first->account().delivered, 2U);
        EXPECT_EQ(first->account().queued, 3U);
        first->of_sink(0).bury(batch, 0);
        EXPECT_EQ(first->account().dropped.at("dead_letter"), 1U);
        EXPECT_TRUE(first->account().balanced());
    }
    const auto next = open();
    tracker::batch batch(options);
    ASSERT_TRUE(next->of_sink(0).take(batch));
    EXPECT_EQ(data_of(batch), (strings{"d", "e"}));
    EXPECT_EQ(next->account().recovered, 2U);
    EXPECT_TRUE(next->account().balanced());
}

TEST_F(SettledInParts, WhatIsDeliveredOutOfOrderCountsOnceWhatIsBeforeItHasGone) {
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a", "b", "c", "d"})), verdict::accepted);
    tracker::batch batch(options);
    auto& backlog = spool->of_sink(0);
    ASSERT_TRUE(backlog.take(batch));
    backlog.settle_part(batch, 2, 1);
    backlog.bury(batch, 1);
    EXPECT_EQ(data_of(batch), (strings{"a", "d"}));
    EXPECT_EQ(spool->account().queued, 4U);
    EXPECT_TRUE(spool->account().balanced());
    backlog.settle_part(batch, 0, 1);
    EXPECT_EQ(spool->account().delivered, 2U);
    EXPECT_EQ(spool->account().dropped.at("dead_letter"), 1U);
    backlog.settle(batch, outcome::delivered);
    EXPECT_EQ(spool->account().delivered, 3U);
    EXPECT_EQ(spool->account().queued, 0U);
    EXPECT_TRUE(spool->account().balanced());
}

TEST_F(SettledInParts, WhatIsGivenBackComesAgainWithoutWhatWasDeliveredFromItsMiddle) {
    options.batch_events = 3;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a", "b", "c", "d", "e", "f"})), verdict::accepted);
    tracker::batch batch(options);
    auto& backlog = spool->of_sink(0);
    ASSERT_TRUE(backlog.take(batch));
    backlog.settle_part(batch, 1, 1);
    backlog.give_back(batch);
    ASSERT_TRUE(backlog.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"a", "c", "d"}));
    backlog.settle_part(batch, 2, 1);
    backlog.bury(batch, 1);
    backlog.give_back(batch);
    ASSERT_TRUE(backlog.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"a", "e", "f"}));
    backlog.settle_part(batch, 0, 2);
    EXPECT_EQ(spool->account().delivered, 4U);
    EXPECT_EQ(spool->account().dropped.at("dead_letter"), 1U);
    backlog.give_back(batch);
    ASSERT_TRUE(backlog.take(batch));
    EXPECT_EQ(data_of(batch), strings{"f"});
    backlog.settle(batch, outcome::delivered);
    EXPECT_EQ(spool->account().delivered, 5U);
    EXPECT_TRUE(spool->account().balanced());
}

/// A sink that refuses some events by a word that it also has for its own bad moments.
void expect_all_settled(const tracker::options& options, const strings& first, const strings& later) {
    fakes::running_tracker running(options);
    running.sink.refuses = [&](const auto& batch) {
        return std::ranges::any_of(batch, [](const auto& event) { return event.data.starts_with("bad"); });
    };
    for (const auto& data : first) EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    running.start();
    EXPECT_TRUE(fakes::eventually([&] { return running.sink.tries() > 10; }));
    for (const auto& data : later) EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    EXPECT_TRUE(fakes::eventually([&] {  // an event is accepted once it is in the spool, which takes a while
        const auto account = running.events.account();
        return account.accepted == first.size() + later.size() && account.queued == 0;
    }));
    running.flush_until = fakes::clock::now();
    running.stop();
    auto taken = running.sink.data();
    std::ranges::sort(taken);
    EXPECT_TRUE(std::ranges::adjacent_find(taken) == taken.end()) << "each once";
    const auto account = running.events.account();
    EXPECT_EQ(taken.size() + account.dropped.at("dead_letter"), first.size() + later.size());
}

/// Bad events fill the front, and those behind them have been taken to compare the first one with.
TEST_F(SettledInParts, BadEventsWithNothingLeftToBeComparedWithHoldUpNobody) {
    const std::vector<strings> batches = {{"bad 1", "bad 2", "a"},
                                          {"bad 1", "a", "bad 2"},
                                          {"bad 1", "bad 2", "bad 3", "a"},
                                          {"bad 1", "bad 2", "a", "bad 3"}};
    for (const auto kept : {tracker::durability::memory, tracker::durability::process}) {
        options.durability = kept;
        options.retry_initial = 0ms;
        options.retry_max = 1ms;
        options.batch_age = 0ms;
        for (const auto& first : batches) {
            SCOPED_TRACE(testing::PrintToString(first));
            expect_all_settled(options, first, {"later 1", "later 2"});
        }
    }
}

TEST_F(SettledInParts, WhatIsGivenBackComesAgainWithWhatHasComeMeanwhile) {
    const auto spool = open();
    auto& backlog = spool->of_sink(0);
    ASSERT_EQ(spool->append(some_events({"a", "b"})), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(backlog.take(batch));
    backlog.settle_part(batch, 0, 1);
    ASSERT_EQ(spool->append(some_events({"c"})), verdict::accepted);
    backlog.give_back(batch);
    EXPECT_EQ(spool->account().queued, 2U);
    ASSERT_TRUE(backlog.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"b", "c"}));
    backlog.settle(batch, outcome::delivered);
    EXPECT_EQ(spool->account().delivered, 3U);
    EXPECT_TRUE(spool->account().balanced());
}

TEST_F(SettledInParts, WhatAnEarlierRunLeftCostsItsRateOnceHoweverOftenItIsGivenBack) {
    {
        const auto first = open();
        ASSERT_EQ(first->append(some_events({"a", "b"})), verdict::accepted);
    }
    options.replay_rate = 1;
    const auto next = open();
    tracker::batch batch(options);
    for (int i = 0; i < 1'000; ++i) {
        ASSERT_TRUE(next->of_sink(0).take(batch));
        ASSERT_EQ(data_of(batch), (strings{"a", "b"}));
        next->of_sink(0).give_back(batch);
    }
}

TEST_F(SettledInParts, WithoutASpoolItIsTheSame) {
    auto memory = fakes::prompt();
    tracker::intake queue(memory);
    tracker::memory_backlog backlog(memory, queue);
    for (const auto* data : {"a", "b", "c", "d"}) {
        auto event = make_event(data);
        ASSERT_EQ(queue.try_push(event), verdict::accepted);
    }
    tracker::batch batch(memory);
    ASSERT_TRUE(backlog.take(batch));
    backlog.settle_part(batch, 0, 1);
    backlog.bury(batch, 0);
    EXPECT_EQ(backlog.account().delivered, 1U);
    backlog.give_back(batch);
    EXPECT_EQ(backlog.account().queued, 2U);
    EXPECT_TRUE(backlog.account().balanced());
    auto event = make_event("e");
    ASSERT_EQ(queue.try_push(event), verdict::accepted);
    backlog.close();
    ASSERT_TRUE(backlog.take(batch));
    EXPECT_EQ(data_of(batch), (strings{"c", "d", "e"}));
    backlog.settle(batch, outcome::delivered);
    EXPECT_FALSE(backlog.take(batch));
    EXPECT_EQ(backlog.account().delivered, 4U);
    EXPECT_TRUE(backlog.account().balanced());
}

}  // namespace
