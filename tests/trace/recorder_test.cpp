#include "cmd/service/trace/recorder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace trace {
namespace {

using testing::ElementsAre;

record numbered(std::uint64_t number) {
    record record{};
    record.events = number;
    return record;
}

std::vector<std::uint64_t> numbers(const recorder& from) {
    std::vector<std::uint64_t> all;
    from.for_each([&](pid_t, std::span<const record> records) {
        for (const auto& record : records) all.push_back(record.events);
    });
    return all;
}

TEST(TraceRecorder, TakesNothingBeforeItsBeginAndAfterItsEnd) {
    recorder events;
    events.add(numbered(1));
    EXPECT_FALSE(events.on());
    events.begin({::gettid()});
    EXPECT_TRUE(events.on());
    events.add(numbered(2));
    events.end();
    events.add(numbered(3));
    EXPECT_THAT(numbers(events), ElementsAre(2));
    EXPECT_EQ(events.lost(), 0U);
}

TEST(TraceRecorder, BeginsAnewEachTime) {
    recorder events;
    for (std::uint64_t round = 1; round <= 3; ++round) {
        events.begin({::gettid()});
        EXPECT_THAT(numbers(events), ElementsAre());
        events.add(numbered(round));
        events.add(numbered(10 * round));
        events.end();
        EXPECT_THAT(numbers(events), ElementsAre(round, 10 * round));
    }
}

TEST(TraceRecorder, KeepsTheOldestAndCountsWhatFindsNoRoom) {
    recorder events;
    events.begin({::gettid()});
    for (std::uint64_t nth = 0; nth < recorder::most_records + 5; ++nth) events.add(numbered(nth));
    events.end();
    const auto all = numbers(events);
    EXPECT_EQ(all.size(), recorder::most_records);
    EXPECT_EQ(all.back(), recorder::most_records - 1);
    EXPECT_EQ(events.lost(), 5U);
}

TEST(TraceRecorder, KnowsEachThreadFromItsFirstRecordAndCountsThoseBeyondItsRoom) {
    recorder events;
    events.begin({});
    for (std::uint64_t nth = 0; nth < recorder::most_threads + 2; ++nth)
        std::jthread([&] { events.add(numbered(nth)); }).join();
    events.end();
    EXPECT_EQ(numbers(events).size(), recorder::most_threads);
    EXPECT_EQ(events.lost(), 2U);
}

TEST(TraceRecorder, GivesThePlaceOfAThreadThatHasEndedToAnother) {
    recorder events;
    for (std::uint64_t round = 0; round < 3 * recorder::most_threads; ++round) {
        events.begin({::gettid()});
        std::jthread([&] { events.add(numbered(round)); }).join();
        events.end();
        ASSERT_THAT(numbers(events), ElementsAre(round));
    }
}

TEST(TraceRecorder, ThreadsMayAddWhileItBeginsAndEnds) {
    recorder events;
    std::atomic<bool> over{false};
    std::atomic<pid_t> ids[2]{};
    std::vector<std::jthread> writers;
    for (auto& id : ids)
        writers.emplace_back([&] {
            id = ::gettid();
            id.notify_one();
            for (std::uint64_t nth = 0; !over; ++nth) events.add(numbered(nth));
        });
    for (auto& id : ids) id.wait(0);
    std::uint64_t seen = 0;
    for (int round = 0; round < 200 || (seen == 0 && round < 100'000); ++round) {
        events.begin({ids[0], ids[1]});
        std::this_thread::yield();
        events.end();
        events.for_each([&](pid_t, std::span<const record> records) {
            seen += records.size();
            for (std::size_t nth = 1; nth < records.size(); ++nth)
                ASSERT_GT(records[nth].events, records[nth - 1].events) << "in its thread's order";
        });
    }
    over = true;
    EXPECT_GT(seen, 0U);
}

TEST(TraceRecorder, CutsTextsAndKeepsThemPrintable) {
    record record{};
    record.name = std::string(200, 'x');
    EXPECT_EQ(record.name.view().size(), 63U);
    record.name = "a\n\xff\"b";
    EXPECT_EQ(record.name.view(), "a??\"b");
    record.name = "";
    EXPECT_EQ(record.name.view(), "");
}

}  // namespace
}  // namespace trace
