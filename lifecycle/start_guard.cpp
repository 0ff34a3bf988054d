#include "lifecycle/start_guard.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace lifecycle {
namespace {

constexpr int code = 3;  // as every stop that was not orderly
/// A wait that ends so much later was that of a process that was frozen: main gets a moment more.
constexpr std::chrono::milliseconds frozen_after{500}, after_freeze{1'900};

int opened(int descriptor, const char* call) {
    if (descriptor < 0) throw std::system_error(errno, std::system_category(), call);
    return descriptor;
}

/// True: it is, before the time has passed.
bool is_ready(int descriptor, std::chrono::milliseconds time) {
    const auto until = clock::now() + time;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
        pollfd watched{descriptor, POLLIN, 0};
        const int found = ::poll(&watched, 1, static_cast<int>(std::max<decltype(left)>(0, left)));
        if (found > 0) return true;
        if (found == 0 && clock::now() >= until) return false;
    }
}

}  // namespace

start_guard::start_guard(limits limits, std::function<void(std::chrono::milliseconds)> heard)
    : heard_(std::move(heard)), limits_(std::move(limits)) {
    sigset_t stops;
    ::sigemptyset(&stops);
    for (const int number : {SIGTERM, SIGINT}) ::sigaddset(&stops, number);
    signals_ = opened(::signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd");
    try {
        over_ = opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
        thread_ = own_.start(std::string(name), "worker", [this](const std::stop_token&) {
            named_.release();
            run();
        });
        named_.acquire();  // those that count threads know it by its name
    } catch (...) {
        ::close(signals_);
        if (over_ >= 0) ::close(over_);
        throw;
    }
}

start_guard::~start_guard() {
    const std::uint64_t ends = 1;
    [[maybe_unused]] const auto written = ::write(over_, &ends, sizeof ends);
    thread_.join();
    ::close(over_);
    ::close(signals_);
}

void start_guard::change(limits limits) {
    const std::scoped_lock lock(mutex_);
    limits_ = std::move(limits);
}

start_guard::limits start_guard::now() const {
    const std::scoped_lock lock(mutex_);
    return limits_;
}

/// What it looks at it does not read: the signal is main's.
void start_guard::run() {
    pollfd watched[] = {{signals_, POLLIN, 0}, {over_, POLLIN, 0}};
    while (::poll(watched, 2, -1) <= 0) {}
    if ((watched[1].revents & POLLIN) != 0) return;
    const auto heard = now();
    heard_(heard.budget);
    const auto end = clock::now() + heard.budget;
    if (is_ready(over_, heard.budget)) return;
    if (clock::now() - end > frozen_after && is_ready(over_, after_freeze)) return;
    now().say(what_.load(std::memory_order_relaxed));
    ::_exit(code);
}

}  // namespace lifecycle
