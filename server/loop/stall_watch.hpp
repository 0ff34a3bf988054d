#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "lifecycle/context.hpp"

namespace server {

/// All clients of a loop wait while one of its handlers computes, or blocks. This finds out which it was: a tick that
/// has not come in time is a loop that stands still, and whose handler returns first after that has held it up.
///
/// Only on the loop's thread.
class stall_watch {
public:
    static constexpr std::chrono::milliseconds standstill{50};  ///< of a tick that is so late

    /// The next tick is due then.
    void expect(lifecycle::clock::time_point due) noexcept { late_after_ = due + standstill; }
    bool late(lifecycle::clock::time_point now) const noexcept { return now > late_after_; }
    /// The first since the last tick counts.
    void held_up_by(std::string what) {
        if (by_.empty()) by_ = std::move(what);
    }

    struct finding {
        std::chrono::milliseconds lasted, computed;  ///< with little CPU time it has blocked, or the machine had none
        std::string by;
    };
    /// The tick has come this late. None: it was not late, or the cause is not known, or it was said a moment ago.
    std::optional<finding> look(lifecycle::clock::duration lag, lifecycle::clock::time_point now);

private:
    lifecycle::clock::time_point late_after_ = lifecycle::clock::time_point::max();
    lifecycle::clock::time_point next_finding_{};
    std::string by_;
    std::chrono::nanoseconds computed_{};  ///< CPU time of the thread at the last tick
};

}  // namespace server
