#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "lifecycle/stop_sequence.hpp"

namespace lifecycle {

/// The one object that knows that a stop has begun, why, and how much time is left; it owns the lame
/// duck, which comes before any part is asked to stop, so that it can be left again.
///
/// main owns it; it outlives all parts. Safe from any thread; nothing here waits for anything.
class stop_channel {
public:
    /// Must be home by then; max() while nobody stops. Cheap enough for a loop's tick.
    using deadline_function = std::function<clock::time_point()>;

    struct status {
        stop_phase phase;
        std::string cause;
        bool forced;
        clock::time_point began;            ///< of the last stop
        std::chrono::milliseconds left;     ///< of the budget; the whole of it while nobody stops
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

    /// The service answers: readiness is 200 from now on, unless a stop has begun.
    void ready();
    bool is_ready() const noexcept { return phase() == stop_phase::serving; }

    bool has_been_ready() const noexcept { return has_been_ready_.load(std::memory_order_acquire); }

    /// True from the first moment of a stop; one load.
    bool stopping() const noexcept { return phase() >= stop_phase::lame_duck; }
    stop_phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }

    /// Begins a stop; the first cause stays. Idempotent.
    void request(std::string cause);
    /// A stop by signal; one that comes `stop_sequence::one_order` or more after the first forces.
    void signal(std::string cause);
    /// A thread of that name has failed at what it is for: the stop begins, and liveness is 503. Throws std::bad_alloc
    /// after it has become so; to be called again.
    void fail(const std::string& name);
    bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
    /// Leaves a lame duck that a request began; false when that cannot be any more.
    bool withdraw();

    status now() const;
    /// Of a part that has been started; of another always max().
    deadline_function deadline_of(std::string part) const;

    /// How many turns the slowest loop has made; set before the parts start. Without one, time alone counts.
    void count_turns_with(std::function<std::uint64_t()> turns);

    const shutdown_options& options() const noexcept { return options_; }

private:
    friend class done_collector;
    std::size_t add_part(std::string name, std::chrono::milliseconds reserved);
    void part_ended(std::size_t part);
    bool failed_before_ready() const noexcept { return failed_before_ready_.load(std::memory_order_relaxed); }
    stop_sequence::actions step();
    clock::time_point next_step() const;
    int event() const noexcept { return event_; }  ///< readable: something has happened
    void wake() const noexcept;
    void publish();
    /// Main is about to wait, and until now it has lived: whatever held it up was no freeze.
    void alive();
    void notice_freeze(clock::time_point now) const;

    const shutdown_options options_;
    int event_;
    mutable std::mutex mutex_;
    mutable stop_sequence sequence_;                 ///< whoever looks may be the first to see that there was a freeze
    mutable clock::time_point last_sign_of_life_{};  ///< of any thread, in a stop
    std::vector<std::string> names_;
    std::function<std::uint64_t()> turns_;
    std::atomic<stop_phase> phase_{stop_phase::starting};
    std::atomic<bool> has_been_ready_{false};
    std::atomic<bool> failed_{false};
    std::atomic<bool> failed_before_ready_{false};
};

}  // namespace lifecycle
