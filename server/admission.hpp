#pragma once

#include <functional>

#include "lifecycle/context.hpp"
#include "server/metrics.hpp"
#include "server/response.hpp"
#include "server/rule.hpp"

namespace server {

/// Which requests may go to a handler: `max_in_flight` at a time, on all loops together. While there is a crowd the
/// last places are for connections that have waited as long as they were told, and for new ones
/// (docs/adr/0029-last-places.md).
///
/// One for each loop, only on its thread. A refusal on one loop makes a crowd on the others at their next tick.
class admission {
public:
    /// May another request go to a handler, be it in one of the last places?
    using place_function = std::function<bool(bool to_the_last)>;

    /// `crowded_until` is where others read, in ticks of the clock, how long this loop says that there is a crowd.
    admission(place_function has_room, counter& crowded_until)
        : has_room_(std::move(has_room)), crowded_until_(crowded_until) {}

    /// What a connection keeps of its refusals.
    struct patience {
        rule without = rule::none;                      ///< accepted above this limit: a probe is answered, no more
        lifecycle::clock::time_point refused_at{};      ///< its last request found no place
        lifecycle::clock::time_point favoured_until{};  ///< ... and it has waited since

        bool refuses(bool exempt) const noexcept { return without != rule::none && !exempt; }
    };

    /// A place goes to the request that asks at the moment when it becomes free, so a client that waits after a 503 for
    /// as long as it was told would never find one.
    bool has_place(patience& of, bool newcomer, lifecycle::clock::time_point now) {
        const bool was_refused = of.refused_at != lifecycle::clock::time_point{};
        if (!was_refused && !crowded_ && has_room_(true)) return true;
        return finds_place(of, newcomer, now);
    }
    /// The answer to a request that has found none.
    static response refusal();

    /// Others were refused lately, here or, since `look`, elsewhere.
    bool crowded() const noexcept { return crowded_; }
    void look(lifecycle::clock::time_point now, lifecycle::clock::time_point crowded_until) noexcept {
        crowded_ = now < crowded_until;
    }

private:
    bool finds_place(patience& of, bool newcomer, lifecycle::clock::time_point now);

    place_function has_room_;
    counter& crowded_until_;
    bool crowded_ = false;
};

}  // namespace server
