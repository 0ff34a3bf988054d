#pragma once

#include <cstddef>
#include <vector>

#include "server/loop/account.hpp"

namespace server {

/// The places that requests have in handlers, `max_in_flight` on all loops of a server together: whether there is one
/// more, and until when there is a crowd. What each loop makes of that is its admission.
///
/// The loops are added before any of them runs, and their accounts outlive the last question. Then it is safe from any
/// thread; `has_one` on that of the loop that asks.
class shared_places {
public:
    void add(const loop_account& of) { loops_.push_back(&of); }

    /// Of at most that many, is there one for another request of a loop, be it one of the last? A loop that fills no
    /// more than its share has one without looking: to read what other loops write for each request would cost a cache
    /// miss.
    bool has_one(loop_account& asks, std::size_t most, bool to_the_last) const noexcept {
        if (to_the_last) return (asks.in_flight.get() + 1) * loops_.size() <= most || has_last(most);
        return has_one_in_crowd(asks, most);
    }
    /// As the loops have said; see admission.
    lifecycle::clock::time_point crowded_until() const noexcept;

private:
    bool has_last(std::size_t most) const noexcept;
    bool has_one_in_crowd(loop_account& asks, std::size_t most) const noexcept;

    std::vector<const loop_account*> loops_;
};

}  // namespace server
