// Clocks, chance, signals, timers and the end of a process.

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/simulator/calls.hpp"

using namespace simulator;

// std::random_device reads the processor's own; the names are those of the Itanium C++ ABI.
void std::random_device::_M_init(const std::string&) {}
void std::random_device::_M_fini() {}
unsigned std::random_device::_M_getval() {
    const inside on;
    return !on ? 1U : static_cast<unsigned>(on->chance().next());
}

extern "C" {

int clock_gettime(clockid_t clock, timespec* into) noexcept {
    auto* const on = kernel::current();
    if (!on) return static_cast<int>(raw::call(SYS_clock_gettime, clock, reinterpret_cast<long>(into)));
    on->pass(nanoseconds(20));
    const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    *into = as_timespec(on->now() + (wall ? nanoseconds(wall_began) : nanoseconds(0)));
    return 0;
}
time_t time(time_t* into) noexcept {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    if (into != nullptr) *into = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(timeval* into, void*) noexcept {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    *into = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1'000};
    return 0;
}

ssize_t getrandom(void* into, std::size_t size, unsigned) {
    auto* const on = kernel::current();
    for (std::size_t at = 0; at < size; at += 8) {
        const std::uint64_t some = !on ? 1 : on->chance().next();
        std::memcpy(static_cast<char*>(into) + at, &some, std::min<std::size_t>(8, size - at));
    }
    return static_cast<ssize_t>(size);
}
int getentropy(void* into, std::size_t size) { return ::getrandom(into, size, 0) < 0 ? -1 : 0; }

pid_t getpid() noexcept {
    const inside on;
    return on ? on->self().number : static_cast<pid_t>(raw::call(SYS_getpid));
}
pid_t gettid() noexcept { return inside() ? inside()->running()->thread : 1; }
uid_t getuid() noexcept { return 1'000; }
int isatty(int number) noexcept {
    if (!inside()) return 0;
    return number < 0 ? 0 : (errno = ENOTTY, 0);
}
int getrlimit(__rlimit_resource_t, rlimit* into) noexcept {
    *into = {.rlim_cur = 1'048'576, .rlim_max = 1'048'576};
    return 0;
}
int setrlimit(__rlimit_resource_t, const rlimit*) noexcept { return 0; }
int getrusage(__rusage_who_t, rusage* into) noexcept {
    *into = {};
    return 0;
}

[[noreturn]] void _exit(int code) {
    const inside on;
    if (!on) raw::call(SYS_exit_group, code);
    on->self().end(code);
    std::abort();
}
[[noreturn]] void _Exit(int code) noexcept { ::_exit(code); }

int kill(pid_t which, int signal) noexcept {
    const inside on;
    if (!on) return 0;
    for (auto* const each : on->processes)
        if (each->number == which && !each->over) return each->send(signal), 0;
    return fails_with(ESRCH);
}

int sigaction(int number, const struct sigaction* fresh, struct sigaction* before) noexcept {
    const inside on;
    if (!on) return 0;
    auto& actions = on->self().actions;
    if (before != nullptr) *before = actions[number];
    if (fresh != nullptr) actions[number] = *fresh;
    return 0;
}
sighandler_t signal(int number, sighandler_t handler) noexcept {
    struct sigaction action = {};
    action.sa_handler = handler;
    ::sigaction(number, &action, nullptr);
    return SIG_DFL;
}

int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) noexcept {
    const inside on;
    if (!on) return 0;
    auto& self = on->self();
    if (before != nullptr) *before = self.blocked;
    if (set == nullptr) return 0;
    if (on->running()->name != "main" && on->running()->name != "signal") return 0;  // of that thread alone
    if (how == SIG_SETMASK) self.blocked = *set;
    for (int each = 1; each < 65 && how != SIG_SETMASK; ++each) {
        if (::sigismember(set, each) != 1) continue;
        if (how == SIG_BLOCK)
            ::sigaddset(&self.blocked, each);
        else
            ::sigdelset(&self.blocked, each);
    }
    if (how == SIG_UNBLOCK) self.deliver_pending();
    return 0;
}

int signalfd(int, const sigset_t* which, int) noexcept {
    auto& self = inside()->self();
    auto made = std::make_shared<signal_descriptor>(self, *which);
    self.signal_descriptors.push_back(made);
    return self.open(made);
}

int timer_create(clockid_t, sigevent* event, timer_t* into) noexcept {
    *into = reinterpret_cast<timer_t>(
        static_cast<std::intptr_t>(inside()->self().make_timer(event->sigev_signo, event->sigev_value.sival_int)));
    return 0;
}
int timer_settime(timer_t timer, int, const itimerspec* when, itimerspec*) noexcept {
    const inside on;
    const auto time = time_of(when->it_value);
    on->self().set_timer(static_cast<int>(reinterpret_cast<std::intptr_t>(timer)),
                         time.count() == 0 ? nanoseconds::max() : on->now() + time);
    return 0;
}
int timer_gettime(timer_t timer, itimerspec* into) noexcept {
    *into = {};
    into->it_value = as_timespec(inside()->self().timer_left(static_cast<int>(reinterpret_cast<std::intptr_t>(timer))));
    return 0;
}
int timer_delete(timer_t timer) noexcept {
    inside()->self().set_timer(static_cast<int>(reinterpret_cast<std::intptr_t>(timer)), nanoseconds::max());
    return 0;
}

long syscall(long number, ...) noexcept {
    va_list arguments;
    va_start(arguments, number);
    long values[6];
    for (auto& value : values) value = va_arg(arguments, long);
    va_end(arguments);
    const inside on;
    if (!on) return raw::call(number, values[0], values[1], values[2], values[3], values[4], values[5]);
    if (number == SYS_gettid) return on->running()->thread;
    if (number == SYS_futex) {  // of the atomics of the C++ library: a thread that waits looks again
        on->call();
        on->yield();
        return 0;
    }
    return fails_with(ENOSYS);
}

}  // extern "C"
