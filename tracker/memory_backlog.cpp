#include "tracker/memory_backlog.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace tracker {

bool memory_backlog::take(batch& into) {
    into.events.clear();
    {
        const std::scoped_lock lock(mutex_);
        while (!given_back_.empty() && into.events.size() < batch_events_) {
            into.events.push_back(std::move(given_back_.front()));
            given_back_.pop_front();
        }
    }
    // Another worker that waits at the intake need not hear of what is given back: the one that did so comes here next.
    if (into.events.empty()) return intake_.take(into);
    intake_.add_to(into);
    return true;
}

/// They leave the intake's numbers and come into a column in one step.
void memory_backlog::count_in(std::uint64_t& column, std::uint64_t events) {
    const std::scoped_lock lock(mutex_);
    [[maybe_unused]] const auto in_hand = intake_.done(events);
    assert(in_hand >= given_back_.size() && "what was given back has to be taken again");
    column += events;
}

void memory_backlog::settle(const batch& taken, outcome how) {
    count_in(how == outcome::delivered ? delivered_ : dropped_at_deadline_, taken.events.size());
}

void memory_backlog::settle_part(batch& taken, std::size_t first, std::size_t count) {
    const auto from = taken.events.begin() + static_cast<std::ptrdiff_t>(first);
    taken.events.erase(from, from + static_cast<std::ptrdiff_t>(count));
    count_in(delivered_, count);
}

void memory_backlog::give_back(batch& taken) {
    const std::scoped_lock lock(mutex_);
    const auto before = given_back_.size();
    assert(intake_.counts().in_hand >= before + taken.events.size() && "only what was taken is given back");
    given_back_.resize(before + taken.events.size());  // all the memory that it takes, before anything has changed
    std::ranges::move(taken.events, given_back_.begin() + static_cast<std::ptrdiff_t>(before));
    taken.events.clear();
}

void memory_backlog::bury(batch& taken, std::size_t index) {
    taken.events.erase(taken.events.begin() + static_cast<std::ptrdiff_t>(index));
    count_in(dropped_dead_letter_, 1);
}

std::uint64_t memory_backlog::queued() const {
    const auto counts = intake_.counts();
    return counts.queued + counts.in_hand;
}

account memory_backlog::account() const {
    tracker::account account;
    const std::scoped_lock lock(mutex_);
    const auto counts = intake_.counts();
    account.accepted = counts.accepted;
    account.delivered = delivered_;
    account.queued = counts.queued + counts.in_hand;
    if (counts.dropped > 0) account.dropped["overflow"] = counts.dropped;
    if (dropped_at_deadline_ > 0) account.dropped["deadline"] = dropped_at_deadline_;
    if (dropped_dead_letter_ > 0) account.dropped["dead_letter"] = dropped_dead_letter_;
    return account;
}

}  // namespace tracker
