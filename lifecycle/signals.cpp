#include "lifecycle/signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>

namespace lifecycle {
namespace {

int hard_stop_signal() { return SIGRTMIN; }
constexpr int hard_stop_code = 3;

/// A timer that comes so late has found a process that was frozen, in which no thread could take its signal.
constexpr std::chrono::nanoseconds frozen_after = std::chrono::milliseconds(500);
/// Then main gets this to say so, to answer and to report; it moves the timer again.
constexpr std::chrono::milliseconds after_freeze{2'000};

/// What the handler of the hard stop reads: it can reach nothing but statics.
struct armed_stop {
    std::atomic<void*> timer{nullptr};
    std::atomic<std::int64_t> due{not_put_off};  ///< nanoseconds of CLOCK_MONOTONIC

    static constexpr std::int64_t not_put_off = 0;  ///< has been once
    static constexpr std::int64_t disarmed = std::numeric_limits<std::int64_t>::max();
};
constinit armed_stop armed;

std::chrono::nanoseconds monotonic_now() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);  // signal-safety(7)
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

template <std::size_t Count>
sigset_t set_of(const int (&numbers)[Count]) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : numbers) sigaddset(&set, number);
    return set;
}

itimerspec in(std::chrono::nanoseconds time) {
    itimerspec when = {};
    when.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(time).count();
    when.it_value.tv_nsec = (time % std::chrono::seconds(1)).count();
    return when;
}

/// False: the kernel does not do it.
bool arm(std::chrono::nanoseconds time) noexcept {
    const auto when = in(time);
    return ::timer_settime(armed.timer.load(), 0, &when, nullptr) == 0;
}

/// Whether the process lives on. The signal may come late: the thread that took it may have waited for a CPU, and main
/// may have seen the freeze and moved the timer meanwhile. Then the next signal counts.
bool is_put_off() noexcept {
    auto due = armed.due.load();
    if (due == armed_stop::disarmed) return true;
    const auto late = monotonic_now() - std::chrono::nanoseconds(due);
    if (late.count() < 0) return arm(-late);
    if (due == armed_stop::not_put_off || late < frozen_after) return false;
    if (armed.due.compare_exchange_strong(due, armed_stop::not_put_off) && !arm(after_freeze)) return false;
    due = armed.due.load();  // main may have moved it in between, and its time must not be replaced by this one
    return due == armed_stop::not_put_off || due == armed_stop::disarmed ||
           arm(std::max(std::chrono::nanoseconds(due) - monotonic_now(), std::chrono::nanoseconds(1)));
}

/// The code is part of the timer: it changes when all that is left is to destroy.
void on_hard_stop(int, siginfo_t* info, void*) {
    const int error = errno;
    if (!is_put_off()) ::_exit(info->si_code == SI_TIMER ? info->si_value.sival_int : hard_stop_code);
    errno = error;
}

}  // namespace

signals::signals() : had_terminal_(::isatty(STDERR_FILENO) == 1) {
    // The whole mask, not these added to it: what a parent has blocked stays blocked over exec, and neither the hard
    // stop nor the signals by which stacks are taken would ever arrive.
    const auto set = set_of(watched_signals);
    ::pthread_sigmask(SIG_SETMASK, &set, nullptr);
    for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);  // both become errors of write(2)
    descriptor_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) throw std::system_error(errno, std::system_category(), "signalfd");
    armed.due = armed_stop::not_put_off;  // not that of an earlier object

    // As PID 1 the kernel ignores signals with their default action: the last resort needs a handler.
    struct sigaction action = {};
    action.sa_sigaction = on_hard_stop;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(hard_stop_signal(), &action, nullptr);
    if (!make_timer(hard_stop_code)) {
        const int error = errno;
        ::close(descriptor_);
        throw std::system_error(error, std::system_category(), "timer_create");
    }
}

/// The code is part of the timer, so that the handler reads nothing else.
bool signals::make_timer(int code) {
    struct sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = hard_stop_signal();
    event.sigev_value.sival_int = code;
    timer_t made;
    if (::timer_create(CLOCK_MONOTONIC, &event, &made) != 0) return false;
    timer_ = made;
    return true;
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
    std::chrono::nanoseconds time = after;
    if (latest_ && after.count() > 0)  // 1 ns where it is over: 0 would disarm
        time = std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds(1),
                                                  std::min(time, *latest_ - std::chrono::steady_clock::now()));
    armed.timer = timer_;
    armed.due = time.count() > 0 ? (monotonic_now() + time).count() : armed_stop::disarmed;
    const auto when = in(time);
    ::timer_settime(timer_, 0, &when, nullptr);
}

void signals::was_frozen(std::chrono::milliseconds gap) {
    if (latest_) *latest_ += gap;
}

void signals::guard_start(start_guard::limits limits, std::chrono::milliseconds grace) {
    if (guard_) return guard_->change(std::move(limits));
    try {
        guard_ = std::make_unique<start_guard>(std::move(limits), [this, grace](auto budget) {
            arm_hard_stop(budget + grace);  // main does nothing of the kind before `start_is_over`
        });
    } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): a start that hangs is not heard of
    }
}

void signals::starting(const char* what) noexcept {
    if (guard_) guard_->doing(what);
}

void signals::start_is_over() {
    guard_.reset();
    itimerspec left = {};
    ::timer_gettime(timer_, &left);
    const auto time = std::chrono::seconds(left.it_value.tv_sec) + std::chrono::nanoseconds(left.it_value.tv_nsec);
    if (time.count() > 0) latest_ = std::chrono::steady_clock::now() + time;
}

void signals::settle(int code) {
    itimerspec left = {};
    timer_t const before = timer_;
    ::timer_gettime(before, &left);
    if (!make_timer(code)) return;  // the old one goes on
    armed.timer = timer_;
    ::timer_settime(timer_, 0, &left, nullptr);
    ::timer_delete(before);
}

}  // namespace lifecycle
