#include "server/shared_places.hpp"

#include <algorithm>
#include <cstdint>

namespace server {

using lifecycle::clock;

bool shared_places::has_last(std::size_t most) const noexcept {
    std::uint64_t taken = 0;
    for (const auto* const loop : loops_) taken += loop->in_flight.get();
    return taken < most;
}

/// The last places are for clients that have waited. Each loop says first that it is about to enter: two that looked at
/// the same moment would both take what is free, and with it a place that is kept.
bool shared_places::has_one_in_crowd(loop_account& asks, std::size_t most) const noexcept {
    asks.enters.store(true, std::memory_order_seq_cst);
    std::uint64_t taken = 0;
    for (const auto* const loop : loops_) {
        taken += loop->enters.load(std::memory_order_seq_cst) ? 1 : 0;  // before it is in flight
        taken += loop->in_flight.get();
    }
    const auto kept = most < 4 ? 0 : std::max<std::size_t>(1, most / 16);
    const bool has = taken + kept <= most;  // the one that asks is among them
    if (!has) asks.enters.store(false, std::memory_order_relaxed);
    return has;
}

clock::time_point shared_places::crowded_until() const noexcept {
    std::uint64_t last = 0;
    for (const auto* const loop : loops_) last = std::max(last, loop->crowded_until.get());
    return clock::time_point{clock::duration(static_cast<clock::rep>(last))};
}

}  // namespace server
