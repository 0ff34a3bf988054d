// The next process of an upgrade in place, in place of that of cmd/service/upgrade: a simulated process cannot fork.
// What that does with the word of its successor, and what it promises, is the same.

#include "cmd/service/upgrade/successor.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "tests/simulator/calls.hpp"

namespace upgrade {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

successor::successor(const std::string&, std::vector<std::string>, int app, int debug, const std::string&) {
    const simulator::inside on;
    on->call();
    const auto ends = std::make_shared<simulator::pipe_end::shared>();
    const auto reader = std::make_shared<simulator::pipe_end>(ends, true);
    ends->reader = reader;
    auto& self = on->self();
    ready_ = self.open(reader);
    const std::vector<simulator::description_ptr> given{self.find(app), self.find(debug),
                                                        std::make_shared<simulator::pipe_end>(ends, false)};
    // A stop may have closed a listener meanwhile, of which there is no copy then.
    const bool are_open = std::ranges::count(given, nullptr) == 0;
    auto* const next = on->spawn && are_open ? on->spawn(given) : nullptr;
    if (next == nullptr) {
        self.close(ready_);
        throw std::system_error(EAGAIN, std::generic_category(), "fork");
    }
    pid_ = next->number;
}

successor::~successor() { ::close(ready_); }

void successor::tell(int signal) const noexcept { ::kill(pid_, signal); }

void successor::let_go() noexcept {}

void successor::wait_until_ready(milliseconds limit, const std::function<bool()>& unwanted) {
    constexpr int look_ms = 20;
    const auto until = clock::now() + limit;
    pollfd word{ready_, POLLIN, 0};
    while (::poll(&word, 1, look_ms) <= 0) {
        if (!unwanted() && clock::now() < until) continue;
        tell(SIGTERM);
        throw std::runtime_error(unwanted() ? "a stop has begun" : dismiss(unwanted));
    }
    char said = 0;
    if (::read(ready_, &said, 1) == 1) return;
    throw std::runtime_error(fmt::format("process {} ended before it was ready", pid_));
}

std::string successor::dismiss(const std::function<bool()>&) { return fmt::format("process {} was late", pid_); }

}  // namespace upgrade
