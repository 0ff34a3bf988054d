#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>

#include "server/decision.hpp"
#include "server/exchange.hpp"
#include "server/metrics.hpp"
#include "server/stop_account.hpp"

namespace server {

/// What a loop has counted: written by its thread alone, read by any.
struct loop_account {
    counter open, idle, accepted, in_flight, requests;
    std::array<counter, rule_count> refused;  ///< by rule
    counter under_way;      ///< requests that have begun and not ended: half heads, in handlers, answers not yet sent
    counter oldest_idle;    ///< steady_clock ticks; 0: none is idle
    counter crowded_until;  ///< steady_clock ticks
    /// In a crowd a request of this loop is about to go to a handler, and counts as one that has.
    std::atomic<bool> enters{false};
    counter turns;
    counter turned_at;  ///< steady_clock ticks of the last turn; 0: does not run
    histogram lag;
    std::array<counter, connection_states> in_state;  ///< as of the last tick

    /// Since a stop began; see shutdown_report.
    struct stop_counters {
        counter number;  ///< of that stop (stop_channel::nth_stop); 0 as long as this loop knows of none
        counter open_at_stop, accepted_after, closed_idle, finished, forced;
        counter in_flight_at_stop, begun_after, requests_finished, requests_cut, requests_gone;
        counter streams_told, streams_ended, streams_ended_by_us, streams_cut;
    } of_stop;

    // For its one writer. Each request that begins ends once; they begin with their first byte.

    /// The account of a stop begins with what is there when its loop first knows of it.
    void note_stop(std::uint64_t nth) noexcept;
    void connection_began(bool in_stop) noexcept;
    void connection_ended(bool forced, bool worked_during_stop, bool in_stop) noexcept;
    void add(const account_changes& some) noexcept {
        const auto ended = some.finished + some.cut + some.gone;
        assert(under_way.get() + some.began >= ended && "a request begins before it ends, and ends once");
        if (some.began != ended) under_way.set(under_way.get() + some.began - ended);
        if (of_stop.number.get() != 0) [[unlikely]]
            add_to_stop(some);
    }

    /// For any thread: what the stop of that number has done on this loop so far. What is still open or under way
    /// counts as cut, as it will be if the process ends now.
    void add_to(stop_account& report, std::uint64_t nth_stop) const noexcept;

private:
    void add_to_stop(const account_changes& some) noexcept;
};

}  // namespace server
