// A disk that fails while the spool is made ends no start: the spool is made once the disk works again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/tracker/failing_disk.hpp"
#include "tests/tracker/spool_fakes.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::for_good;
using testing::HasSubstr;
using testing::Not;
using tracker::durability;
using tracker::verdict;
using strings = std::vector<std::string>;

struct SpoolBegin : testing::Test, fakes::spool_place {
    SpoolBegin() {
        options.durability = durability::disk;
        disk.makes = true;
    }

    std::unique_ptr<tracker::spool> open() { return std::make_unique<tracker::spool>(options, book.log, &disk); }
    static int error_of(int call) { return fakes::passing_errors[static_cast<std::size_t>(call) % 4]; }
    /// Those that are hidden too.
    std::set<std::string> in_spool() const {
        std::set<std::string> all;
        std::error_code ignored;
        for (const auto& each : fs::directory_iterator(spool_directory(), ignored))
            all.insert(each.path().filename().string());
        return all;
    }
    static std::uint64_t counted(const tracker::spool& by) {
        std::uint64_t all = 0;
        for (const auto& [name, count] : by.disk_errors()) all += count;
        return all;
    }

    /// A start over a disk that fails so; true when it did.
    bool fails_and_is_well_again(int call, int times) {
        fs::remove_all(options.directory);
        disk.failed = 0;
        disk.fail(call, times, error_of(call));
        const auto spool = open();
        const bool failed = disk.failed > 0;
        EXPECT_EQ(spool->writable(), !failed);
        for (int tries = 0; !spool->writable(); ++tries) {
            EXPECT_EQ(disk.failed, tries + 1);
            EXPECT_EQ(counted(*spool), static_cast<std::uint64_t>(disk.failed));
            EXPECT_EQ(in_spool().size(), 0U) << "nothing of the tries is left";
            if (HasFailure()) return false;
            spool->probe();
        }
        if (!failed) return false;
        EXPECT_EQ(disk.failed, times);
        EXPECT_EQ(spool->append(fakes::some_events({"n"})), verdict::accepted);
        EXPECT_EQ(in_spool().size(), 1U);
        EXPECT_EQ(fakes::drain(*spool, options), strings{"n"});
        EXPECT_TRUE(spool->account().balanced());
        spool->finish();
        EXPECT_EQ(in_spool().size(), 0U);
        return true;
    }
    /// The first call looks at what is there.
    void sweep(int times) {
        int call = 1;
        while (fails_and_is_well_again(call, times)) {
            ASSERT_FALSE(HasFailure());
            ASSERT_LT(++call, 100);
        }
        EXPECT_GT(call, 10) << "directory, lock, note, folder, length, name, and the syncs of names";
        EXPECT_THAT(log(), HasSubstr("tracker: the spool cannot be written (failed attempts: 1), events are refused: " +
                                     spool_directory().string() + "/.new-"));
        EXPECT_THAT(log(), HasSubstr("Input/output error"));
        EXPECT_THAT(log(), HasSubstr("the spool can be written again after " + std::to_string(times) + " failures"));
    }

    fakes::failing_disk disk;
};

TEST_F(SpoolBegin, EachCallThatFailsOnceEndsNoStart) { sweep(1); }

TEST_F(SpoolBegin, ADiskThatComesBackAfterAWhileEndsNoStart) { sweep(12); }

TEST_F(SpoolBegin, WhileTheDiskFailsNothingIsAcceptedAndAStopLeavesNothing) {
    for (int call = 1;; ++call) {
        fs::remove_all(options.directory);
        disk.failed = 0;
        disk.fail(call, for_good, error_of(call));
        const auto spool = open();
        if (disk.failed == 0) break;
        EXPECT_EQ(spool->append(fakes::some_events({"refused"})), verdict::unwritable);
        EXPECT_EQ(spool->account().accepted, 0U);
        spool->close();
        tracker::batch batch(options);
        EXPECT_FALSE(spool->of_sink(0).take(batch));
        spool->finish();
        EXPECT_EQ(in_spool().size(), 0U);
        ASSERT_FALSE(HasFailure()) << call;
    }
}

TEST_F(SpoolBegin, WhatCouldNotBeCountedIsNotTakenForLookedAt) {
    disk.fail(0, 1, EIO);
    const auto spool = open();
    EXPECT_TRUE(spool->writable());
    EXPECT_GT(spool->recovery_left(), 0U);
    EXPECT_EQ(spool->append(fakes::some_events({"n"})), verdict::accepted);
    tracker::batch batch(options);
    EXPECT_TRUE(spool->of_sink(0).take(batch));
    EXPECT_EQ(spool->recovery_left(), 0U);
    spool->of_sink(0).settle(batch, tracker::outcome::delivered);
}

/// Makes no directory.
struct disk_without_room final : tracker::disk {
    int make_directories(const char* path) override {
        if (works) return disk::make_directories(path);
        errno = EIO;
        return -1;
    }
    bool works = true;
};

TEST_F(SpoolBegin, WhatEarlierRunsHaveLeftIsDeliveredMeanwhile) {
    disk_without_room other;
    {
        tracker::spool before(options, book.log, &other);
        ASSERT_EQ(before.append(fakes::some_events({"old"})), verdict::accepted);
    }
    other.works = false;
    tracker::spool spool(options, book.log, &other);
    EXPECT_FALSE(spool.writable());
    tracker::batch batch(options);
    ASSERT_TRUE(spool.of_sink(0).take(batch));
    EXPECT_EQ(batch.events.at(0).data, "old");
    other.works = true;
    EXPECT_EQ(spool.append(fakes::some_events({"new"})), verdict::accepted);
    spool.of_sink(0).settle(batch, tracker::outcome::delivered);
    EXPECT_EQ(fakes::drain(spool, options), strings{"new"});
    EXPECT_TRUE(spool.account().balanced());
    EXPECT_EQ(spool.account().recovered, 1U);
}

TEST_F(SpoolBegin, WhatNoWaitingCuresStillEndsTheStart) {
    for (const int error : {EACCES, EPERM, EROFS, ENOSPC, EDQUOT, ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG}) {
        disk.fail(1, for_good, error);
        try {
            open();
            ADD_FAILURE() << "not refused: " << std::generic_category().message(error);
        } catch (const std::runtime_error& refusal) {
            EXPECT_THAT(refusal.what(),
                        HasSubstr("tracker.directory '" + options.directory + "': the spool cannot be made: " +
                                  std::generic_category().message(error) + "; make it writable"));
            EXPECT_THAT(refusal.what(), Not(HasSubstr("\n")));
        }
    }
}

}  // namespace
