#include "lifecycle/stop_sequence.hpp"

#include <algorithm>

namespace lifecycle {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// A forced stop: everything, the report included, within the second that the contract gives.
constexpr milliseconds forced_share{800};

}  // namespace

std::string_view to_string(stop_phase phase) noexcept {
    switch (phase) {
        case stop_phase::starting: return "starting";
        case stop_phase::serving: return "serving";
        case stop_phase::lame_duck: return "lame_duck";
        case stop_phase::stopping: return "stopping";
        case stop_phase::stopped: return "stopped";
    }
    return "unknown";
}

milliseconds last_share(const shutdown_options& options) { return std::min(milliseconds(100), options.budget / 50); }

std::size_t stop_sequence::add_part(std::string name, duration reserved) {
    parts_.push_back({std::move(name), reserved});
    return parts_.size() - 1;
}

void stop_sequence::ready() noexcept {
    // In a lame duck it is kept for the case that the stop is withdrawn.
    auto& phase = phase_ == stop_phase::lame_duck ? before_lame_duck_ : phase_;
    if (phase == stop_phase::starting) phase = stop_phase::serving;
}

void stop_sequence::begin(std::string cause, time_point now) {
    if (stopping()) return;
    before_lame_duck_ = phase_;
    phase_ = stop_phase::lame_duck;
    withdrawable_ = cause == "debug";
    cause_ = std::move(cause);
    began_ = now;
    end_ = now + options_.budget;
    frozen_ = moved_ = duration{0};
    lived_ = own_lived_ = duration{0};
    last_turns_.reset();
    enter("lame_duck", now, now + options_.lame_duck);
}

void stop_sequence::signal(std::string cause, time_point now) {
    if (first_signal_) {
        // Counted from the first, not from the last: whoever presses Ctrl-C again and again means it.
        if (now - *first_signal_ >= one_order) force(now);
        return;
    }
    first_signal_ = now;
    begin(std::move(cause), now);
    withdrawable_ = false;
}

void stop_sequence::fail(std::string cause, time_point now) {
    withdrawable_ = false;
    begin(std::move(cause), now);
    withdrawable_ = false;
}

void stop_sequence::force(time_point now) {
    if (forced_at_ || !stopping()) return;
    forced_at_ = now;
    end_ = std::min(end_, now + forced_share);
}

bool stop_sequence::withdraw() {
    if (phase_ != stop_phase::lame_duck || !withdrawable_) return false;
    phase_ = before_lame_duck_;
    cause_.clear();
    records_.clear();
    end_ = time_point::max();
    warned_ = false;
    return true;
}

void stop_sequence::part_ended(std::size_t part, time_point now) {
    const bool unasked = !parts_[part].asked;
    parts_[part].ended = true;
    if (unasked) fail("part:" + parts_[part].name, now);
}

void stop_sequence::frozen(duration gap, time_point now) {
    if (!stopping() || phase_ == stop_phase::stopped || gap.count() <= 0) return;
    const auto later = std::min(end_ + gap, std::max(end_, now) + most_after_freeze) - end_;
    end_ += later;
    moved_ += duration_cast<milliseconds>(later);
    if (forced_at_) *forced_at_ += later;
    frozen_ += gap;
    record_began_ += gap;
}

stop_sequence::time_point stop_sequence::latest_lame_duck() const {
    auto reserved = options_.idle_grace;
    for (const auto& part : parts_) reserved += part.reserved;
    return end_ - reserved;
}

stop_sequence::duration stop_sequence::tick() const {
    return std::clamp<duration>(options_.lame_duck / 10, milliseconds(1), milliseconds(50));
}

bool stop_sequence::lame_duck_over(time_point now, std::uint64_t turns) {
    // Time in which this process did not run (stopped, starved) is not time in which it served: a
    // gap counts as two ticks at most, and only when every loop has turned in it. Loops that never
    // turn again hold the lame duck up for as long again, no longer.
    if (!last_turns_) {
        last_turns_ = turns;
        last_tick_ = now;
    }
    const auto gap = std::min<duration>(duration_cast<milliseconds>(now - last_tick_), 2 * tick());
    if (gap.count() > 0) {
        own_lived_ += gap;
        if (turns != last_turns_) lived_ += gap;
        last_turns_ = turns;
        last_tick_ = now;
    }
    const bool nobody_left = std::all_of(parts_.begin(), parts_.end(), [](const part& p) { return p.ended; });
    if (forced_at_ || nobody_left || now >= latest_lame_duck()) return true;
    if (!parts_.empty() && parts_.back().ended) return true;  // nobody serves any more
    return lived_ >= options_.lame_duck || own_lived_ >= 2 * options_.lame_duck;
}

stop_sequence::actions stop_sequence::step(time_point now, std::uint64_t turns) {
    actions result;
    if (!stopping() || phase_ == stop_phase::stopped) return result;
    if (!warned_ && now >= warn_at()) result.warn = warned_ = true;

    if (phase_ == stop_phase::lame_duck) {
        if (!lame_duck_over(now, turns)) return result;
        phase_ = stop_phase::stopping;
        current_ = parts_.size() + 1;
    }
    // Who stops now: the next one as soon as the last is home or has used its share.
    while (current_ > 0) {
        const bool first = current_ == parts_.size() + 1;
        if (!first && !parts_[current_ - 1].ended && now < patience(current_ - 1)) break;
        if (--current_ == 0) break;
        auto& next = parts_[current_ - 1];
        enter(next.name, now, patience(current_ - 1));
        if (!next.ended) {
            next.asked = true;
            result.stop.push_back(current_ - 1);
        }
        next.asked = true;
    }
    const bool all_home = std::all_of(parts_.begin(), parts_.end(), [](const part& p) { return p.ended; });
    result.finished = all_home;
    result.over = !all_home && now >= end_;
    if (result.finished || result.over) {
        close_record(now);
        phase_ = stop_phase::stopped;
    }
    return result;
}

stop_sequence::time_point stop_sequence::next_step(time_point now) const {
    if (!stopping() || phase_ == stop_phase::stopped) return time_point::max();
    auto next = end_;
    if (!warned_) next = std::min(next, warn_at());
    if (phase_ == stop_phase::lame_duck)
        next = std::min(next, now + tick());
    else if (current_ > 0)
        next = std::min(next, patience(current_ - 1));
    return next;
}

stop_sequence::time_point stop_sequence::warn_at() const { return began_ + moved_ + options_.budget * 8 / 10; }

stop_sequence::time_point stop_sequence::patience(std::size_t part) const {
    if (end_ == time_point::max()) return end_;
    auto last = began_ + moved_ + options_.budget;
    for (std::size_t later = 0; later < part; ++later) last -= parts_[later].reserved;
    if (!forced_at_) return last;
    // Equal steps of what is left, in the order in which they stop; never more than without the force.
    const auto count = static_cast<long>(parts_.size());
    return std::min(last, *forced_at_ + (end_ - *forced_at_) * (count - static_cast<long>(part)) / count);
}

stop_sequence::time_point stop_sequence::deadline(std::size_t part) const {
    const auto last = patience(part);
    if (last == time_point::max()) return last;
    if (forced_at_) return part + 1 == parts_.size() ? std::min(last, *forced_at_) : last - milliseconds(50);
    return last - std::min<duration>(milliseconds(250), options_.budget / 20);
}

void stop_sequence::enter(std::string phase_name, time_point now, time_point until) {
    close_record(now);
    records_.push_back(
        {std::move(phase_name), std::max(duration{0}, duration_cast<milliseconds>(until - now)), duration{0}});
    record_began_ = now;
}

void stop_sequence::close_record(time_point now) {
    if (!records_.empty()) records_.back().used = duration_cast<milliseconds>(now - record_began_);
}

std::vector<stop_sequence::phase_record> stop_sequence::phases(time_point now) const {
    auto copy = records_;
    if (!copy.empty() && phase_ != stop_phase::stopped)
        copy.back().used = duration_cast<milliseconds>(now - record_began_);
    return copy;
}

std::vector<std::string> stop_sequence::running() const {
    std::vector<std::string> names;
    for (const auto& part : parts_)
        if (!part.ended) names.push_back(part.name);
    return names;
}

}  // namespace lifecycle
