// A disk that hangs: main hears its signals, and the budget holds, whichever call of the process does not come back.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <set>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using support::held_calls;
using testing::HasSubstr;
using testing::Not;

constexpr milliseconds budget{700};
constexpr milliseconds budget_with_syncs{1'300};  // with less than a second left, the last notes are not synced
constexpr milliseconds promised{100};             // after the budget
constexpr milliseconds busy_machine{150};

/// A service whose files may hang, started by a process that has blocked every signal.
class hanging {
public:
    explicit hanging(const std::function<bool(const held_calls::call&)>& from_the_start = nullptr,
                     milliseconds time = budget) {
        if (from_the_start) calls_.hold(from_the_start);
        service_.emplace(
            service::options{.flags = {fmt::format("--shutdown.budget={}ms", time.count()), "--shutdown.idle_grace=0ms",
                                       "--shutdown.flush=100ms", "--shutdown.lame_duck=20ms", "--app.threads=1"},
                             .wait_until_ready = false,
                             .signals_blocked = true,
                             .calls = &calls_});
    }

    held_calls& calls() { return calls_; }
    integration::service& service() { return *service_; }
    bool says(const std::string& text) {
        return eventually(
                   [&] { return service().err().find(text) != std::string::npos || service().process().ended(); },
                   milliseconds(20'000)) &&
               service().err().find(text) != std::string::npos;
    }
    bool holds() {
        return eventually([&] { return calls_.held() > 0; }, milliseconds(20'000));
    }
    std::string file(const std::string& name) { return support::read_file(service().directory() / name); }
    bool is_announced() {
        return eventually([&] { return !file("ready.json").empty() && note().find("serving") != std::string::npos; });
    }
    std::string note() { return file("var/events/last-run.json"); }

private:
    held_calls calls_;  // outlives the process
    std::optional<integration::service> service_;
};

/// Which of the small files a call is about, by the name that they have in the end; empty for all others.
std::string note_of(const held_calls::call& call) {
    for (const char* name : {"ready.json", "report.json", "last-run.json"})
        if (call.path.find(name) != std::string::npos) return name;
    if (call.name == "fsync" && call.path.ends_with("/work")) return "report.json";
    if (call.name == "fsync" && call.path.ends_with("/var/events")) return "last-run.json";
    if (call.path == ".") return "report.json";  // its directory, to be synced
    return {};
}

#define NEEDS_SECCOMP() \
    if (const auto why = held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why

TEST(HangingDisk, AStopIsHeardAtOnceWhileReadyFileHangsAndEndsByTheBudget) {
    NEEDS_SECCOMP();
    hanging with([](const auto& call) { return call.name == "rename" && call.path.ends_with("ready.json"); });
    ASSERT_TRUE(with.says("ready: app on"));
    ASSERT_TRUE(with.holds());
    const auto when = with.service().process().signal(SIGTERM);
    ASSERT_TRUE(with.says("stop begun by SIGTERM"));
    EXPECT_TRUE(with.says("stopping app"));
    EXPECT_EQ(with.service().exit_code(), 3);
    EXPECT_TRUE(support::in_time(with.service().lasted(when), budget + promised + busy_machine));
    EXPECT_TRUE(with.service().logs("straggler: worker note-ready")) << with.service().err();
    EXPECT_THAT(boost::json::serialize(with.service().report().at("stragglers")), HasSubstr("note-ready"));
}

TEST(HangingDisk, AStopIsHeardAtOnceWhileTheNoteOfTheRunHangsAndEndsByTheBudget) {
    NEEDS_SECCOMP();
    hanging with([](const auto& call) { return call.name == "pwrite" && call.path.ends_with("last-run.json"); });
    ASSERT_TRUE(with.says("ready: app on"));
    ASSERT_TRUE(with.holds());
    const auto when = with.service().process().signal(SIGTERM);
    EXPECT_TRUE(with.says("stopping app"));
    EXPECT_EQ(with.service().exit_code(), 3);
    EXPECT_TRUE(support::in_time(with.service().lasted(when), budget + promised + busy_machine));
    EXPECT_TRUE(with.service().logs("straggler: worker note-progress")) << with.service().err();
    EXPECT_FALSE(std::filesystem::exists(with.service().directory() / "ready.json")) << "that one does not hang";
}

TEST(HangingDisk, ADiskThatIsOnlySlowIsWaitedFor) {
    NEEDS_SECCOMP();
    hanging with(nullptr, milliseconds(20'000));
    ASSERT_TRUE(with.is_announced());
    with.calls().hold([](const auto& call) { return call.name == "rename" && call.path.ends_with("report.json"); });
    with.service().process().signal(SIGTERM);
    ASSERT_TRUE(with.holds());
    EXPECT_FALSE(with.service().process().ended());
    EXPECT_THAT(with.service().err(), Not(HasSubstr("shutdown report")));
    with.calls().release();
    EXPECT_EQ(with.service().exit_code(), 0) << with.service().err();
    EXPECT_EQ(with.service().report().at("exit_code").to_number<int>(), 0);
    EXPECT_THAT(with.note(), HasSubstr("\"ended\""));
}

TEST(HangingDisk, TheSecondSignalIsHeardWhileTheReportHangs) {
    NEEDS_SECCOMP();
    hanging with(nullptr, milliseconds(20'000));
    ASSERT_TRUE(with.is_announced());
    with.calls().hold([](const auto& call) { return call.name == "fdatasync" && note_of(call) == "report.json"; });
    with.service().process().signal(SIGTERM);
    ASSERT_TRUE(with.holds());
    const auto when = with.service().signal_again(SIGINT);
    EXPECT_EQ(with.service().exit_code(), 3);
    EXPECT_TRUE(support::in_time(with.service().lasted(when), milliseconds(1'000) + busy_machine));
    EXPECT_TRUE(with.service().logs("straggler: worker note-report")) << with.service().err();
}

/// The calls of a whole run on its report and on its note, but for those that open them.
std::pair<std::vector<std::string>, std::vector<std::string>> calls_of_a_run(milliseconds time) {
    hanging with(nullptr, time);
    EXPECT_TRUE(with.is_announced());
    with.service().process().signal(SIGTERM);
    EXPECT_EQ(with.service().exit_code(), 0) << with.service().err();
    EXPECT_THAT(with.note(), HasSubstr("\"ended\""));
    std::vector<std::string> report, note;
    for (const auto& call : with.calls().seen()) {
        if (call.name == "openat" || call.name == "open") continue;
        if (note_of(call) == "report.json") report.push_back(call.name);
        if (note_of(call) == "last-run.json") note.push_back(call.name);
    }
    return {report, note};
}

TEST(HangingDisk, WhateverIsWrittenIsOnTheDiskBeforeItsNameIs) {
    NEEDS_SECCOMP();
    const auto [report, note] = calls_of_a_run(milliseconds(20'000));
    EXPECT_THAT(report, testing::ElementsAre("fdatasync", "rename", "fsync"));
    EXPECT_EQ(std::count(note.begin(), note.end(), "fdatasync"), 2) << "serving, and ended";
    EXPECT_EQ(std::count(note.begin(), note.end(), "fsync"), 1) << "of the directory, once";
    EXPECT_EQ(note.back(), "fdatasync");
}

TEST(HangingDisk, WithLessThanASecondLeftTheNotesAreInPlaceWithoutWaitingForTheDisk) {
    NEEDS_SECCOMP();
    const auto [report, note] = calls_of_a_run(budget);
    EXPECT_THAT(report, testing::ElementsAre("rename"));
    EXPECT_EQ(std::count(note.begin(), note.end(), "fdatasync"), 1) << "serving";
}

TEST(HangingDisk, AStartThatHangsEndsByTheBudgetAfterASignalAndSaysWhatItWaitsFor) {
    NEEDS_SECCOMP();
    const std::pair<const char*, const char*> places[] = {{"var/events", "still waiting for tracker.directory"},
                                                          {"ready.json", "still waiting for ready_file"}};
    for (const auto& [path, line] : places) {
        SCOPED_TRACE(path);
        hanging with(
            [path = std::string(path)](const auto& call) { return call.path.find(path) != std::string::npos; });
        ASSERT_TRUE(with.holds());
        const auto when = with.service().process().signal(SIGTERM);
        EXPECT_EQ(with.service().exit_code(), 3);
        EXPECT_GE(with.service().lasted(when), budget);
        EXPECT_TRUE(support::in_time(with.service().lasted(when), budget + promised + busy_machine));
        EXPECT_TRUE(with.service().logs(line)) << with.service().err();
    }
}

TEST(HangingDisk, AStartThatGoesOnInTimeFindsItsSignal) {
    NEEDS_SECCOMP();
    hanging with([](const auto& call) { return call.path.find("var/events") != std::string::npos; },
                 milliseconds(20'000));
    ASSERT_TRUE(with.holds());
    with.service().process().signal(SIGTERM);
    with.calls().release();
    EXPECT_EQ(with.service().exit_code(), 0) << with.service().err();
    EXPECT_THAT(with.service().err(), Not(HasSubstr("still waiting")));
}

/// The nth call of a name on a note.
struct place {
    std::string file, name;
    int nth;
    auto operator<=>(const place&) const = default;
};

/// Each call by which a run from its start to its end touches one of the notes.
std::set<place> places_of_a_run() {
    hanging with(nullptr, milliseconds(20'000));
    with.is_announced();
    with.service().process().signal(SIGTERM);
    EXPECT_EQ(with.service().exit_code(), 0) << with.service().err();
    std::map<std::pair<std::string, std::string>, int> counts;
    std::set<place> all;
    for (const auto& call : with.calls().seen())
        if (const auto file = note_of(call); !file.empty())
            all.insert({file, call.name, ++counts[std::pair(file, call.name)]});
    return all;
}

TEST(HangingDisk, WhicheverCallHangsTheProcessEndsByItsBudgetWithThree) {
    NEEDS_SECCOMP();
    const auto places = places_of_a_run();
    ASSERT_GE(places.size(), 15U);
    milliseconds worst{0};
    for (const auto& at : places) {
        SCOPED_TRACE(fmt::format("{} of {}, number {}", at.name, at.file, at.nth));
        auto count = std::make_shared<std::pair<int, bool>>(0, false);
        const auto hangs = [at, count](const held_calls::call& call) {  // it, and then all of that file
            if (note_of(call) == at.file && call.name == at.name && ++count->first == at.nth) count->second = true;
            return count->second && note_of(call) == at.file;
        };
        const auto time = at.name.ends_with("sync") ? budget_with_syncs : budget;
        hanging with(hangs, time);
        ASSERT_TRUE(eventually([&] {
            return with.calls().held() > 0 ||
                   (!with.file("ready.json").empty() && with.note().find("serving") != std::string::npos);
        }));
        const auto when = with.service().process().signal(SIGTERM);
        const int code = with.service().exit_code(milliseconds(10'000));
        if (with.calls().held() == 0) {  // notes that nobody waited for were not written this time
            EXPECT_EQ(code, with.service().lasted(when) < time ? 0 : 3) << with.service().err();
            continue;
        }
        EXPECT_EQ(code, 3) << with.service().err();
        EXPECT_TRUE(support::in_time(with.service().lasted(when), time + promised + busy_machine))
            << with.service().err();
        worst = std::max(worst, with.service().lasted(when) - time);
    }
    fmt::print("{} calls, gone {} ms after the budget at most\n", places.size(), worst.count());
}

}  // namespace
}  // namespace integration
