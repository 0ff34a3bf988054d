// Signals at awkward moments, and a log that nobody reads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Signals, SighupReloadsAndDuringAStopIsIgnoredWithALine) {
    service service;
    service.process().signal(SIGHUP);
    EXPECT_EQ(service.ask(get("/")).status, 200);
    auto connection = service.connect();
    connection.send(get("/slow?ms=700"));
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    service.process().signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return service.err().find("SIGHUP ignored") != std::string::npos; }));
    const auto answer = connection.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(service.report().at("cause").as_string(), "SIGTERM");
}

/// A request that is under way is answered, and nothing is forced, though the service gets the order several times.
void expect_one_order(service& service) {
    auto connection = service.connect();
    connection.send(get("/slow?ms=700"));
    ASSERT_TRUE(service.handles("/slow"));
    service.process().signal(SIGTERM);
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << service.err();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_THAT(service.err(), Not(HasSubstr("second signal")));
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Signals, TwoOfTwoKindsAtOnceAreOneOrder) {
    service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=700"));
    ASSERT_TRUE(service.handles("/slow"));
    service.process().signal(SIGTERM);
    service.process().signal(SIGINT);
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << service.err();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

// The wrappers below get the signal and pass it on; setpriv(1) ends the service with them, should a test fail.

TEST(Signals, WhatTimeoutSendsToTheProgramAndToItsGroupIsOneOrder) {
    service service({.starter = {support::tool("timeout"), "--preserve-status", "60", support::tool("setpriv"),
                                 "--pdeathsig", "KILL"},
                     .wrapped = true});
    expect_one_order(service);
}

TEST(Signals, WhatATrapOfAShellSendsAgainIsOneOrder) {
    const char* const script =
        "trap 'kill -TERM $child; kill -INT $child' TERM; "
        "setpriv --pdeathsig KILL \"$@\" & child=$!; wait $child; wait $child";
    service service({.starter = {"/bin/sh", "-c", script, "sh"}, .wrapped = true});
    expect_one_order(service);
}

/// SIGTERM, then frozen for four seconds: twice the budget. What one request gets, and the code of the exit.
std::pair<int, int> frozen_in_its_stop(service& service, const std::string& request) {
    auto connection = service.connect();
    connection.send(request);
    EXPECT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    service.process().signal(SIGSTOP);
    const auto until = clock::now() + milliseconds(4'000);
    eventually([&] { return clock::now() >= until; });
    const auto woken = service.process().signal(SIGCONT);
    const auto answer = connection.receive();
    const int code = service.exit_code();
    EXPECT_TRUE(support::in_time(service.lasted(woken), milliseconds(2'300))) << "and no longer than the contract says";
    return {answer ? answer->status : 0, code};
}

const std::vector<std::string> brief{"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms"};

TEST(Signals, AProcessThatWasFrozenLongerThanItsBudgetAnswersAndReports) {
    service service(brief);
    const auto [status, code] = frozen_in_its_stop(service, get("/slow?ms=1000"));
    EXPECT_EQ(status, 200) << service.err();
    EXPECT_EQ(code, 0) << service.err();
    const auto report = service.report();
    EXPECT_LT(report.at("duration_ms").to_number<int>(), 4'000) << "what it lived, without the freeze of 4 s";
    EXPECT_EQ(faults(report), "");
    EXPECT_THAT(service.err(), HasSubstr("in this stop, which do not count"));
}

TEST(Signals, AProcessThatWasFrozenGivesUpWithinWhatItHadLeft) {
    service service(brief);
    const auto [status, code] = frozen_in_its_stop(service, get("/slow?ms=60000"));
    EXPECT_EQ(status, 503) << service.err();
    EXPECT_EQ(code, 3) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Signals, SigquitWritesStacksAndGoesOn) {
    service service;
    const auto before = service.err().size();
    service.process().signal(SIGQUIT);
    EXPECT_TRUE(eventually([&] { return service.err().size() > before + 200; })) << service.err();
    EXPECT_EQ(service.ask(get("/")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
}

TEST(Signals, SigpipeIsIgnored) {
    service service;
    service.process().signal(SIGPIPE);
    EXPECT_EQ(service.ask(get("/")).status, 200);
}

#ifdef ENTRY_POINT
TEST(Signals, ASigtermIsHeardFromTheTenthInstructionOn) {
    const support::temporary_directory directory;
    const pid_t traced = ::fork();
    ASSERT_GE(traced, 0);
    if (traced == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        if (::chdir(directory.path().c_str()) == 0)
            ::execl(SERVICE_BINARY, SERVICE_BINARY, "--app.port=0", "--debug.port=0", "--log.level=off", nullptr);
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(traced, &status, 0);  // ptrace(2): stopped by its exec, before the first instruction
    for (int i = 0; i < 10 && WIFSTOPPED(status); ++i) {
        ::ptrace(PTRACE_SINGLESTEP, traced, nullptr, nullptr);
        ::waitpid(traced, &status, 0);
    }
    ASSERT_TRUE(WIFSTOPPED(status)) << status;
    ::kill(traced, SIGTERM);
    ::ptrace(PTRACE_DETACH, traced, nullptr, nullptr);
    ::waitpid(traced, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST(Signals, ASigtermJustAfterTheStartEndsCleanly) {
    // A signal that comes while the kernel is still in exec ends a process that has not begun anything; from the
    // first instructions on (in a program that loads libraries: from main on) it is exit code 0.
    int before_main = 0;
    for (int i = 0; i <= 50; ++i) {
        service service({{"--shutdown.report="}, {}, false, false});
        service.process().wait(milliseconds(2 * i / 5));
        const bool blocked = service.process().blocks(SIGTERM);
        service.process().signal(SIGTERM);
        const auto status = service.process().wait(milliseconds(10'000));
        ASSERT_TRUE(status) << "does not end, run " << i;
        if (!blocked && status->signal == SIGTERM) {
            ++before_main;
            continue;
        }
        ASSERT_EQ(status->code, 0) << "run " << i << ", signal " << status->signal << '\n' << service.err();
        for (const auto& left : std::filesystem::recursive_directory_iterator(service.directory()))
            EXPECT_NE(left.path().extension(), ".tmp") << left.path();
    }
    RecordProperty("ended_before_main", before_main);
    EXPECT_TRUE(support::slow_build || !support::checks_durations() || before_main <= 25)
        << before_main << ": it takes too long to reach main";
}

TEST(Signals, AFullStderrPipeStopsNeitherTheServiceNorItsStop) {
    service service({{"--log.access=true"}, {}, true, true});
    auto connection = service.connect();
    for (int i = 0; i < 300; ++i) {
        const auto answer = connection.exchange(get("/"));
        ASSERT_TRUE(answer) << i;
        ASSERT_EQ(answer->status, 200);
    }
    EXPECT_EQ(service.ask_debug(get("/metrics")).status, 200);
    service.process().signal(SIGQUIT);
    EXPECT_EQ(service.ask(get("/")).status, 200);
    const auto when = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(milliseconds(10'000)), 0);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(4'000)));
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Signals, AReportThatCannotBeWrittenDoesNotHoldTheExit) {
    service service({"--shutdown.report=missing/report.json"});
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_TRUE(service.logs("missing/report.json")) << service.err();
}

}  // namespace
}  // namespace integration
