#include "tracker/kafka/messages.hpp"

#include <algorithm>
#include <cassert>

namespace tracker {

void messages::begin() {
    added_.clear();
    if (free_.size() == slots_.size()) {
        by_id_in_use_ = false;
        by_id_.clear();
        return;
    }
    if (by_id_in_use_) return;
    by_id_.clear();
    for (auto& each : slots_)
        if (each.is != slot::state::free) by_id_.emplace(each.id, &each);
    by_id_in_use_ = true;
}

/// What may throw comes first: then nothing has changed.
void messages::grow() {
    constexpr std::size_t fewest = 64;
    const auto more = std::max(fewest, slots_.size());
    free_.reserve(slots_.size() + more);
    for (std::size_t i = 0; i < more; ++i) free_.push_back(&slots_.emplace_back());
}

messages::slot& messages::add(std::string_view id) {
    if (free_.empty()) grow();
    auto& made = *free_.back();
    made.id.assign(id);
    added_.push_back(&made);
    if (by_id_in_use_) by_id_.emplace(made.id, &made);
    free_.pop_back();
    made.is = slot::state::under_way;
    ++under_way_;
    return made;
}

void messages::release(slot& message) noexcept {
    assert(message.is != slot::state::free && "it is released once");
    if (message.is == slot::state::under_way) --under_way_;
    if (by_id_in_use_) {
        auto [at, end] = by_id_.equal_range(message.id);
        while (at != end && at->second != &message) ++at;
        if (at != end) by_id_.erase(at);
    }
    message.is = slot::state::free;
    free_.push_back(&message);
}

void messages::acknowledge(slot& message) noexcept {
    assert(message.is == slot::state::under_way && "there is one report for a message");
    message.is = slot::state::acknowledged;
    --under_way_;
}

bool messages::any_under_way(std::span<const event> batch) const {
    if (under_way_ == 0 || !by_id_in_use_) return under_way_ > 0;
    return std::ranges::any_of(batch, [this](const auto& event) {
        const auto [from, to] = by_id_.equal_range(event.id);
        return std::any_of(from, to, [](const auto& each) { return each.second->is == slot::state::under_way; });
    });
}

void messages::delivered(std::span<const event> batch) noexcept {
    if (!by_id_in_use_) {  // there is nothing of another batch
        assert(under_way_ == 0);
        for (auto* const each : added_) release(*each);
        return;
    }
    for (const auto& event : batch)
        for (auto found = by_id_.find(event.id); found != by_id_.end(); found = by_id_.find(event.id))
            release(*found->second);
}

void messages::release_under_way() noexcept {
    for (auto& each : slots_)
        if (each.is == slot::state::under_way) release(each);
}

}  // namespace tracker
