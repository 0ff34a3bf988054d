#include "tracker/spool/spool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::drain;
using fakes::some_events;
using testing::HasSubstr;
using tracker::spool;
using tracker::verdict;
using strings = std::vector<std::string>;

struct Spool : testing::Test, fakes::spool_place {
    std::unique_ptr<spool> open() { return std::make_unique<spool>(options, book.log, &disk); }
    void append_to(const std::filesystem::path& path, const std::string& bytes) const {
        std::ofstream(path, std::ios::binary | std::ios::app) << bytes;
    }
    std::string drain_one(spool& from) {
        tracker::batch batch(options);
        EXPECT_TRUE(from.of_sink(0).take(batch));
        from.of_sink(0).settle(batch, tracker::outcome::delivered);
        return batch.events.at(0).data;
    }
    fakes::test_disk disk;
};

TEST_F(Spool, HandsOutWhatWasAppendedInItsOrderAndLeavesNothingBehind) {
    {
        const auto spool = open();
        EXPECT_EQ(spool->append(some_events({"a", "b"})), verdict::accepted);
        EXPECT_EQ(spool->append(some_events({"c"})), verdict::accepted);
        EXPECT_EQ(spool->account().queued, 3U);
        EXPECT_EQ(drain(*spool, options), (strings{"a", "b", "c"}));
        const auto account = spool->account();
        EXPECT_EQ(account.delivered, 3U);
        EXPECT_TRUE(account.balanced());
    }
    EXPECT_TRUE(std::filesystem::is_empty(spool_directory()));
}

TEST_F(Spool, TheNextOneRecoversWhatWasNotDeliveredWithTheSameIds) {
    const auto events = some_events({"a", "b", "c"});
    options.batch_events = 1;
    {
        const auto spool = open();
        ASSERT_EQ(spool->append(events), verdict::accepted);
        tracker::batch batch(options);
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        spool->of_sink(0).settle(batch, tracker::outcome::delivered);
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        spool->of_sink(0).settle(batch, tracker::outcome::given_up);
        EXPECT_FALSE(spool->of_sink(0).take(batch));
    }
    const auto next = open();
    tracker::batch batch(options);
    ASSERT_TRUE(next->of_sink(0).take(batch));
    ASSERT_EQ(batch.events.size(), 1U);
    EXPECT_EQ(batch.events[0].id, events[1].id);
    EXPECT_EQ(next->account().recovered, 2U);
    next->of_sink(0).settle(batch, tracker::outcome::delivered);
    EXPECT_EQ(drain(*next, options), strings{"c"});
    EXPECT_TRUE(next->account().balanced());
    EXPECT_THAT(log(), HasSubstr("recovered 2 events"));
}

TEST_F(Spool, CutsATornTailAndReportsIt) {
    {
        const auto spool = open();
        ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
    }
    append_to(segments().at(0), "torn");
    const auto next = open();
    tracker::batch batch(options);
    ASSERT_TRUE(next->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "a");
    EXPECT_THAT(log(), HasSubstr("cut a torn tail of 4 bytes"));
}

TEST_F(Spool, DoesNotTouchWhatALivingOneWritesAndAdoptsItAfterwards) {
    auto first = open();
    ASSERT_EQ(first->append(some_events({"of the first"})), verdict::accepted);
    {
        const auto second = open();
        ASSERT_EQ(second->append(some_events({"of the second"})), verdict::accepted);
        EXPECT_EQ(drain(*second, options), strings{"of the second"});
        EXPECT_EQ(second->account().recovered, 0U);
    }
    first.reset();
    const auto third = open();
    tracker::batch batch(options);
    ASSERT_TRUE(third->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "of the first");
}

TEST_F(Spool, AdoptsWhileItRunsWhatAnotherProcessHasLeft) {
    options.adopt_interval = 1ms;
    auto first = open();
    ASSERT_EQ(first->append(some_events({"of the first"})), verdict::accepted);
    const auto second = open();
    ASSERT_EQ(second->append(some_events({"of the second"})), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(second->of_sink(0).take(batch));  // has looked around, the first lives
    EXPECT_EQ(batch.events.at(0).data, "of the second");
    second->of_sink(0).settle(batch, tracker::outcome::delivered);
    first.reset();
    ASSERT_TRUE(second->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "of the first");
    EXPECT_EQ(second->account().recovered, 1U);
}

TEST_F(Spool, AdoptsManySetsAFewAtATimeAndLeavesNoneBehind) {
    constexpr std::size_t runs = 40;
    {
        std::vector<std::unique_ptr<spool>> dead;  // all at once, or each would adopt the one before
        for (std::size_t i = 0; i < runs; ++i) {
            dead.push_back(open());
            ASSERT_EQ(dead.back()->append(some_events({std::to_string(i)})), verdict::accepted);
        }
    }
    {
        const auto next = open();
        tracker::batch batch(options);
        strings order;
        strings expected;
        while (order.size() < runs) {
            expected.push_back(std::to_string(order.size()));
            ASSERT_TRUE(next->of_sink(0).take(batch));
            EXPECT_LT(next->account().queued, 16U);
            order.push_back(batch.events.at(0).data);
            next->of_sink(0).settle(batch, tracker::outcome::delivered);
        }
        EXPECT_EQ(order, expected);
        EXPECT_EQ(next->account().recovered, runs);
    }
    EXPECT_TRUE(std::filesystem::is_empty(spool_directory()));
}

TEST_F(Spool, KeepsAFileThatIsNoSegment) {
    { ASSERT_EQ(open()->append(some_events({"a"})), verdict::accepted); }
    const auto segment = segments().at(0);
    auto bytes = support::read_file(segment);
    for (const auto copy : {std::size_t{0}, tracker::segment_header_size / 2}) bytes[copy + 6] = '\x04';  // a later one
    support::write_file(segment, bytes);
    const auto next = open();
    ASSERT_EQ(next->append(some_events({"b"})), verdict::accepted);
    EXPECT_EQ(drain_one(*next), "b");
    EXPECT_EQ(support::read_file(segment.string() + ".damaged"), bytes);
    EXPECT_THAT(log(), HasSubstr("does not begin like a segment"));
}

TEST_F(Spool, CountsRecordsInEachSegmentFromOne) {
    options.segment_bytes = 4096;
    const auto spool = open();
    for (int i = 0; i < 3; ++i) ASSERT_EQ(spool->append(some_events({"", std::string(3000, 'x')})), verdict::accepted);
    ASSERT_EQ(segments().size(), 3U);
    for (const auto& path : segments()) {
        const auto bytes = support::read_file(path);
        fakes::memory_disk file(bytes);
        const auto key = tracker::segment_key::read(bytes);
        ASSERT_TRUE(key);
        tracker::record_reader reader(file, 0, &*key, tracker::segment_header_size, bytes.size());
        tracker::event event;
        for (std::uint64_t i = 1; i <= 2; ++i) {
            ASSERT_TRUE(reader.next(event));
            EXPECT_EQ(reader.sequence(), i);
        }
    }
}

TEST_F(Spool, OldAndNewTakeTurns) {
    options.batch_events = 1;
    { ASSERT_EQ(open()->append(some_events({"old 1", "old 2", "old 3"})), verdict::accepted); }
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"new 1", "new 2", "new 3"})), verdict::accepted);
    tracker::batch batch(options);
    strings order;
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        order.push_back(batch.events.at(0).data);
        spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    EXPECT_EQ(order, (strings{"new 1", "old 1", "new 2", "old 2", "new 3", "old 3"}));
}

TEST_F(Spool, ReplaysNoFasterThanToldButAStopDoesNotWait) {
    options.batch_events = 1'000;
    options.replay_rate = 1;
    auto old = strings(1'000, "old");  // which buys a pause of 1000 s
    old.insert(old.end(), {"old 2", "old 3"});
    { ASSERT_EQ(open()->append(some_events(old)), verdict::accepted); }
    const auto spool = open();
    tracker::batch batch(options);
    ASSERT_TRUE(spool->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.size(), 1'000U);
    spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    ASSERT_EQ(spool->append(some_events({"new 1"})), verdict::accepted);
    ASSERT_TRUE(spool->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "new 1");
    spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    EXPECT_EQ(drain(*spool, options), (strings{"old 2", "old 3"})) << "or it does not end within this test's time";
}

TEST_F(Spool, SegmentsAreBoundedAndGoWhenTheyAreDelivered) {
    options.segment_bytes = 4096;
    options.batch_events = 1;
    const auto spool = open();
    for (int i = 0; i < 10; ++i) ASSERT_EQ(spool->append(some_events({std::string(3000, 'x')})), verdict::accepted);
    EXPECT_EQ(segments().size(), 10U);
    for (const auto& segment : segments()) EXPECT_LE(std::filesystem::file_size(segment), 4096U);
    tracker::batch batch(options);
    for (int i = 0; i < 9; ++i) {
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    EXPECT_EQ(segments().size(), 1U);
}

TEST_F(Spool, AFullOneRefusesAndTakesAgainWhenThereIsRoom) {
    options.spool_bytes = 20'000;
    const auto spool = open();
    int accepted = 0;
    while (spool->append(some_events({std::string(1000, 'x')})) == verdict::accepted) ASSERT_LT(++accepted, 100);
    EXPECT_GE(accepted, 15);
    EXPECT_TRUE(spool->writable());  // full is not broken
    tracker::batch batch(options);
    while (spool->account().queued > 0) {
        ASSERT_TRUE(spool->of_sink(0).take(batch));
        spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    EXPECT_EQ(spool->append(some_events({std::string(1000, 'x')})), verdict::accepted);
}

TEST_F(Spool, AFullOneDropsTheOldestWhenToldToAndCountsThem) {
    options.spool_bytes = 20'000;
    options.overflow = tracker::overflow::drop_oldest;
    const auto spool = open();
    for (int i = 0; i < 100; ++i)
        ASSERT_EQ(spool->append(some_events({std::to_string(i) + std::string(1000, 'x')})), verdict::accepted);
    const auto account = spool->account();
    EXPECT_EQ(account.accepted, 100U);
    EXPECT_GE(account.dropped.at("overflow"), 80U);
    EXPECT_TRUE(account.balanced());
    EXPECT_EQ(drain(*spool, options).size(), account.queued);
}

TEST_F(Spool, AFullOneDropsWhatAnEarlierRunLeftFirst) {
    options.spool_bytes = 20'000;
    { ASSERT_EQ(open()->append(some_events({"old"})), verdict::accepted); }
    options.overflow = tracker::overflow::drop_oldest;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"new"})), verdict::accepted);
    EXPECT_EQ(drain_one(*spool), "new");  // has adopted
    EXPECT_EQ(spool->account().recovered, 1U);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(spool->append(some_events({std::string(1000, 'x')})), verdict::accepted);
    EXPECT_EQ(tracker::sets_in(spool_directory()).size(), 1U);
    EXPECT_TRUE(spool->account().balanced());
    for (const auto& data : drain(*spool, options)) EXPECT_NE(data, "old");
    EXPECT_EQ(spool->account().queued, 0U);
}

TEST_F(Spool, NeverDropsWhatIsInHand) {
    options.spool_bytes = 20'000;
    options.batch_events = 1;
    options.overflow = tracker::overflow::drop_oldest;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"first"})), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(spool->of_sink(0).take(batch));
    for (int i = 0; i < 100; ++i) ASSERT_EQ(spool->append(some_events({std::string(1000, 'x')})), verdict::accepted);
    spool->of_sink(0).settle(batch, tracker::outcome::delivered);
    EXPECT_EQ(spool->account().delivered, 1U);
    drain(*spool, options);
    EXPECT_TRUE(spool->account().balanced());
    EXPECT_EQ(spool->account().queued, 0U);
}

TEST_F(Spool, AFullDiskRefusesLosesNothingAndIsWellAgainWithoutARecord) {
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
    disk.write_error = [] { return ENOSPC; };
    EXPECT_EQ(spool->append(some_events({"refused"})), verdict::unwritable);
    EXPECT_FALSE(spool->writable());
    spool->probe();
    EXPECT_FALSE(spool->writable());
    disk.write_error = [] { return 0; };
    spool->probe();
    EXPECT_TRUE(spool->writable());
    ASSERT_EQ(spool->append(some_events({"b"})), verdict::accepted);
    EXPECT_EQ(drain(*spool, options), (strings{"a", "b"}));
    EXPECT_THAT(log(), HasSubstr("No space left on device"));
    EXPECT_THAT(log(), HasSubstr("can be written again"));
}

TEST_F(Spool, AFailedWriteThatCannotBeTakenBackEndsItsSegment) {
    {
        const auto spool = open();
        ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
        disk.truncates = false;
        disk.write_error = [] { return EIO; };
        EXPECT_EQ(spool->append(some_events({"refused"})), verdict::unwritable);
        disk.write_error = [] { return 0; };
        disk.truncates = true;
        ASSERT_EQ(spool->append(some_events({"b"})), verdict::accepted);
        EXPECT_EQ(segments().size(), 2U);
    }
    const auto next = open();
    tracker::batch batch(options);
    strings all;
    while (all.size() < 2 && next->of_sink(0).take(batch)) {
        for (const auto& event : batch.events) all.push_back(event.data);
        next->of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    EXPECT_EQ(all, (strings{"a", "b"}));
}

TEST_F(Spool, AnEventThatTheDiskDidNotSyncIsRefusedAndNotSyncedASecondTime) {
    options.durability = tracker::durability::disk;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
    disk.sync_error = [] { return EIO; };
    EXPECT_EQ(spool->append(some_events({"refused"})), verdict::unwritable);
    disk.sync_error = [] { return 0; };
    ASSERT_EQ(spool->append(some_events({"b"})), verdict::accepted);
    EXPECT_EQ(segments().size(), 2U);  // in a file of its own
    EXPECT_EQ(drain(*spool, options), (strings{"a", "b"}));
}

TEST_F(Spool, WithDurabilityDiskALossOfPowerLosesNothingThatWasAccepted) {
    options.durability = tracker::durability::disk;
    options.segment_bytes = 4096;
    {
        const auto spool = open();
        for (int i = 0; i < 50; ++i) ASSERT_EQ(spool->append(some_events({std::string(500, 'x')})), verdict::accepted);
    }
    disk.lose_power();
    const auto next = open();
    tracker::batch batch(options);
    std::size_t found = 0;
    while (found < 50 && next->of_sink(0).take(batch)) {
        found += batch.events.size();
        next->of_sink(0).settle(batch, tracker::outcome::delivered);
    }
    EXPECT_EQ(next->account().recovered, 50U);
}

TEST_F(Spool, WithDurabilityProcessALossOfPowerMayLoseAll) {
    {
        const auto spool = open();
        ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
    }
    disk.lose_power();
    const auto next = open();
    ASSERT_EQ(next->append(some_events({"b"})), verdict::accepted);
    tracker::batch batch(options);
    ASSERT_TRUE(next->of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "b");
    EXPECT_EQ(next->account().recovered, 0U);
}

TEST_F(Spool, AVanishedDirectoryLosesNothingAndIsMadeAgain) {
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a"})), verdict::accepted);
    std::filesystem::remove_all(options.directory);
    ASSERT_EQ(spool->append(some_events({"b"})), verdict::accepted);
    EXPECT_EQ(segments().size(), 1U);
    EXPECT_TRUE(spool->account().balanced());
    const auto all = drain(*spool, options);
    EXPECT_THAT(all, testing::UnorderedElementsAre("a", "b"));
}

TEST_F(Spool, SaysWhichDirectoryCannotBeUsed) {
    support::write_file(spool_directory(), "a file where a directory should be");
    try {
        open();
        FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("tracker.directory '" + options.directory + "'"));
    }
}

TEST_F(Spool, AnUnreadableSegmentIsKeptAndCountedAndHoldsUpNothing) {
    options.segment_bytes = 4096;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"lost", std::string(4000, 'x')})), verdict::accepted);
    ASSERT_EQ(spool->append(some_events({"b"})), verdict::accepted);
    std::filesystem::resize_file(segments().at(0), 20);
    EXPECT_EQ(drain(*spool, options), strings{"b"});
    const auto account = spool->account();
    EXPECT_EQ(account.dropped.at("damaged"), 2U);
    EXPECT_TRUE(account.balanced());
}

TEST_F(Spool, IsDumpedAsLinesOfJson) {
    const auto events = some_events({"a", "b"});
    const auto spool = open();
    ASSERT_EQ(spool->append(events), verdict::accepted);
    const auto out = root.path() / "out";
    const auto err = root.path() / "err";
    std::FILE* const to_out = std::fopen(out.c_str(), "we");
    std::FILE* const to_err = std::fopen(err.c_str(), "we");
    EXPECT_TRUE(tracker::dump_spool(options.directory, to_out, to_err));
    EXPECT_FALSE(tracker::dump_spool(root.path(), to_out, to_err));
    std::fclose(to_out);
    std::fclose(to_err);
    std::string expected;
    for (const auto& event : events) {
        tracker::append_json(expected, event);
        expected += '\n';
    }
    EXPECT_EQ(support::read_file(out), expected);
    EXPECT_THAT(support::read_file(err), HasSubstr("2 events not delivered"));
    EXPECT_EQ(segments().size(), 1U);
}

}  // namespace
