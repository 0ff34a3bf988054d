#include "cmd/service/systemd/service_manager.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <system_error>
#include <utility>

#include "cmd/service/systemd/listen_fds.hpp"
#include "configs/values.hpp"
#include "lifecycle/lines.hpp"

namespace {

using lifecycle::clock;
using lifecycle::stop_phase;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds until_ready{10}, period{100};
constexpr milliseconds extend_every{1'000}, extension{5'000};

microseconds watchdog_time() {
    const auto meant_for = systemd::text_of("WATCHDOG_PID");
    if (!meant_for.empty() && meant_for != std::to_string(::getpid())) return {};
    return microseconds(configs::parse_number(systemd::text_of("WATCHDOG_USEC")).value_or(0));
}

void say_unheard(spdlog::logger& log, int why) {
    lifecycle::lines(log).warn("NOTIFY_SOCKET = \"{path}\": systemd hears nothing of this process: {error}",
                               systemd::text_of("NOTIFY_SOCKET"), std::generic_category().message(why));
}

/// What the thread looks at, and what it has said so far.
class watch_keeper {
public:
    watch_keeper(const systemd::notify_socket& notify, microseconds watchdog, const server::http_server& app,
                 const server::http_server& debug, const tracker::event_tracker& events,
                 const lifecycle::stop_channel& stop, spdlog::logger& log, std::function<void()> log_stacks)
        : notify_(notify),
          watchdog_(watchdog),
          app_(app),
          debug_(debug),
          events_(events),
          stop_(stop),
          log_(log),
          log_stacks_(std::move(log_stacks)) {}

    void run(std::stop_token token) {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        for (;;) {
            const bool last = token.stop_requested();  // a stop may be over before it was seen
            look(clock::now());
            if (last) return;
            never.wait_for(lock, token, ready_said_ ? period : until_ready, [] { return false; });
        }
    }

private:
    void look(clock::time_point now) {
        const auto status = stop_.now();
        if (status.cause == "upgrade") return;            // another process is the service now, and speaks for it
        if (follows_ && !stop_.has_been_ready()) return;  // ... and still is; this one's end is not that of the service
        if (!ready_said_ && stop_.has_been_ready()) ready_said_ = notify_.tell("READY=1");
        // systemd begins to count its own time at this word, so not while the stop can still be left.
        const bool for_good =
            status.phase > stop_phase::lame_duck || (status.phase == stop_phase::lame_duck && status.cause != "debug");
        if (!stopping_said_ && for_good) stopping_said_ = notify_.tell("STOPPING=1");
        say_status(status);
        if (watchdog_ > microseconds(0)) feed(now);
        if (for_good) extend(status, now);
        if (const int why = notify_.fault(); why != 0 && !fault_said_) {
            fault_said_ = true;
            say_unheard(log_, why);
        }
    }

    void say_status(const lifecycle::stop_channel::status& status) {
        auto text = fmt::format("STATUS={}", lifecycle::to_string(status.phase));
        if (status.phase == stop_phase::serving)
            text += fmt::format(" on {}, debug on {}", app_.address(), debug_.address());
        if (status.phase == stop_phase::stopping && !status.phases.empty()) text += ' ' + status.phases.back().name;
        if (text != status_said_ && notify_.tell(text)) status_said_ = std::move(text);
    }

    /// Four times in its time, as long as nothing has stood still for half of it.
    void feed(clock::time_point now) {
        const auto account = events_.account();
        const auto settled = settled_of(account);
        // A sink that fails is tried again and again: that is no standstill.
        if (account.queued == 0 || settled != settled_ || !events_.healthy()) events_moved_ = now;
        settled_ = settled;
        if (now < feed_at_) return;
        const auto patience = std::chrono::duration_cast<milliseconds>(watchdog_ / 2);
        const auto events = std::chrono::duration_cast<milliseconds>(now - events_moved_);
        const auto still = std::max({app_.longest_stall(), debug_.longest_stall(), events});
        if (still < patience && notify_.tell("WATCHDOG=1")) feed_at_ = now + watchdog_ / 4;
        if (still >= patience && !hungry_) {
            lifecycle::lines(log_).error(
                "systemd's watchdog is not fed: app {app_ms} ms, debug {debug_ms} ms, tracker {tracker_ms} ms without "
                "a move",
                app_.longest_stall().count(), debug_.longest_stall().count(), events.count());
            log_stacks_();
        }
        hungry_ = still >= patience;
    }

    /// More time than systemd gives, up to the budget, but only for a stop in which something has come to its end
    /// since the last time.
    void extend(const lifecycle::stop_channel::status& status, clock::time_point now) {
        if (now < extend_at_) return;
        extend_at_ = now + extend_every;
        server::stop_account so_far;
        app_.account(so_far);
        const auto ended = so_far.connections.closed_idle + so_far.connections.finished + so_far.requests.finished +
                           settled_of(events_.account()) + status.phases.size();
        const bool moved = std::exchange(ended_, ended) != ended || status.phase == stop_phase::lame_duck;
        const auto more = std::min(extension, status.left + extend_every);
        if (moved) notify_.tell(fmt::format("EXTEND_TIMEOUT_USEC={}", microseconds(more).count()));
    }

    static std::uint64_t settled_of(const tracker::account& account) {
        std::uint64_t settled = account.delivered + account.spooled;
        for (const auto& [reason, count] : account.dropped) settled += count;
        return settled;
    }

    const systemd::notify_socket& notify_;
    const microseconds watchdog_;
    const server::http_server& app_;
    const server::http_server& debug_;
    const tracker::event_tracker& events_;
    const lifecycle::stop_channel& stop_;
    spdlog::logger& log_;
    const std::function<void()> log_stacks_;
    const bool follows_ = !systemd::text_of("UPGRADE_READY_FD").empty();  // upgrade::ready_variable
    bool fault_said_ = false;
    bool ready_said_ = false;
    bool stopping_said_ = false;
    std::string status_said_;
    bool hungry_ = false;
    std::uint64_t settled_ = 0;
    std::uint64_t ended_ = 0;
    clock::time_point events_moved_ = clock::now();
    clock::time_point feed_at_{};
    clock::time_point extend_at_{};
};

}  // namespace

service_manager::service_manager()
    : notify_(systemd::text_of("NOTIFY_SOCKET")),
      watchdog_(watchdog_time()),
      sockets_(systemd::listen_fds(configs::environment_of(environ), {"app", "debug"})) {}

server::options service_manager::inherit(const std::string& name, server::options own) const {
    if (const auto found = sockets_.find(name); found != sockets_.end()) own.inherited = found->second;
    return own;
}

std::jthread service_manager::watch(const server::http_server& app, const server::http_server& debug,
                                    const tracker::event_tracker& events, const lifecycle::stop_channel& stop,
                                    lifecycle::workers& workers, spdlog::logger& log,
                                    std::function<void()> log_stacks) const {
    if (!notify_.heard()) {
        if (notify_.fault() != 0) say_unheard(log, notify_.fault());
        return {};
    }
    return workers.start(
        "debug-systemd", "worker", [&, this, log_stacks = std::move(log_stacks)](std::stop_token token) {
            watch_keeper(notify_, watchdog_, app, debug, events, stop, log, log_stacks).run(std::move(token));
        });
}

service_manager::reload_note::reload_note(const systemd::notify_socket& socket) : socket_(socket) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto since_boot = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
    socket_.insist(
        fmt::format("RELOADING=1\nMONOTONIC_USEC={}", std::chrono::duration_cast<microseconds>(since_boot).count()));
}

service_manager::reload_note::~reload_note() { socket_.insist("READY=1"); }
