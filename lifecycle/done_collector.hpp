#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <initializer_list>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "lifecycle/aside.hpp"
#include "lifecycle/conclusion.hpp"
#include "lifecycle/note_file.hpp"
#include "lifecycle/part_threads.hpp"
#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/signals.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"

namespace lifecycle {

/// From the end of the budget to the kernel's `_exit`: time for the stacks of what hangs and the report.
inline constexpr std::chrono::milliseconds report_share{90};

/// Main's wait: for signals, the ends of parts and the next time when a decision of the stop is due, until the exit.
///
/// The parts run on threads of their own (part_threads); when they have ended, or the budget has, the exit code is made
/// of what they leave (conclusion). A part that has not returned by then is not waited for: the report names it and the
/// process ends by `_Exit`, so that nothing is destroyed under a living thread.
///
/// Main's thread does nothing here that can block, so that a signal is heard whatever hangs.
///
/// Only on main's thread. Must be destroyed after `wait` has returned, before what the parts use.
class done_collector {
public:
    /// What main adds to the wait; what they throw is a line in the log. `ready`, `account` and `where` are called on
    /// main's thread and must not block. The others run beside it, each on a worker of its own, and may hang. If
    /// requests come faster than they can be done, only the newest is done; at the end they are waited for within
    /// the budget.
    struct hooks {
        std::function<void()> ready = {};                    ///< once, when the service first answers
        std::function<void(shutdown_report&)> account = {};  ///< fills in what only the parts know; they may still run
        std::function<void()> reload = {};                   ///< SIGHUP; during a reload: another one, after it
        std::function<void()> upgrade = {};                  ///< SIGUSR2; not during a reload or an upgrade
        std::function<void()> stacks = {};                   ///< SIGQUIT
        /// The stack of a thread in one line; empty when it does not answer within the limit.
        std::function<std::string(pid_t, std::chrono::milliseconds limit)> where = {};
        /// True when the service answers, also when it does so again; false when a stop begins.
        std::function<void(bool answers)> announce = {};
        /// After each change of phase or of the part that stops; then once with the report, on the same worker.
        std::function<void(const stop_channel::status&)> progress = {};
        std::function<void(const shutdown_report&)> ended = {};
    };

    /// Ends what `signals` guards: from here on threads are started, and soon `wait` hears the signals.
    done_collector(stop_channel& stop, signals& signals, workers& workers, spdlog::logger& log);
    ~done_collector();

    /// Runs a part on a thread of its own, until its token asks it to end. Parts run in the order in which they were
    /// added. To run a part twice, or never, is a bug: a debug build ends, any other build exits with code 1.
    void run(const part& part, std::function<void(std::stop_token)> body) { parts_.run(part, std::move(body)); }

    /// Blocks until every part has ended, or the budget has: signals, ends of parts, the second
    /// signal and the deadline are all waited for in one place. Writes the report; returns the exit code.
    int wait(const hooks& hooks);

private:
    template <class Hook, class... Arguments>
    void call(const char* name, const Hook& hook, Arguments&&... arguments) const;
    void on_death(const std::string& name, const char* why) const noexcept;
    void on_signal(const hooks& hooks);
    std::optional<bool> step(const hooks& hooks);
    void obey(const stop_sequence::event& event, const hooks& hooks);
    void stop_begins(const std::string& cause, const hooks& hooks);
    void tell_of_freeze(std::chrono::milliseconds gap);
    void announce(bool answers, const hooks& hooks);
    void name_stragglers(const hooks& hooks, const char* when) const;
    void on_reload(const char* signal, const hooks& hooks);
    void on_upgrade(const char* signal, const hooks& hooks);
    void poll_once(clock::time_point next);
    bool settled(std::initializer_list<const aside*> all, clock::time_point least, clock::time_point most,
                 const hooks& hooks);
    int conclude(const hooks& hooks, bool over);
    bool write_down(shutdown_report& report, bool leave, clock::time_point least, const hooks& hooks);
    void write_report(const std::string& json, note_file::durability how);
    void join_idle();
    ends ends_so_far() const;
    template <class IsLate>
    std::vector<shutdown_report::straggler> stragglers(const hooks& hooks, std::chrono::milliseconds share,
                                                       const IsLate& is_late) const;

    stop_channel& stop_;
    signals& signals_;
    workers& workers_;
    spdlog::logger& log_;
    note_file report_;          ///< only on the worker of note_report_, and so the next
    std::string report_fault_;  ///< the last fault that was logged about it
    std::chrono::system_clock::time_point stop_began_;
    aside reload_, upgrade_, stacks_, note_ready_, note_progress_, note_report_;
    part_threads parts_;
};

}  // namespace lifecycle
