// Descriptors of every kind, and waiting for them.

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <vector>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

nanoseconds limit_of(kernel& on, int milliseconds) {
    return milliseconds < 0 ? nanoseconds::max() : on.now() + std::chrono::milliseconds(milliseconds);
}

/// How many of them are ready.
int look(kernel& on, pollfd* all, nfds_t count) {
    int found = 0;
    for (nfds_t nth = 0; nth < count; ++nth) {
        auto& each = all[nth];
        const auto what = on.self().find(each.fd);
        each.revents = what          ? static_cast<short>(what->ready() & (each.events | POLLERR | POLLHUP))
                       : each.fd < 0 ? short{0}
                                     : short{POLLNVAL};
        found += each.revents != 0 ? 1 : 0;
    }
    return found;
}

int poll_until(kernel& on, pollfd* all, nfds_t count, nanoseconds limit) {
    on.call();
    for (;;) {
        const int found = look(on, all, count);
        if (found > 0 || on.now() >= limit) return found;
        std::vector<const void*> these;
        for (nfds_t nth = 0; nth < count; ++nth)
            if (const auto what = on.self().find(all[nth].fd)) these.push_back(what.get());
        if (!on.wait_any(std::move(these), limit)) return look(on, all, count);
    }
}

}  // namespace

extern "C" {

ssize_t read(int number, void* into, std::size_t size) {
    const inside on;
    if (!on || is_real(number))
        return raw::call(SYS_read, number, reinterpret_cast<long>(into), static_cast<long>(size));
    on->call();
    const auto what = on->self().find(number);
    return what ? what->read(into, size) : fails_with(EBADF);
}
ssize_t write(int number, const void* from, std::size_t size) {
    const inside on;
    if (!on) return raw::call(SYS_write, number, reinterpret_cast<long>(from), static_cast<long>(size));
    on->call();
    const auto what = on->self().find(number);
    return what ? what->write(from, size) : fails_with(EBADF);
}
int close(int number) {
    const inside on;
    if (!on) return static_cast<int>(raw::call(SYS_close, number));
    on->call();
    return on->self().close(number);
}

int fcntl(int number, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    const int value = va_arg(arguments, int);
    va_end(arguments);
    const inside on;
    if (!on) return static_cast<int>(raw::call(SYS_fcntl, number, command, value));
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) return on->self().duplicate(number, value);
    return on->self().find(number) ? 0 : fails_with(EBADF);
}

int ioctl(int number, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    auto* const into = va_arg(arguments, int*);
    va_end(arguments);
    const inside on;
    if (!on)
        return static_cast<int>(raw::call(SYS_ioctl, number, static_cast<long>(request), reinterpret_cast<long>(into)));
    if (request == SIOCOUTQ)
        if (const auto stream = open_as<tcp_stream>(*on, number)) *into = static_cast<int>(stream->unacknowledged());
    return 0;
}

int eventfd(unsigned first, int) noexcept { return inside()->self().open(std::make_shared<event_counter>(first)); }

int timerfd_create(int, int) noexcept { return inside()->self().open(std::make_shared<timer_descriptor>()); }
int timerfd_settime(int number, int flags, const itimerspec* when, itimerspec*) noexcept {
    const inside on;
    const auto time = time_of(when->it_value);
    const bool absolute = (flags & TFD_TIMER_ABSTIME) != 0;
    open_as<timer_descriptor>(*on, number)
        ->set(time.count() == 0 ? nanoseconds::max()
              : absolute        ? time
                                : on->now() + time);
    return 0;
}

/// No file that it watches changes.
int inotify_init1(int) noexcept { return inside()->self().open(std::make_shared<description>()); }
int inotify_add_watch(int, const char*, std::uint32_t) noexcept { return 1; }

int epoll_create1(int) noexcept { return inside()->self().open(std::make_shared<epoll_set>()); }
int epoll_create(int) noexcept { return ::epoll_create1(0); }
int epoll_ctl(int number, int operation, int of, epoll_event* event) noexcept {
    const inside on;
    on->call();
    const auto set = open_as<epoll_set>(*on, number);
    const auto what = on->self().find(of);
    if (!set || !what) return fails_with(EBADF);
    return set->control(operation, of, what, event == nullptr ? 0 : event->events,
                        event == nullptr ? 0 : event->data.u64);
}
int epoll_wait(int number, epoll_event* into, int most, int milliseconds) {
    const inside on;
    on->call();
    const auto set = open_as<epoll_set>(*on, number);
    const auto limit = limit_of(*on, milliseconds);
    for (;;) {
        const auto found = set->take(static_cast<std::size_t>(most));
        if (!found.empty() || on->now() >= limit) {
            for (std::size_t nth = 0; nth < found.size(); ++nth)
                into[nth] = {.events = found[nth].first, .data = {.u64 = found[nth].second}};
            return static_cast<int>(found.size());
        }
        on->wait(set.get(), limit);
    }
}

int poll(pollfd* all, nfds_t count, int milliseconds) {
    const inside on;
    if (!on)
        return static_cast<int>(
            raw::call(SYS_poll, reinterpret_cast<long>(all), static_cast<long>(count), milliseconds));
    return poll_until(*on, all, count, limit_of(*on, milliseconds));
}
int ppoll(pollfd* all, nfds_t count, const timespec* time, const sigset_t*) {
    const inside on;
    return poll_until(*on, all, count, time == nullptr ? nanoseconds::max() : on->now() + time_of(*time));
}

}  // extern "C"
