// A disk that fails while a dead letter is written: it is written once the disk works again, and nothing is given up.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/tracker/failing_disk.hpp"
#include "tests/tracker/spool_fakes.hpp"
#include "tracker/dead_letters.hpp"
#include "tracker/delivery.hpp"

namespace {

namespace fs = std::filesystem;
using fakes::for_good;
using support::read_file;
using support::write_file;
using testing::HasSubstr;
using tracker::durability;
using tracker::verdict;

const std::string whole = R"({"id":"old","time":"t","data":"x"})"
                          "\n";

/// A sink that takes all but what is bad, over a spool, as the tracker has them.
struct DeadLetters : testing::Test, fakes::spool_place {
    DeadLetters() {
        options.rejected_tries = 1;
        disk.makes = true;
        sink.before = [](int) { throw tracker::rejected_event(0, "not this one"); };
    }

    fs::path file() const { return fs::path(options.directory) / "dead-letter.jsonl"; }
    static int error_of(int call) { return fakes::passing_errors[static_cast<std::size_t>(call) % 4]; }

    struct run {
        explicit run(DeadLetters& of)
            : spool(of.options, of.book.log),
              delivery(
                  of.options, spool.of_sink(0), of.sink, of.book.log, [this] { return flush_until.load(); }, &of.disk) {
            EXPECT_EQ(spool.append(fakes::some_events({"bad"})), verdict::accepted);
            worker = std::jthread([this] { delivery.work(); });
        }
        ~run() { stop(); }
        void stop() {
            spool.close();
            if (worker.joinable()) worker.join();
        }
        std::uint64_t buried() const {
            const auto all = spool.account().dropped;
            const auto found = all.find("dead_letter");
            return found == all.end() ? 0 : found->second;
        }
        std::uint64_t counted() const {
            std::uint64_t all = 0;
            for (const auto& [name, count] : delivery.disk_errors()) all += count;
            return all;
        }

        std::atomic<fakes::clock::time_point> flush_until{fakes::clock::time_point::max()};
        tracker::spool spool;
        tracker::delivery delivery;
        std::jthread worker;
    };

    /// A dead letter, the first or one after others, over a disk that fails so from its first call on; true when it
    /// did.
    bool fails_and_is_well_again(bool first, int call, int times) {
        write_file(file(), whole + R"({"id":"to)");
        if (first) fs::remove(file());
        disk.failed = 0;
        disk.fail(call, times, error_of(call));
        run now(*this);
        EXPECT_TRUE(fakes::eventually([&] { return now.buried() == 1; })) << call;
        EXPECT_TRUE(now.delivery.can_bury());
        now.stop();
        EXPECT_TRUE(now.spool.account().balanced());
        EXPECT_EQ(now.counted(), static_cast<std::uint64_t>(disk.failed));
        const auto text = read_file(file());
        EXPECT_TRUE(text.starts_with((first ? "" : whole) + R"({"id":")")) << text;
        EXPECT_TRUE(text.ends_with("\"data\":\"bad\"}\n")) << text;
        const auto letter = text.substr(text.rfind('\n', text.size() - 2) + 1);  // of one line that is npos + 1
        auto rest = text.substr(first ? 0 : whole.size());
        EXPECT_TRUE(rest == letter || times > 1) << text;
        // A disk that has failed several calls may not have let the line be cut again: then it is there twice, and
        // whole.
        for (; rest.starts_with(letter); rest.erase(0, letter.size())) {}
        EXPECT_EQ(rest, "") << text;
        return disk.failed > 0;
    }
    void sweep(int times) {
        for (const auto kept : {durability::process, durability::disk}) {
            options.durability = kept;
            for (const bool first : {false, true}) {
                int call = 0;
                while (fails_and_is_well_again(first, call, times)) {
                    ASSERT_FALSE(HasFailure());
                    ASSERT_LT(++call, 100);
                }
                EXPECT_GE(call, first ? 2 : 4) << "open, look, and of a torn one read and cut";
            }
        }
        EXPECT_THAT(log(), HasSubstr("a dead letter of sink fake cannot be written (failed attempts: 1); nothing is "
                                     "given up, and it is tried again; look at the disk and its mount: " +
                                     file().string() + ": open: Input/output error"));
        EXPECT_THAT(log(), HasSubstr("dead letters of sink fake can be written again after " + std::to_string(times)));
        EXPECT_THAT(log(), testing::Not(HasSubstr("dead letter: {"))) << "none had to go to the log";
    }

    fakes::failing_disk disk;
    fakes::recording_sink sink;
};

TEST_F(DeadLetters, EachCallThatFailsOnceCostsNothing) { sweep(1); }

TEST_F(DeadLetters, ADiskThatComesBackAfterAWhileHasCostNothing) { sweep(12); }

TEST_F(DeadLetters, WhileTheDiskFailsTheEventStaysInTheSpoolAndIsTheNextRuns) {
    for (int call = 0;; ++call) {
        write_file(file(), whole + R"({"id":"to)");
        disk.failed = 0;
        disk.fail(call, for_good, error_of(call));
        bool failed = false;
        {
            run now(*this);
            ASSERT_TRUE(fakes::eventually([&] { return !now.delivery.can_bury() || now.buried() == 1; })) << call;
            failed = disk.failed > 0;
            now.flush_until = fakes::clock::now();
            now.stop();
            const auto account = now.spool.account();
            EXPECT_TRUE(account.balanced());
            EXPECT_EQ(account.queued, failed ? 1U : 0U) << call;
            EXPECT_EQ(now.buried(), failed ? 0U : 1U) << call;
        }
        disk.fail(0, 0, 0);
        if (!failed || HasFailure()) break;
        ASSERT_LT(call, 100);
        run next(*this);  // with one of its own
        EXPECT_TRUE(fakes::eventually([&] { return next.buried() == 2; })) << call;
    }
}

TEST_F(DeadLetters, WhatNoWaitingCuresIsInTheLogAtOnce) {
    for (const int error : {EACCES, EROFS, ENOSPC, EDQUOT, ENOENT, EISDIR}) {
        disk.fail(0, for_good, error);
        book.text.str({});
        run now(*this);
        EXPECT_TRUE(fakes::eventually([&] { return now.buried() == 1; }));
        EXPECT_TRUE(now.delivery.can_bury());
        now.stop();
        EXPECT_THAT(log(), HasSubstr("dead letter: {"));
    }
}

}  // namespace
