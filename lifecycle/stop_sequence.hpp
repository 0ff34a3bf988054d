#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/options.hpp"
#include "lifecycle/share.hpp"
#include "lifecycle/stop_order.hpp"

namespace lifecycle {

enum class stop_phase : std::uint8_t {
    starting,   ///< not ready yet
    serving,    ///< ready
    lame_duck,  ///< readiness is 503, everything is still served; can be left again if a POST began it
    stopping,   ///< the parts are asked to end, one after the other
    stopped     ///< all have ended, or the budget is over
};

std::string_view to_string(stop_phase phase) noexcept;

/// The decisions of a stop, without clock, thread or I/O: when the process is ready, which parts are asked to end and
/// when, and when the stop is over. Every member takes the time; `step` says what has happened and what to do now.
///
///     starting ─all up─▶ serving ─begin─▶ lame_duck ─lived─▶ stopping ─all ended | budget over─▶ stopped
///                           ▲────withdraw────┘
///
/// One budget is shared out: a part may use what is left less what is reserved for the parts that
/// stop after it; what it does not use flows on. Parts stop in the reverse order of their start, except that all those
/// that serve clients stop together, when it is the turn of the one that was started last.
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

    /// What has happened since the last step, in its order, for the owner to act on. Each is told once.
    enum class happening : std::uint8_t {
        ready,      ///< every part is up, and no stop has begun; again only as `withdrawn`
        not_up,     ///< readiness has waited for this part as long as it was to
        began,      ///< a stop has
        withdrawn,  ///< it was taken back
        frozen,     ///< for `gap`, which does not count
        shortened,  ///< it is to be over sooner; see `end`
        forced,     ///< everything ends within a second
        warn,       ///< 80 % of the budget is used: name what is still running
        entered,    ///< the phase of this part
        ask,        ///< this part to end
        finished,   ///< every part has ended
        over        ///< the budget is used up and something is still running
    };
    struct event {
        happening what;
        std::size_t part = 0;  ///< of `not_up`, `entered` and `ask`
        duration gap{0};       ///< of `frozen`
        std::string cause{};   ///< of `began`; that stop may have been withdrawn since
    };
    using events = std::vector<event>;

    explicit stop_sequence(const shutdown_options& options);

    /// A part of the process, in the order of their start. See share.hpp.
    std::size_t add_part(std::string name, share own, readiness when = at_once);

    /// Every part has been added and runs: from now on the process is ready as soon as all that are waited for are up.
    void complete(time_point now);
    /// The part does what it is for. Idempotent; before `complete` too.
    void up(std::size_t part);

    /// Begins the stop; the first cause stays. A signal that comes `one_order` or more after the first one
    /// forces: everything ends within a second. What comes sooner is the same order: a wrapper (timeout(1),
    /// npm, a shell's trap) passes on what the terminal has sent to the whole group already.
    void begin(std::string cause, time_point now);
    void signal(std::string cause, time_point now);
    static constexpr duration one_order{250};

    /// A stop, begun or not, is to be over within `budget` from now, if that is sooner than it would be: the caller
    /// knows that SIGKILL will come early (`kubectl delete --grace-period`, a node that is being shut down). The lame
    /// duck and the shares of all parts become shorter in proportion.
    void shorten(duration budget, time_point now);

    /// Something that serves has failed: this stop cannot be withdrawn.
    void fail(std::string cause, time_point now);

    /// Back to serving; only from a lame duck that no signal and no ended part has asked for.
    bool withdraw();

    /// True: it was not asked to, which begins the stop.
    bool part_ended(std::size_t part, time_point now);

    /// No thread of the process has run for about this long, until now (SIGSTOP, the cgroup freezer): that time was not
    /// lived, and what is due moves by it; the end to at most `most_after_freeze` beyond itself or, if the freeze has
    /// outlasted it, beyond now.
    void frozen(duration gap, time_point now);
    static constexpr duration most_after_freeze{2'000};

    /// `turns` is the number of turns that the slowest loop has made; see `lame_duck` in options. What it returns is
    /// valid until the next step.
    const events& step(time_point now, std::uint64_t turns);

    /// When `step` wants to be called next, if nothing happens before; max(): not at all.
    time_point next_step(time_point now) const;

    stop_phase phase() const noexcept { return phase_; }
    bool stopping() const noexcept { return phase_ >= stop_phase::lame_duck; }
    bool forced() const noexcept { return forced_at_.has_value(); }
    const std::string& cause() const noexcept { return cause_; }
    time_point began() const noexcept { return began_; }
    time_point end() const noexcept { return end_; }
    duration frozen() const noexcept { return frozen_; }  ///< of this stop, as `frozen` was told

    /// When a part must have ended; max() while there is no stop. Some time before that, `deadline` says when it must
    /// begin to give up, so that there is time to say so to its clients.
    time_point patience(std::size_t part) const;
    time_point deadline(std::size_t part) const;

    /// The phases so far, the running one with the time it has used.
    std::vector<phase_record> phases(time_point now) const;
    std::vector<std::string> running() const { return order_.running(); }

private:
    void become_ready_if_up();
    void advance(time_point now);
    void force(time_point now);
    bool lame_duck_over(time_point now, std::uint64_t turns);
    time_point warn_at() const;
    void enter(std::string phase_name, time_point now, time_point until);

    shutdown_options options_;
    duration budget_;  ///< of this stop; see `shorten`
    stop_order order_;
    stop_phase phase_ = stop_phase::starting;
    stop_phase before_lame_duck_ = stop_phase::starting;
    std::string cause_;
    bool withdrawable_ = false;
    bool has_been_ready_ = false;
    std::optional<time_point> complete_since_;
    std::optional<time_point> first_signal_;
    bool warned_ = false;
    time_point began_{};
    time_point end_ = time_point::max();
    duration frozen_{0};
    duration moved_{0};  ///< by this much later than the budget says, for the freezes
    std::optional<time_point> forced_at_;

    std::size_t current_ = 0;  ///< the turn of part current_ - 1 is now
    events waiting_, told_;    ///< have room from the start, so that a stop begins without memory

    time_point last_tick_{};
    std::optional<std::uint64_t> last_turns_;  ///< none before the first step of a lame duck
    duration lived_{0};                        ///< time in which every loop has turned
    duration own_lived_{0};                    ///< time in which at least the caller has

    std::vector<phase_record> records_;
    time_point record_began_{};
};

}  // namespace lifecycle
