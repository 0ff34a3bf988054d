// What the sink kafka knows of messages between two tries.

#include "tracker/kafka/messages.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/tracker/fakes.hpp"

namespace {

using fakes::make_event;
using tracker::event;
using tracker::messages;

std::vector<event> events(const std::vector<std::string>& ids) {
    std::vector<event> made;
    for (const auto& id : ids) made.push_back(make_event("data", id));
    return made;
}

TEST(KafkaMessages, WhatIsLeftOfATryIsKnownInTheNextAndWhatWasNotStoredIsNot) {
    messages all;
    all.begin();
    auto& slow = all.add("slow");
    auto& stored = all.add("stored");
    auto& refused = all.add("refused");
    all.acknowledge(stored);
    all.release(refused);
    all.begin();
    EXPECT_TRUE(all.knows("slow"));
    EXPECT_TRUE(all.knows("stored"));
    EXPECT_FALSE(all.knows("refused"));
    EXPECT_TRUE(all.any_under_way(events({"slow", "stored"})));
    EXPECT_FALSE(all.any_under_way(events({"stored"}))) << "nobody waits for what is of another batch";
    all.acknowledge(slow);
    EXPECT_FALSE(all.any_under_way(events({"slow", "stored"})));
    all.delivered(events({"slow", "stored"}));
    all.begin();
    EXPECT_FALSE(all.knows("slow"));
    EXPECT_FALSE(all.knows("stored"));
}

TEST(KafkaMessages, ABatchBetweenTwoTriesOfAnotherTakesNothingFromIt) {
    messages all;
    all.begin();
    all.add("first");
    all.begin();
    auto& second = all.add("second");
    all.acknowledge(second);
    EXPECT_FALSE(all.any_under_way(events({"second"})));
    all.delivered(events({"second"}));
    all.begin();
    EXPECT_TRUE(all.knows("first"));
    EXPECT_FALSE(all.knows("second"));
    EXPECT_EQ(all.under_way(), 1U);
}

TEST(KafkaMessages, AnIdThatIsInABatchTwiceIsOpenUntilBothAreAcknowledged) {
    messages all;
    all.begin();
    auto& one = all.add("twin");
    auto& other = all.add("twin");
    all.acknowledge(one);
    EXPECT_TRUE(all.any_under_way(events({"twin", "twin"})));
    all.begin();
    EXPECT_TRUE(all.any_under_way(events({"twin", "twin"})));
    all.acknowledge(other);
    EXPECT_FALSE(all.any_under_way(events({"twin", "twin"})));
    all.delivered(events({"twin", "twin"}));
    all.begin();
    EXPECT_FALSE(all.knows("twin"));
}

TEST(KafkaMessages, WhatWasUnderWayInAProducerThatHasEndedIsSentAgain) {
    messages all;
    all.begin();
    auto& stored = all.add("stored");
    all.add("lost");
    all.acknowledge(stored);
    all.release_under_way();
    EXPECT_EQ(all.under_way(), 0U);
    all.begin();
    EXPECT_TRUE(all.knows("stored"));
    EXPECT_FALSE(all.knows("lost"));
}

/// What is delivered whole is in a slot that the next batch uses again, wherever the numbers of events go.
TEST(KafkaMessages, BatchAfterBatchNothingIsLeft) {
    constexpr std::size_t most = 200;
    messages all;
    std::set<const messages::slot*> slots;
    for (std::size_t turn = 0; turn < 300; ++turn) {
        const std::size_t count = turn * 37 % most;
        std::vector<messages::slot*> sent;
        std::vector<event> batch;
        all.begin();
        for (std::size_t nth = 0; nth < count; ++nth) {
            batch.push_back(make_event("data", std::to_string(turn * 1'000 + nth)));
            ASSERT_FALSE(all.knows(batch.back().id));
            sent.push_back(&all.add(batch.back().id));
            slots.insert(sent.back());
        }
        for (std::size_t nth = 0; nth < count; ++nth) {
            ASSERT_EQ(sent[nth]->id, batch[nth].id);
            all.acknowledge(*sent[nth]);
        }
        ASSERT_FALSE(all.any_under_way(batch));
        all.delivered(batch);
        all.begin();
        for (const auto& each : batch) ASSERT_FALSE(all.knows(each.id)) << "it is left";
    }
    EXPECT_LE(slots.size(), 2 * most);
}

}  // namespace
