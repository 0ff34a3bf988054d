// What was delivered or buried of a batch is settled at once, whatever becomes of the rest.

#include <gtest/gtest.h>

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
