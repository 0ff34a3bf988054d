// A disk that cannot be read ends no start and costs no event: each call by which the sink file looks at its files
// fails once, for a while, or for good.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <set>

#include "tests/support/in_time.hpp"
#include "tests/tracker/failing_disk.hpp"
#include "tests/tracker/spool_fakes.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/file_sink.hpp"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using support::read_file;
using support::write_file;
using testing::HasSubstr;
using testing::Not;
using tracker::durability;
using tracker::verdict;

const std::string old_line = R"({"id":"old","time":"t","data":"x"})"
                             "\n";

struct FileSinkReading : testing::Test, fakes::spool_place {
    FileSinkReading() { options.batch_events = 2; }

    /// What earlier runs have left, the machine has torn the ends of.
    void leave_torn_files() const {
        fs::remove_all(options.directory);
        fs::create_directories(options.directory);
        write_file(file, old_line + R"({"id":"to)");
        write_file(file.string() + ".1", old_line + "{");
    }

    /// A tracker with this sink, as main has them.
    struct run {
        explicit run(FileSinkReading& of)
            : events(of.options, {std::make_shared<tracker::file_sink>(of.options, of.book.log, &of.disk)}, workers,
                     of.book.log, [this] { return flush_until.load(); }),
              thread(workers.start("tracker", "part", [this](std::stop_token stop) { events.run(std::move(stop)); })) {}
        ~run() { stop(); }

        void stop() {
            thread.request_stop();
            if (thread.joinable()) thread.join();
        }
        std::uint64_t counted() const {
            std::uint64_t all = 0;
            for (const auto& [name, count] : events.disk_errors()) all += count;
            return all;
        }

        lifecycle::workers workers;
        std::atomic<fakes::clock::time_point> flush_until{fakes::clock::time_point::max()};
        tracker::event_tracker events;
        std::jthread thread;
    };

    void record(run& by) const {
        for (const auto& id : ids) ASSERT_EQ(by.events.try_record(fakes::make_event("x", id)), verdict::accepted);
    }
    /// In the order of the file.
    std::vector<std::string> delivered() const {
        std::vector<std::string> all;
        for (const auto& line : lines())
            if (line.size() > 7 && line.ends_with("\"}")) all.push_back(line.substr(7, line.find('"', 7) - 7));
        return all;
    }
    std::vector<std::string> lines() const {
        std::istringstream text(read_file(file));
        std::vector<std::string> all;
        for (std::string line; std::getline(text, line);) all.push_back(line);
        return all;
    }

    /// A run over a disk that fails so from its first call on; true when it did.
    bool fails_and_is_well_again(int call, int times) {
        leave_torn_files();
        disk.failed = 0;
        disk.fail(call, times, fakes::passing_errors[static_cast<std::size_t>(call) % fakes::passing_errors.size()]);
        run now(*this);
        record(now);
        EXPECT_TRUE(fakes::eventually([&] { return now.events.account().delivered == ids.size(); })) << call;
        EXPECT_TRUE(now.events.readable()) << call;
        now.stop();
        EXPECT_TRUE(now.events.account().balanced());
        EXPECT_TRUE(now.events.account().dropped.empty());
        EXPECT_EQ(delivered(), (std::vector<std::string>{"old", "a", "b", "c"})) << call;
        EXPECT_EQ(read_file(file.string() + ".1"), old_line) << call;
        EXPECT_EQ(now.counted(), static_cast<std::uint64_t>(disk.failed));
        return disk.failed > 0;
    }
    void sweep(int times) {
        for (const auto kept : {durability::memory, durability::process, durability::disk}) {
            options.durability = kept;
            int call = 0;
            while (fails_and_is_well_again(call, times)) {
                ASSERT_FALSE(HasFailure());
                ASSERT_LT(++call, 100);
            }
            EXPECT_GT(call, 8) << "lock, names, rotated file, file";
        }
        EXPECT_THAT(log(), HasSubstr("nothing is given up"));
        EXPECT_THAT(log(), HasSubstr(fmt::format("tracker: sink file delivers again after {} failures", times)));
    }

    const std::vector<std::string> ids{"a", "b", "c"};
    fs::path file = fs::path(options.directory) / "events.jsonl";
    fakes::failing_disk disk;
};

TEST_F(FileSinkReading, EachCallThatFailsOnceCostsNothing) { sweep(1); }

TEST_F(FileSinkReading, ADiskThatComesBackAfterAWhileHasCostNothing) { sweep(12); }

TEST_F(FileSinkReading, WhenItFailsForGoodAStopLeavesEverythingInTheSpool) {
    for (int call = 0;; ++call) {
        leave_torn_files();
        disk.failed = 0;
        disk.fail(call, fakes::for_good, fakes::passing_errors[static_cast<std::size_t>(call) % 4]);
        bool failed = false;
        {
            run now(*this);
            record(now);
            ASSERT_TRUE(fakes::eventually(
                [&] { return !now.events.readable() || now.events.account().delivered == ids.size(); }));
            failed = !now.events.readable();
            const auto stop = fakes::clock::now();
            now.flush_until = stop;
            now.stop();
            EXPECT_TRUE(support::in_time(fakes::clock::now() - stop, 1s));
            const auto account = now.events.account();
            EXPECT_TRUE(account.balanced() && account.dropped.empty() && account.queued == 0) << call;
        }
        disk.fail(0, 0, 0);
        run next(*this);
        const std::set<std::string> expected{"old", "a", "b", "c"};
        EXPECT_TRUE(fakes::eventually([&] {
            const auto all = delivered();
            return std::set(all.begin(), all.end()) == expected;
        })) << call;
        if (HasFailure() || !failed) break;
        ASSERT_LT(call, 100);
    }
}

TEST_F(FileSinkReading, IsNotReadyWhileItFailsAndIsAgainWithoutAnEvent) {
    leave_torn_files();
    disk.fail(0, fakes::for_good, EIO);
    run now(*this);
    EXPECT_FALSE(now.events.readable()) << "from the start";
    EXPECT_TRUE(fakes::eventually([&] { return !now.events.healthy(); }));
    EXPECT_TRUE(now.events.writable()) << "the spool takes events all the same";
    disk.fail(0, 0, 0);
    EXPECT_TRUE(fakes::eventually([&] { return now.events.readable() && now.events.healthy(); }));
    now.stop();
    EXPECT_THAT(log(), HasSubstr("events.lock: open: Input/output error; nothing is given up"));
    EXPECT_GT(now.events.disk_errors().at("open"), 0U);
    EXPECT_EQ(read_file(file), old_line);
}

TEST_F(FileSinkReading, WhatTheSettingsAreAtFaultForStillEndsTheStart) {
    for (const int error : {EACCES, EPERM, EROFS, ENOENT, ENOTDIR, EISDIR, ELOOP, ENXIO, ENAMETOOLONG}) {
        leave_torn_files();
        disk.fail(0, fakes::for_good, error);
        try {
            const tracker::file_sink sink(options, book.log, &disk);
            ADD_FAILURE() << "not refused: " << std::generic_category().message(error);
        } catch (const std::runtime_error& refusal) {
            EXPECT_THAT(refusal.what(), HasSubstr("tracker.directory '" + options.directory + "': cannot"));
            EXPECT_THAT(refusal.what(), HasSubstr(std::generic_category().message(error) + "; make it writable"));
            EXPECT_THAT(refusal.what(), Not(HasSubstr("\n")));
        }
    }
}

/// Another process may have written there before, and not synced.
TEST_F(FileSinkReading, ASegmentStaysWhileTheFileOfAnotherProcessCannotBeOpenedToBeSynced) {
    fs::create_directories(options.directory);
    const tracker::file_sink owner(options, book.log);
    tracker::file_sink sink(options, book.log, &disk);
    disk.fail(0, 2, EIO);
    sink.sync();  // tried again
    EXPECT_EQ(disk.failed, 2);
    disk.fail(0, fakes::for_good, EIO);
    EXPECT_THROW(sink.sync(), std::runtime_error);
    EXPECT_TRUE(sink.readable()) << "of what it delivers nothing is known";
}

}  // namespace
