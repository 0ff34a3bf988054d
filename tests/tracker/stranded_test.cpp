// What earlier runs have left is delivered, whatever the settings are now, or somebody is told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/tracker/spool_fakes.hpp"
#include "tracker/spool/stranded.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::eventually;
using fakes::make_event;
using fakes::running_tracker;
using fakes::some_events;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tracker::durability;
using tracker::verdict;
using strings = std::vector<std::string>;

struct Stranded : testing::Test, fakes::spool_place {
    Stranded() { options.sinks = {"file"}; }

    /// A run that could not deliver.
    void leave(const strings& data) {
        tracker::spool spool(options, book.log);
        ASSERT_EQ(spool.append(some_events(data)), verdict::accepted);
    }
    /// What the next run with these settings takes over and delivers, this many events.
    strings next_run(std::size_t events) {
        tracker::spool spool(options, book.log);
        strings data;
        tracker::batch batch(options);
        while (data.size() < events && spool.of_sink(0).take(batch)) {
            for (const auto& event : batch.events) data.push_back(event.data);
            spool.of_sink(0).settle(batch, tracker::outcome::delivered);
        }
        return data;
    }
    std::string text(const running_tracker& running) const { return running.book.text.str(); }
};

TEST_F(Stranded, WithDurabilityMemoryTheBacklogIsDeliveredBesideNewEvents) {
    leave({"a", "b", "c"});
    options.durability = durability::memory;
    running_tracker running(options);
    ASSERT_EQ(running.events.try_record(make_event("new")), verdict::accepted);
    running.start();
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 4; }));
    EXPECT_THAT(running.sink.data(), testing::UnorderedElementsAre("a", "b", "c", "new"));
    running.stop();
    const auto account = running.events.account();
    EXPECT_EQ(account.accepted, 1U);
    EXPECT_EQ(account.recovered, 3U);
    EXPECT_TRUE(account.balanced());
    EXPECT_EQ(running.events.stranded(), 0U);
    EXPECT_THAT(text(running), HasSubstr("recovered 3 events"));
    EXPECT_TRUE(fs::is_empty(spool_directory()));
}

TEST_F(Stranded, WithDurabilityMemoryWhatASinkThatIsAwayDoesNotTakeStaysInTheSpool) {
    leave({"a", "b"});
    options.durability = durability::memory;
    {
        running_tracker running(options);
        running.sink.before = [](int) { throw std::runtime_error("away"); };
        running.start();
        EXPECT_TRUE(eventually([&] { return !running.events.healthy(); }));
        EXPECT_EQ(running.events.sink_states().front().waiting, 2U);
        EXPECT_EQ(running.events.account().queued, 2U);
        running.flush_until = fakes::clock::now();
        running.stop();
        EXPECT_EQ(running.events.account().spooled, 2U);
        EXPECT_THAT(running.events.account().dropped, IsEmpty());
        EXPECT_TRUE(running.events.account().balanced());
    }
    options.durability = durability::process;
    EXPECT_EQ(next_run(2), (strings{"a", "b"}));
}

TEST_F(Stranded, WithDurabilityMemoryAndNoBacklogNothingIsMade) {
    options.durability = durability::memory;
    running_tracker running(options);
    running.start();
    ASSERT_EQ(running.events.try_record(make_event("new")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 1; }));
    running.stop();
    EXPECT_FALSE(fs::exists(spool_directory()));
    EXPECT_EQ(text(running), "");
}

TEST_F(Stranded, WithTheSinkNoneTheBacklogOfAnotherStaysAndIsNamed) {
    leave({"a", "b", "c"});
    for (const auto kept : {durability::memory, durability::process}) {
        options.sinks = {"none"};
        options.durability = kept;
        running_tracker running(options);
        running.start();
        EXPECT_TRUE(eventually([&] { return running.events.stranded() == 3; }));
        ASSERT_EQ(running.events.try_record(make_event("new")), verdict::accepted);
        EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 1; }));
        running.stop();
        EXPECT_EQ(running.events.account().recovered, 0U);
        EXPECT_THAT(text(running),
                    HasSubstr("tracker: 3 events of an earlier run stay undelivered in " + spool_directory().string()));
        EXPECT_THAT(text(running),
                    HasSubstr("start once with another sink, or see them with --spool-dump " + options.directory));
    }
    options.sinks = {"file"};
    EXPECT_EQ(next_run(3), (strings{"a", "b", "c"}));
}

TEST_F(Stranded, WithTheSinkNoneWhatWasForNobodyIsDelivered) {
    options.sinks = {"none"};
    leave({"a"});
    running_tracker running(options);
    running.start();
    EXPECT_TRUE(eventually([&] { return running.events.account().recovered == 1; }));
    running.stop();
    EXPECT_EQ(running.events.stranded(), 0U);
}

TEST_F(Stranded, SetsWhereNoRunLooksAreNamedWithWhatToDo) {
    leave({"a", "b"});
    const auto set = tracker::sets_in(spool_directory()).front();
    const fs::path directory = options.directory;
    for (const auto& place :
         {directory / "moved", directory / "spool" / "deeper" / "set", directory / "old" / "spool" / "set"}) {
        fs::create_directories(place.parent_path());
        fs::rename(set, place);
        running_tracker running(options);
        running.start();
        EXPECT_TRUE(eventually([&] { return running.events.stranded() == 2; })) << place;
        running.stop();
        EXPECT_EQ(running.events.account().recovered, 0U);
        EXPECT_THAT(text(running), HasSubstr("2 events of an earlier run stay undelivered in " + place.string() +
                                             ": no run looks there; move its files into a directory of their own in " +
                                             spool_directory().string()));
        fs::rename(place, set);
        std::error_code error;
        fs::remove(place.parent_path(), error);
    }
    EXPECT_EQ(next_run(2), (strings{"a", "b"}));
}

TEST_F(Stranded, WhatALivingProcessHasIsNotNamed) {
    auto other = options;
    other.directory = (fs::path(options.directory) / "other").string();
    tracker::spool living(other, book.log);
    ASSERT_EQ(living.append(some_events({"a"})), verdict::accepted);
    running_tracker running(options);
    running.start();
    ASSERT_EQ(running.events.try_record(make_event("new")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 1; }));
    running.stop();
    EXPECT_EQ(running.events.stranded(), 0U);
    EXPECT_THAT(text(running), Not(HasSubstr("undelivered")));
}

TEST_F(Stranded, ABacklogThatCannotBeOpenedIsNamedWithTheReason) {
    leave({"a"});
    tracker::disk files;
    EXPECT_EQ(tracker::count_stranded_spool(options, book.log, files, "it is read-only", [] { return false; }), 1U);
    EXPECT_THAT(log(),
                HasSubstr("tracker: 1 events of an earlier run stay undelivered in " + spool_directory().string()));
    EXPECT_THAT(log(), HasSubstr(": it is read-only; see them with --spool-dump " + options.directory));
    EXPECT_EQ(tracker::count_stranded_spool(options, book.log, files, "", [] { return true; }), 0U) << "a stop";
}

}  // namespace
