#pragma once

#include <gtest/gtest.h>

#include "lifecycle/stop_sequence.hpp"

namespace fakes {

using namespace std::chrono_literals;
using lifecycle::shutdown_options;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using time_point = stop_sequence::time_point;

inline constexpr std::size_t debug = 0, tracker = 1, app = 2;

inline lifecycle::shutdown_options settings(milliseconds budget, milliseconds lame_duck = 0ms) {
    lifecycle::shutdown_options options;
    options.budget = budget;
    options.lame_duck = lame_duck;
    options.idle_grace = 1s;
    return options;
}

/// What the owner of a sequence has to do after a step.
struct actions {
    std::vector<std::size_t> stop;  ///< ask these parts to end
    bool warn = false, finished = false, over = false;
};

inline actions actions_of(const stop_sequence::events& events) {
    using enum stop_sequence::happening;
    actions all;
    for (const auto& event : events) {
        if (event.what == ask) all.stop.push_back(event.part);
        all.warn = all.warn || event.what == warn;
        all.finished = all.finished || event.what == finished;
        all.over = all.over || event.what == over;
    }
    return all;
}

/// A sequence with the three parts of the service, on a clock that the test moves.
struct stop {
    explicit stop(const shutdown_options& options, milliseconds flush = 5s, milliseconds last = 100ms)
        : sequence(options) {
        EXPECT_EQ(sequence.add_part("debug", last), debug);
        EXPECT_EQ(sequence.add_part("tracker", flush), tracker);
        EXPECT_EQ(sequence.add_part("app", lifecycle::serves_clients), app);
        sequence.complete(now);
        sequence.up(app);
        sequence.step(now, turns);
    }

    /// Lets `gap` pass, in which every loop turns, and steps.
    actions after(milliseconds gap) {
        ++turns;
        return stuck_for(gap);
    }
    /// The same, but no loop turns in it.
    actions stuck_for(milliseconds gap) {
        now += gap;
        return actions_of(sequence.step(now, turns));
    }
    void ended(std::size_t part) { sequence.part_ended(part, now); }
    void signal(const char* cause = "SIGTERM") { sequence.signal(cause, now); }
    void request() { sequence.begin("debug", now); }
    milliseconds since_begin(time_point when) const {
        return std::chrono::duration_cast<milliseconds>(when - sequence.began());
    }
    milliseconds patience(std::size_t part) const { return since_begin(sequence.patience(part)); }

    stop_sequence sequence;
    time_point now{1h};
    std::uint64_t turns = 100;
};

/// Moves in steps of `gap` until the lame duck is over or `limit` has passed; how long that took.
inline milliseconds lame_duck_lasts(stop& stop, milliseconds gap, milliseconds limit, bool turning = true) {
    const auto from = stop.now;
    stop.stuck_for(0ms);
    while (stop.sequence.phase() == lifecycle::stop_phase::lame_duck && stop.now - from < limit)
        turning ? stop.after(gap) : stop.stuck_for(gap);
    return std::chrono::duration_cast<milliseconds>(stop.now - from);
}

}  // namespace fakes
