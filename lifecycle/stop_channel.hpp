#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/stop_sequence.hpp"

namespace lifecycle {

class stop_channel;

/// One of the things that a process does side by side, as it takes part in the stop: see stop_channel::add_part. A
/// handle, for what runs the part and for done_collector; copies are the same part. Safe from any thread, for as long
/// as the stop channel lives; nothing here waits for anything.
class part {
public:
    const std::string& name() const noexcept { return *name_; }
    bool serves_clients() const noexcept { return serves_; }
    const stop_channel& channel() const noexcept { return *stop_; }

    /// When it must begin to give up, so that there is time to say so; max() while there is no stop. Cheap enough for
    /// the tick of a loop. The part itself can be given where a function is asked for that says so.
    clock::time_point deadline() const;
    clock::time_point operator()() const { return deadline(); }

    /// It does what it is for: of a part that serves clients, or was added with `until_up`, readiness waits for this.
    /// Idempotent.
    void up() const;

    /// How many turns the slowest of its loops has made: a lame duck is as long as they live. Before the parts run;
    /// `turns` is called on main's thread until done_collector::wait has returned.
    void count_turns_with(std::function<std::uint64_t()> turns) const;

private:
    friend class stop_channel;
    friend class part_threads;
    part(stop_channel& stop, std::size_t index, const std::string& name, bool serves)
        : stop_(&stop), index_(index), name_(&name), serves_(serves) {}

    stop_channel* stop_;
    std::size_t index_;
    const std::string* name_;
    bool serves_;
};

/// The one object that knows that a stop has begun, why, and how much time is left; it owns the lame
/// duck, which comes before any part is asked to stop, so that it can be left again.
///
/// main owns it; it outlives all parts. Safe from any thread; nothing here waits for anything.
class stop_channel {
public:
    /// When something must begin to give up; max() while there is no stop. A part is one.
    using deadline_function = std::function<clock::time_point()>;

    struct status {
        stop_phase phase;
        std::string cause;
        bool forced;
        clock::time_point began;            ///< of the last stop
        std::chrono::milliseconds left;     ///< of the budget; the whole of it while there is no stop
        std::chrono::milliseconds elapsed;  ///< since the stop began, without what it was frozen
        std::chrono::milliseconds frozen;   ///< in this stop, about
        std::vector<stop_sequence::phase_record> phases;
        std::vector<std::string> running;
    };

    /// Throws std::system_error when the kernel has no descriptor for it.
    explicit stop_channel(const shutdown_options& options);
    ~stop_channel();
    stop_channel(const stop_channel&) = delete;
    stop_channel& operator=(const stop_channel&) = delete;

    /// A part of this process. They start in the order in which they are added and stop in the reverse order, in shares
    /// of one budget: see share.hpp, and stop_sequence. With `until_up` the process is not ready before the part has
    /// said that it is up; should it end before, or not be up in time, the start has failed (exit code 1).
    ///
    /// All are added before done_collector::wait. One that comes later is a bug: a debug build ends here, another one
    /// stops with a line and exit code 1, and the part is never run.
    part add_part(std::string name, share own, readiness when = at_once);

    /// Every part that is waited for is up, and no stop has begun.
    bool is_ready() const noexcept { return phase() == stop_phase::serving; }

    bool has_been_ready() const noexcept { return has_been_ready_.load(std::memory_order_acquire); }

    /// True from the first moment of a stop; one load.
    bool stopping() const noexcept { return phase() >= stop_phase::lame_duck; }
    /// Which stop of this process is under way, from 1; 0 while there is none. Tells a stop from the one before, which
    /// was withdrawn, also for callers that did not look in between. One load.
    std::uint64_t nth_stop() const noexcept { return nth_stop_.load(std::memory_order_acquire); }
    stop_phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }

    /// Begins a stop; the first cause stays. Idempotent. `within`: it, or the one that is under way, is to be over by
    /// then; see stop_sequence::shorten.
    void request(std::string cause, std::optional<std::chrono::milliseconds> within = {});
    /// A stop by signal; one that comes `stop_sequence::one_order` or more after the first forces.
    void signal(std::string cause);
    /// A thread of that name has failed at what it is for: the stop begins, and liveness is 503. Throws std::bad_alloc
    /// after it has become so; to be called again.
    void fail(const std::string& name);
    bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
    /// What failed first has kept the process from starting, or is a mistake in its parts: exit code 1.
    bool failed_before_ready() const noexcept { return failed_before_ready_.load(std::memory_order_relaxed); }
    /// Leaves a lame duck that a request began; false when that is no longer possible.
    bool withdraw();

    status now() const;

    /// Every part has been added and runs: from now on readiness is theirs to say. By done_collector::wait.
    void complete();

    const shutdown_options& options() const noexcept { return options_; }

private:
    friend class done_collector;
    friend class part_threads;
    friend class part;
    static constexpr std::size_t no_part = std::size_t(-1);
    clock::time_point deadline(std::size_t part) const;
    void up(std::size_t part);
    /// A mistake in the program, of which that part is the example: a failed start, also after readiness.
    void misused(const std::string& name);
    /// From here on a part is added too late. The names of those that have been added by now, in their order.
    std::vector<std::string> close();
    void part_ended(std::size_t part);
    const stop_sequence::events& step();
    clock::time_point next_step() const;
    int event() const noexcept { return event_; }  ///< readable: something has happened
    void wake() const noexcept;
    void show(stop_phase phase) noexcept;
    void publish();
    /// Main has looked at the stacks of others, and has lived: the time that it took was no freeze.
    void alive();
    void notice_freeze(clock::time_point now) const;

    const shutdown_options options_;
    int event_;
    mutable std::mutex mutex_;
    mutable stop_sequence sequence_;                 ///< any caller may be the first to notice a freeze
    mutable clock::time_point last_sign_of_life_{};  ///< of any thread, in a stop
    std::deque<std::string> names_;                  ///< which handles point to
    bool complete_ = false;                          ///< every part has been added
    std::vector<std::function<std::uint64_t()>> turns_;
    std::atomic<stop_phase> phase_{stop_phase::starting};
    std::atomic<std::uint64_t> nth_stop_{0};
    std::uint64_t stops_ = 0;  ///< that have begun
    std::atomic<bool> has_been_ready_{false};
    std::atomic<bool> failed_{false};
    std::atomic<bool> failed_before_ready_{false};
};

}  // namespace lifecycle
