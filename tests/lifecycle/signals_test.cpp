#include "lifecycle/signals.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "tests/lifecycle/fakes.hpp"
#include "tests/support/in_time.hpp"

namespace {

using namespace std::chrono_literals;
using kind = lifecycle::signals::kind;
using lifecycle::clock;

bool readable(int descriptor) {
    pollfd watched{descriptor, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
}

TEST(Signals, ArriveAtTheDescriptorWithTheirNames) {
    fakes::signals_without_terminal made;
    auto& signals = made.signals;
    EXPECT_FALSE(readable(signals.descriptor()));
    EXPECT_EQ(signals.next().what, kind::none) << "it never blocks";
    const struct {
        int number;
        kind what;
        const char* name;
    } table[] = {{SIGTERM, kind::stop, "SIGTERM"},
                 {SIGINT, kind::stop, "SIGINT"},
                 {SIGHUP, kind::reload, "SIGHUP"},
                 {SIGQUIT, kind::stacks, "SIGQUIT"},
                 {SIGUSR2, kind::upgrade, "SIGUSR2"}};
    for (const auto& row : table) {
        ::kill(::getpid(), row.number);
        EXPECT_TRUE(readable(signals.descriptor()));
        const auto got = signals.next();
        EXPECT_EQ(got.what, row.what) << row.name;
        EXPECT_STREQ(got.name, row.name);
        EXPECT_EQ(signals.next().what, kind::none);
    }
}

TEST(Signals, WaitInTheKernelUntilSomeoneLooks) {
    fakes::signals_without_terminal made;
    ::kill(::getpid(), SIGTERM);
    ::kill(::getpid(), SIGINT);
    int stops = 0;
    while (made.signals.next().what == kind::stop) ++stops;
    EXPECT_EQ(stops, 2);
}

/// Runs `body` in a process that is frozen for `freeze` as soon as it wants to be. Its exit code, and how long it lived
/// from then on.
std::pair<int, std::chrono::milliseconds> frozen(std::chrono::milliseconds freeze, const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        ::_exit(body());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, WUNTRACED), child);
    EXPECT_TRUE(WIFSTOPPED(status));
    const auto until = clock::now() + freeze;
    EXPECT_TRUE(fakes::eventually([&] { return clock::now() >= until; }));
    const auto woken = clock::now();
    ::kill(child, SIGCONT);
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - woken)};
}

TEST(Signals, TheHardStopGivesTwoSecondsToAProcessThatWasFrozenWhenItWasDue) {
    const auto [code, lived] = frozen(800ms, [] {
        fakes::signals_without_terminal made;
        made.signals.arm_hard_stop(50ms);
        ::raise(SIGSTOP);
        fakes::hang();
        return 99;
    });
    EXPECT_EQ(code, 3);
    EXPECT_GE(lived, 1'900ms);
}

TEST(Signals, AProcessThatWasFrozenMayEndByItselfInThatTime) {
    const auto [code, lived] = frozen(800ms, [] {
        fakes::signals_without_terminal made;
        made.signals.arm_hard_stop(50ms);
        ::raise(SIGSTOP);
        return 7;
    });
    EXPECT_EQ(code, 7);
}

TEST(Signals, TheHardStopIsNotPutOffByAFreezeThatEndsBeforeItIsDue) {
    const auto [code, lived] = frozen(50ms, [] {
        fakes::signals_without_terminal made;
        made.signals.arm_hard_stop(400ms);
        ::raise(SIGSTOP);
        fakes::hang();
        return 99;
    });
    EXPECT_EQ(code, 3);
    EXPECT_TRUE(support::in_time(lived, 1'900ms));
}

TEST(Signals, ASignalOfTheHardStopThatIsOvertakenByMainsNewTimeEndsNothing) {
    const auto [code, lived] = frozen(0ms, [] {
        fakes::signals_without_terminal made;
        ::raise(SIGSTOP);
        made.signals.arm_hard_stop(10min);
        ::raise(SIGRTMIN);  // sent for the old time, and only now come to a thread
        made.signals.arm_hard_stop(0ms);
        ::raise(SIGRTMIN);
        made.signals.arm_hard_stop(50ms);
        fakes::hang();
        return 99;
    });
    EXPECT_EQ(code, 3) << "the new time counts";
    EXPECT_GE(lived, 50ms);
}

TEST(Signals, DoNotInterruptThreadsThatWereStartedLater) {
    fakes::signals_without_terminal made;
    std::jthread([] {
        sigset_t mask;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) EXPECT_EQ(sigismember(&mask, number), 1);
    }).join();
}

TEST(Signals, IgnoreABrokenPipe) {
    fakes::signals_without_terminal made;
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    EXPECT_EQ(::write(ends[1], "x", 1), -1) << "and the process lives";
    EXPECT_EQ(errno, EPIPE);
    ::close(ends[1]);
}

TEST(Signals, TakeAHangUpForAStopWhereStderrWasATerminal) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) GTEST_SKIP() << "no pty here";
    const int side = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (side < 0) GTEST_SKIP() << "no pty here";
    std::unique_ptr<lifecycle::signals> signals;
    {
        const fakes::stderr_is there(side);
        signals = std::make_unique<lifecycle::signals>();
    }
    ::kill(::getpid(), SIGHUP);
    const auto got = signals->next();
    EXPECT_EQ(got.what, kind::stop);
    EXPECT_STREQ(got.name, "SIGTERM");
    ::close(terminal);
}

TEST(Signals, EndTheProcessWithThreeWhenTheHardStopIsDue) {
    EXPECT_EQ(fakes::exit_code_of([] {
                  fakes::signals_without_terminal made;
                  made.signals.arm_hard_stop(std::chrono::milliseconds(1'000'000));
                  made.signals.arm_hard_stop(std::chrono::milliseconds(1));  // arming again moves it
                  fakes::hang();
                  return 99;
              }),
              3);
}

TEST(Signals, EndTheProcessInTimeThoughItsParentHasBlockedEverySignal) {
    EXPECT_EQ(fakes::exit_code_of([] {
                  sigset_t all;
                  sigfillset(&all);
                  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);  // which exec would have handed on
                  fakes::signals_without_terminal made;
                  made.signals.arm_hard_stop(std::chrono::milliseconds(1));
                  fakes::hang();
                  return 99;
              }),
              3);
}

TEST(Signals, EndTheProcessWithTheCodeThatIsKnownWhenOnlyTheLeavingHangs) {
    EXPECT_EQ(fakes::exit_code_of([] {
                  fakes::signals_without_terminal made;
                  made.signals.arm_hard_stop(std::chrono::milliseconds(50));
                  made.signals.settle(0);
                  fakes::hang();
                  return 99;
              }),
              0);
}

TEST(Signals, ForgetTheHardStopWhenItIsDisarmed) {
    EXPECT_EQ(fakes::exit_code_of([] {
                  fakes::signals_without_terminal made;
                  made.signals.arm_hard_stop(std::chrono::milliseconds(20));
                  made.signals.arm_hard_stop(std::chrono::milliseconds(0));
                  ::poll(nullptr, 0, 60);
                  return 99;
              }),
              99);
}

TEST(Signals, KeepTheHardStopArmedBehindTheirOwnEnd) {
    EXPECT_EQ(fakes::exit_code_of([] {
                  fakes::signals_without_terminal().signals.arm_hard_stop(std::chrono::milliseconds(50));
                  fakes::hang();
                  return 99;
              }),
              3);
}

}  // namespace
