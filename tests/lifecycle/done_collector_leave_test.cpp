// How the process ends when a part does not. Each runs in a process of its own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <fstream>

#include "lifecycle/done_collector.hpp"
#include "tests/lifecycle/fakes.hpp"
#include "tests/support/in_time.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::process;
using fakes::until_asked;
using lifecycle::shutdown_report;

/// A process of its own with a report file; the report and the exit code.
std::pair<int, boost::json::object> process_that_leaves(lifecycle::shutdown_options options,
                                                        const std::function<int(process&)>& body) {
    const fakes::folder folder;
    options.report = folder.file("report.json");
    const int code = fakes::exit_code_of([&] {
        process process(options);
        return body(process);
    });
    const auto text = fakes::content_of(options.report);
    return {code, text.empty() ? boost::json::object() : boost::json::parse(text).as_object()};
}

TEST(DoneCollector, NeverWaitsForAPartThatIgnoresItsStop) {
    auto options = process::brisk();
    options.budget = 300ms;
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        process.run("tracker", until_asked, 100ms);
        process.run("app", [](const std::stop_token&) { fakes::hang(); });
        process.send(SIGTERM);
        process.done.wait({.where = [](pid_t, auto) { return std::string("fakes::hang"); }});
        return 99;  // not reached: it leaves by _Exit
    });
    EXPECT_EQ(code, lifecycle::forced);
    ASSERT_FALSE(report.empty()) << "the report is written all the same";
    EXPECT_EQ(report.at("exit_code"), 3);
    ASSERT_EQ(report.at("stragglers").as_array().size(), 1U);
    const auto& late = report.at("stragglers").as_array()[0].as_object();
    EXPECT_EQ(late.at("name"), "app");
    EXPECT_EQ(late.at("kind"), "part");
    EXPECT_EQ(late.at("where"), "fakes::hang");
    EXPECT_EQ(report.at("workers_left"), 1);
    EXPECT_GE(report.at("duration_ms").to_number<int>(), 300);
}

TEST(DoneCollector, TheKernelsTimerRunsBeforeAnythingOnMainsThreadCanHang) {
    auto options = process::brisk();
    options.budget = 100ms;
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        process.run("app", until_asked);
        process.send(SIGTERM);
        process.lines->on_line = [](std::string_view) { fakes::hang(); };  // at "stop begun", on main's thread
        process.done.wait({});
        return 99;
    });
    EXPECT_EQ(code, 3) << "_exit from the signal handler";
}

TEST(DoneCollector, ANoteThatHangsIsWaitedForUntilTheBudgetEndsAndNamed) {
    auto options = process::brisk();
    options.budget = 300ms;
    for (const bool at_the_end : {false, true}) {
        const auto begun = lifecycle::clock::now();
        const auto [code, report] = process_that_leaves(options, [at_the_end](process& process) {
            process.run("app", until_asked);
            process.send(SIGTERM);
            const auto hangs = [](const auto&) { fakes::hang(); };
            if (at_the_end)
                process.done.wait({.ended = hangs});
            else
                process.done.wait({.progress = hangs});
            return 99;
        });
        EXPECT_EQ(code, lifecycle::forced);
        ASSERT_FALSE(report.empty()) << "the report is a note of its own";
        ASSERT_EQ(report.at("stragglers").as_array().size(), 1U);
        EXPECT_EQ(report.at("stragglers").as_array()[0].at("name"), "note-progress");
        EXPECT_GE(lifecycle::clock::now() - begun, 300ms);
        EXPECT_TRUE(support::in_time(lifecycle::clock::now() - begun, 2s));
    }
}

TEST(DoneCollector, TheSecondSignalIsHeardWhileANoteHangs) {
    auto options = process::brisk();
    options.budget = 1h;  // longer than this test may last
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        process.run("app", until_asked);
        process.send(SIGTERM);
        process.done.wait({.ended = [&process](const auto&) {
            process.send_again(SIGTERM);
            fakes::hang();
        }});
        return 99;
    });
    EXPECT_EQ(code, lifecycle::forced);
    EXPECT_FALSE(report.empty());
}

TEST(DoneCollector, WritesTheReportThoughNoThreadShowsItsStack) {
    auto options = process::brisk();
    options.budget = 300ms;
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        for (const auto* name : {"a", "b", "c", "d", "e", "f"})
            process.run(name, [](const std::stop_token&) { fakes::hang(); });
        process.send(SIGTERM);
        const auto silent = [](pid_t, std::chrono::milliseconds limit) {
            ::poll(nullptr, 0, static_cast<int>(limit.count()));
            return std::string();
        };
        process.done.wait({.where = silent});
        return 99;
    });
    EXPECT_EQ(code, lifecycle::forced);
    ASSERT_FALSE(report.empty());
    EXPECT_EQ(report.at("stragglers").as_array().size(), 6U);
}

/// The report as it is logged by a process whose report file is a pipe that nobody empties, whose note of the end
/// hangs, and of which no thread shows its stack.
std::string logged_while_all_hangs(bool tracker_hangs) {
    const fakes::folder folder;
    auto options = process::brisk();
    options.budget = 300ms;
    options.report = folder.file("report.pipe");
    const auto seen = folder.file("seen");
    EXPECT_EQ(::mkfifo(options.report.c_str(), 0600), 0);
    const int full = ::open(options.report.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    while (::write(full, "full", 4) > 0) {}
    const int code = fakes::exit_code_of([&] {
        process process(options);
        if (tracker_hangs) process.run("tracker", [](const std::stop_token&) { fakes::hang(); });
        process.run("app", until_asked);
        process.send(SIGTERM);
        process.lines->on_line = [&seen](std::string_view line) {
            if (line.starts_with("shutdown report")) std::ofstream(seen) << line;
        };
        const auto silent = [](pid_t, std::chrono::milliseconds limit) {
            ::poll(nullptr, 0, static_cast<int>(limit.count()));
            return std::string();
        };
        process.done.wait({.where = silent, .ended = [](const auto&) { fakes::hang(); }});
        return 99;
    });
    ::close(full);
    EXPECT_EQ(code, lifecycle::forced);
    return fakes::content_of(seen);
}

TEST(DoneCollector, LogsTheReportThoughItsFileAndTheNoteHangAndNoThreadShowsItsStack) {
    for (const bool tracker_hangs : {false, true}) {
        std::string said;  // again where main got no CPU before the kernel's timer, 90 ms after the budget
        for (int tries = 0; tries < 5 && said.empty(); ++tries) said = logged_while_all_hangs(tracker_hangs);
        EXPECT_THAT(said, testing::HasSubstr("note-report"));
        EXPECT_THAT(said, testing::HasSubstr(tracker_hangs ? "\"tracker\"" : "note-progress"));
    }
}

TEST(DoneCollector, AsksTheTrackerThoughTheAppOverranItsShare) {
    auto options = process::brisk();
    options.budget = 5s;
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        int asked[2] = {-1, -1};
        if (::pipe(asked) != 0) return 98;
        const auto tracker = [&](const std::stop_token& token) {
            until_asked(token);
            [[maybe_unused]] const auto written = ::write(asked[1], "x", 1);
        };
        process.run("tracker", tracker, 4'800ms);
        process.run("app", [&](const std::stop_token&) { fakes::hang(asked[0]); });
        process.send(SIGTERM);
        return process.done.wait({});
    });
    EXPECT_EQ(code, 0) << "the app came home in the end, since the tracker had been asked: " << report;
    ASSERT_FALSE(report.empty());
    EXPECT_GE(report.at("duration_ms").to_number<int>(), 200);
}

TEST(DoneCollector, LeavesWithinASecondOfTheSecondSignalThoughAPartHangs) {
    auto options = process::brisk();
    options.budget = 1h;  // longer than this test may last
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        process.run("app", [&process](const std::stop_token&) {
            process.send_again(SIGINT);
            fakes::hang();
        });
        process.send(SIGTERM);
        process.done.wait({});
        return 99;
    });
    EXPECT_EQ(code, lifecycle::forced);
    ASSERT_FALSE(report.empty());
    EXPECT_TRUE(support::in_time(std::chrono::milliseconds(report.at("duration_ms").to_number<int>()), 1'250ms));
}

TEST(DoneCollector, IsEndedByTheKernelWhenMainsOwnThreadHangs) {
    auto options = process::brisk();
    options.budget = 200ms;
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        process.run("app", until_asked);
        process.send(SIGTERM);
        process.done.wait({.account = [](shutdown_report&) { fakes::hang(); }});
        return 99;
    });
    EXPECT_EQ(code, 3);
    EXPECT_TRUE(report.empty());
}

TEST(DoneCollector, NamesAReloadThatHangsAndDoesNotWaitForIt) {
    const auto [code, report] = process_that_leaves(process::brisk(), [](process& process) {
        process.run("app", until_asked);
        process.send(SIGHUP);
        process.done.wait({.reload = [&process] {
            process.send(SIGTERM);
            fakes::hang();
        }});
        return 99;
    });
    EXPECT_EQ(code, lifecycle::forced);
    ASSERT_FALSE(report.empty());
    ASSERT_EQ(report.at("stragglers").as_array().size(), 1U);
    EXPECT_EQ(report.at("stragglers").as_array()[0].at("name"), "reload");
}

TEST(DoneCollector, NamesAWorkerThatItsPartHasNotWaitedForAndDestroysNothingUnderIt) {
    auto options = process::brisk();
    options.budget = 1h;  // which is not waited for, or this test does not end
    const auto [code, report] = process_that_leaves(options, [](process& process) {
        std::jthread aside;
        process.run("debug", [&](const std::stop_token& token) {
            aside = process.workers.start("reads a file", "worker", [](const std::stop_token&) { fakes::hang(); });
            until_asked(token);
        });
        process.send(SIGTERM);
        process.done.wait({});
        return 99;
    });
    EXPECT_EQ(code, lifecycle::forced);
    ASSERT_FALSE(report.empty());
    ASSERT_EQ(report.at("stragglers").as_array().size(), 1U);
    EXPECT_EQ(report.at("stragglers").as_array()[0].at("name"), "reads a file");
}

}  // namespace
