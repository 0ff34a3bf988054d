#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/options.hpp"

namespace lifecycle {

enum class stop_phase : std::uint8_t {
    starting,   ///< not ready yet
    serving,    ///< ready
    lame_duck,  ///< readiness is 503, everything is still served; can be left again if a POST began it
    stopping,   ///< the parts are asked to end, one after the other
    stopped     ///< all are home, or the budget is over
};

std::string_view to_string(stop_phase phase) noexcept;

/// The share of the last part and of the report: a fiftieth of the budget, 100 ms at most.
std::chrono::milliseconds last_share(const shutdown_options& options);

/// The decisions of a stop, without clock, thread or I/O: who is asked to end, when, and when it is
/// over. Every member takes the time; `step` says what to do now.
///
///     starting ─ready─▶ serving ─begin─▶ lame_duck ─lived─▶ stopping ─all ended | budget over─▶ stopped
///                          ▲────withdraw────┘
///
/// One budget is shared out: a part may use what is left less what is reserved for the parts that
/// stop after it; what it does not use flows on. Parts stop in the reverse order of their start.
class stop_sequence {
public:
    using time_point = clock::time_point;
    using duration = std::chrono::milliseconds;

    /// What the report says of a phase.
    struct phase_record {
        std::string name;
        duration allowed;
        duration used;
    };

    /// What the owner has to do after a step.
    struct actions {
        std::vector<std::size_t> stop;  ///< ask these parts to end
        bool warn = false;              ///< 80 % of the budget is used: name who is still there
        bool finished = false;          ///< every part has ended
        bool over = false;              ///< the budget is used up and someone is still there
    };

    explicit stop_sequence(const shutdown_options& options) : options_(options) {}

    /// A part that has been started. `reserved` is the share that only it and those before it may use.
    std::size_t add_part(std::string name, duration reserved);

    void ready() noexcept;

    /// Begins the stop; the first cause stays. A signal that comes `one_order` or more after the first one
    /// forces: everything ends within a second. What comes sooner is the same order: a wrapper (timeout(1),
    /// npm, a shell's trap) passes on what the terminal has sent to the whole group already.
    void begin(std::string cause, time_point now);
    void signal(std::string cause, time_point now);
    static constexpr duration one_order{250};

    /// Something has failed that serves: a stop that nobody takes back.
    void fail(std::string cause, time_point now);

    /// Back to serving; only from a lame duck that no signal and no ended part has asked for.
    bool withdraw();

    void part_ended(std::size_t part, time_point now);

    /// No thread of the process has run for about so long, until now (SIGSTOP, the cgroup freezer): that time was not
    /// lived, and what is due moves by it; the end to at most `most_after_freeze` beyond itself or, if the freeze has
    /// outlasted it, beyond now.
    void frozen(duration gap, time_point now);
    static constexpr duration most_after_freeze{2'000};

    /// `turns` is the number of turns that the slowest loop has made; see `lame_duck` in options.
    actions step(time_point now, std::uint64_t turns);

    /// When `step` wants to be called next, if nothing happens before; max(): not at all.
    time_point next_step(time_point now) const;

    stop_phase phase() const noexcept { return phase_; }
    bool stopping() const noexcept { return phase_ >= stop_phase::lame_duck; }
    bool forced() const noexcept { return forced_at_.has_value(); }
    const std::string& cause() const noexcept { return cause_; }
    time_point began() const noexcept { return began_; }
    time_point end() const noexcept { return end_; }
    duration frozen() const noexcept { return frozen_; }  ///< of this stop, as `frozen` was told

    /// When a part must have ended; max() while nobody stops. Some time before that, `deadline` says
    /// when it must begin to give up, so that there is time to say so to its clients.
    time_point patience(std::size_t part) const;
    time_point deadline(std::size_t part) const;

    /// The phases so far, the running one with the time it has used.
    std::vector<phase_record> phases(time_point now) const;
    std::vector<std::string> running() const;
    bool asked(std::size_t part) const { return parts_[part].asked; }

private:
    struct part {
        std::string name;
        duration reserved{};
        bool ended = false;
        bool asked = false;
    };

    void force(time_point now);
    bool lame_duck_over(time_point now, std::uint64_t turns);
    time_point latest_lame_duck() const;
    time_point warn_at() const;
    duration tick() const;
    void enter(std::string phase_name, time_point now, time_point until);
    void close_record(time_point now);

    shutdown_options options_;
    std::vector<part> parts_;
    stop_phase phase_ = stop_phase::starting;
    stop_phase before_lame_duck_ = stop_phase::starting;
    std::string cause_;
    bool withdrawable_ = false;
    std::optional<time_point> first_signal_;
    bool warned_ = false;
    time_point began_{};
    time_point end_ = time_point::max();
    duration frozen_{0};
    duration moved_{0};  ///< by so much later than the budget says, for the freezes
    std::optional<time_point> forced_at_;

    std::size_t current_ = 0;  ///< parts_[current_ - 1] is the one that stops now

    time_point last_tick_{};
    std::optional<std::uint64_t> last_turns_;  ///< none before the first step of a lame duck
    duration lived_{0};                        ///< time in which every loop has turned
    duration own_lived_{0};                    ///< time in which at least the caller has

    std::vector<phase_record> records_;
    time_point record_began_{};
};

}  // namespace lifecycle
