// Signals at awkward moments, and a log that nobody reads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

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
    EXPECT_TRUE(support::slow_build || before_main <= 25) << before_main << ": it takes too long to reach main";
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
    EXPECT_LT(service.lasted(when), milliseconds(4'000));
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
