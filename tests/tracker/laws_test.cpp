// Laws that a worker could break: each ends the process where it is broken, since the account would be wrong from then
// on.
#include <gtest/gtest.h>

#include "tests/tracker/spool_fakes.hpp"
#include "tracker/memory_backlog.hpp"
#include "tracker/waiter.hpp"

#ifndef NDEBUG

namespace {

using fakes::some_events;
using tracker::outcome;

class TrackerLawsDeath : public testing::Test, public fakes::spool_place {
protected:
    TrackerLawsDeath() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

    tracker::batch of(std::initializer_list<const char*> data) {
        tracker::batch made(options);
        made.events = some_events({data.begin(), data.end()});
        return made;
    }
};

TEST_F(TrackerLawsDeath, OnlyWhatWasTakenFromTheQueueIsSettled) {
    tracker::intake queue(options);
    tracker::memory_backlog backlog(options, queue);
    auto batch = of({"never taken"});
    EXPECT_DEATH(backlog.settle(batch, outcome::delivered), "only what was taken is settled");
    EXPECT_DEATH(backlog.settle_part(batch, 0, 1), "only what was taken is settled");
    EXPECT_DEATH(backlog.bury(batch, 0), "only what was taken is settled");
    EXPECT_DEATH(backlog.give_back(batch), "only what was taken is given back");
    EXPECT_DEATH(queue.answer(batch, tracker::verdict::accepted), "only what was taken is answered");
}

TEST_F(TrackerLawsDeath, WhatWasGivenBackIsSettledOnlyAfterItWasTakenAgain) {
    tracker::intake queue(options);
    tracker::memory_backlog backlog(options, queue);
    auto event = fakes::make_event("a");
    ASSERT_EQ(queue.try_push(event), tracker::verdict::accepted);
    backlog.close();
    tracker::batch batch(options);
    ASSERT_TRUE(backlog.take(batch));
    auto copy = batch;
    backlog.give_back(batch);
    EXPECT_DEATH(backlog.settle(copy, outcome::delivered), "what was given back has to be taken again");
    EXPECT_DEATH(backlog.give_back(copy), "only what was taken is given back");
}

TEST_F(TrackerLawsDeath, OnlyWhatWasTakenFromTheSpoolIsSettled) {
    tracker::spool spool(options, book.log);
    auto batch = of({"never taken"});
    EXPECT_DEATH(spool.of_sink(0).settle(batch, outcome::delivered), "only what was taken is settled");
    EXPECT_DEATH(spool.of_sink(0).settle_part(batch, 0, 1), "a place for each");
    EXPECT_DEATH(spool.of_sink(0).bury(batch, 0), "index < taken_.places.size");
}

TEST_F(TrackerLawsDeath, ASinkIsDoneWithABatchOnce) {
    tracker::spool spool(options, book.log);
    ASSERT_EQ(spool.append(some_events({"a"})), tracker::verdict::accepted);
    tracker::batch batch(options);
    spool.close();
    ASSERT_TRUE(spool.of_sink(0).take(batch));
    spool.of_sink(0).settle(batch, outcome::delivered);
    EXPECT_DEATH(spool.of_sink(0).settle(batch, outcome::delivered), "only what was taken is settled");
}

TEST_F(TrackerLawsDeath, AWakeUpBelongsToAWaiter) {
    tracker::wake_allocator<char> of_nobody(nullptr);
    EXPECT_DEATH(of_nobody.allocate(1), "a wake-up belongs to a waiter");
}

}  // namespace

#endif
