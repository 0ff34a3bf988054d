#include "lifecycle/signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace lifecycle {
namespace {

int hard_stop_signal() { return SIGRTMIN; }

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : watched_signals) sigaddset(&set, number);
    return set;
}

}  // namespace

signals::signals() : had_terminal_(::isatty(STDERR_FILENO) == 1) {
    const auto set = watched();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);  // both become errors of write(2)
    descriptor_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) throw std::system_error(errno, std::system_category(), "signalfd");

    // As PID 1 the kernel ignores signals with their default action: the last resort needs a handler.
    struct sigaction action = {};
    action.sa_handler = [](int) { ::_exit(3); };
    ::sigaction(hard_stop_signal(), &action, nullptr);
    struct sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = hard_stop_signal();
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
        const int error = errno;
        ::close(descriptor_);
        throw std::system_error(error, std::system_category(), "timer_create");
    }
}

signals::~signals() {
    ::close(descriptor_);  // an armed timer stays: it watches over the rest of the exit too
}

signals::received signals::next() {
    signalfd_siginfo info;
    if (::read(descriptor_, &info, sizeof info) != sizeof info) return {};
    switch (info.ssi_signo) {
        case SIGTERM: return {kind::stop, "SIGTERM"};
        case SIGINT: return {kind::stop, "SIGINT"};
        case SIGHUP: return had_terminal_ ? received{kind::stop, "SIGTERM"} : received{kind::reload, "SIGHUP"};
        case SIGQUIT: return {kind::stacks, "SIGQUIT"};
        case SIGUSR2: return {kind::upgrade, "SIGUSR2"};
        default: return {};
    }
}

void signals::arm_hard_stop(std::chrono::milliseconds after) {
    itimerspec when = {};
    when.it_value.tv_sec = after.count() / 1000;
    when.it_value.tv_nsec = after.count() % 1000 * 1'000'000;
    ::timer_settime(timer_, 0, &when, nullptr);
}

}  // namespace lifecycle
