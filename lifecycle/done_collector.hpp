#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/signals.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"

namespace lifecycle {

/// Exit codes; if several apply, the highest.
enum exit_code : int { clean = 0, could_not_start = 1, part_failed = 2, forced = 3, unbalanced = 4 };

/// Runs the parts of a process and collects how they ended.
///
/// A part is a blocking function on a thread of its own, which returns when its token asks it to.
/// The first part to end, well or badly, ends the others, in the reverse order of their start. Every
/// error is kept. A part that is not home when the budget ends is never waited for: the report names
/// it and the process leaves by `_Exit`, so that nothing is destroyed under a living thread.
///
/// Only on main's thread. Must be destroyed after `wait` has returned, before what the parts use.
class done_collector {
public:
    /// What main adds to the wait. All are called on main's thread; what they throw is a line in the log.
    struct hooks {
        std::function<void()> ready = {};                    ///< once, when the service first answers
        std::function<void(shutdown_report&)> account = {};  ///< fills in what only the parts know; they may still run
        std::function<void()> reload = {};                   ///< SIGHUP, on a worker of its own
        std::function<void()> upgrade = {};                  ///< SIGUSR2, the same: one of both at a time
        std::function<void()> stacks = {};                   ///< SIGQUIT
        /// The stack of a thread in one line; empty when it does not answer within the limit.
        std::function<std::string(pid_t, std::chrono::milliseconds limit)> where = {};
        /// After each change of phase or of the part that stops; and once with the report as it is written.
        std::function<void(const stop_channel::status&)> progress = {};
        std::function<void(const shutdown_report&)> ended = {};
    };

    done_collector(stop_channel& stop, signals& signals, workers& workers, spdlog::logger& log);
    ~done_collector();

    /// Starts a part. `reserved` is the share of the budget that parts which stop earlier cannot use.
    void start(std::string name, std::function<void(std::stop_token)> run,
               std::chrono::milliseconds reserved = std::chrono::milliseconds{0});

    /// Blocks until every part has ended, or the budget has: signals, ends of parts, the second
    /// signal and the deadline are all waited for in one place. Writes the report; returns the exit code.
    int wait(const hooks& hooks);

private:
    struct part;

    template <class Hook, class... Arguments>
    void call(const char* name, const Hook& hook, Arguments&&... arguments) const;
    void on_death(const std::string& name, const char* why) const noexcept;
    void on_signal(const hooks& hooks);
    void obey(const stop_sequence::actions& actions, const hooks& hooks);
    void name_stragglers(const hooks& hooks, const char* when) const;
    void start_aside(const char* signal, const char* name, const std::function<void()>& hook);
    void poll_once();
    int conclude(const hooks& hooks, bool over);
    std::vector<shutdown_report::straggler> stragglers(const hooks& hooks, bool only_asked) const;

    stop_channel& stop_;
    signals& signals_;
    workers& workers_;
    spdlog::logger& log_;
    report_file report_;
    std::chrono::system_clock::time_point stop_began_;
    bool announced_ready_ = false;
    clock::time_point announced_stop_{};  ///< when it began
    bool announced_force_ = false;
    stop_phase told_phase_ = stop_phase::starting;
    std::size_t told_records_ = 0;
    std::atomic<const char*> under_way_{nullptr};  ///< aside of main's thread
    std::jthread aside_;
    std::vector<std::unique_ptr<part>> parts_;
};

}  // namespace lifecycle
