#include "lifecycle/stop_sequence.hpp"

#include <algorithm>
#include <cassert>

namespace lifecycle {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// A forced stop: everything, the report included, within the second that the contract gives.
constexpr milliseconds forced_share{800};
/// Of the share of a part that serves no clients, after it has given up.
constexpr milliseconds most_to_write_down{1'000};
/// More than ever wait for the owner: it looks ten times a second in a stop.
constexpr std::size_t room_for_events = 64;

/// Of a share of the whole budget, what there is of it in a stop of `budget`.
milliseconds shrink(milliseconds share, milliseconds budget, const shutdown_options& options) {
    return share * budget.count() / options.budget.count();
}

/// The last phase ends here. Every change of phase comes through this, so the times in a report add up.
void close(std::vector<stop_sequence::phase_record>& records, clock::time_point since, clock::time_point now) {
    if (!records.empty()) records.back().used = duration_cast<milliseconds>(now - since);
}

/// How often a lame duck is looked at: often enough that it is not much longer than it was set, and never so often that
/// main does nothing else.
milliseconds tick(const shutdown_options& options) {
    return std::clamp(options.lame_duck / 10, milliseconds(1), milliseconds(50));
}

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

milliseconds share::of(const shutdown_options& options) const noexcept {
    // The last part must still answer while all others stop, and needs no time for itself.
    return is_last_ ? std::min(milliseconds(100), options.budget / 50) : reserved_;
}

stop_sequence::stop_sequence(const shutdown_options& options) : options_(options), budget_(options.budget) {
    // A stop may be asked for when there is no memory, so it must not need any.
    waiting_.reserve(room_for_events);
    told_.reserve(room_for_events);
}

std::size_t stop_sequence::add_part(std::string name, share own, readiness when) {
    const auto awaited = own.serves() && !when.most ? until_up.most : when.most;
    order_.parts.push_back(
        {.name = std::move(name), .reserved = own.of(options_), .serves = own.serves(), .awaited = awaited});
    return order_.parts.size() - 1;
}

void stop_sequence::complete(time_point now) {
    assert(!complete_since_ && "the parts run once");
    // From here on readiness is waited for, and the time until a part is not up in time begins.
    complete_since_ = now;
    become_ready_if_up();
}

void stop_sequence::up(std::size_t part) {
    assert(part < order_.parts.size());
    order_.parts[part].up = true;
    become_ready_if_up();
}

void stop_sequence::become_ready_if_up() {
    if (!complete_since_ || !order_.all_up()) return;
    // In a lame duck it is kept for the case that the stop is withdrawn.
    auto& phase = phase_ == stop_phase::lame_duck ? before_lame_duck_ : phase_;
    if (phase != stop_phase::starting) return;
    phase = stop_phase::serving;
    if (phase_ != stop_phase::serving) return;
    // Told once in a life: a stop that is withdrawn says `withdrawn`.
    has_been_ready_ = true;
    waiting_.push_back({happening::ready});
}

void stop_sequence::begin(std::string cause, time_point now) {
    if (stopping()) return;
    waiting_.push_back({.what = happening::began, .cause = cause});
    before_lame_duck_ = phase_;
    phase_ = stop_phase::lame_duck;
    // A request can be taken back by another one; a signal cannot, and a part that has failed stays so.
    withdrawable_ = cause == "debug";
    cause_ = std::move(cause);
    began_ = now;
    budget_ = options_.budget;
    end_ = now + budget_;
    frozen_ = moved_ = duration{0};
    lived_ = own_lived_ = duration{0};
    last_turns_.reset();
    enter("lame_duck", now, now + options_.lame_duck);
}

void stop_sequence::signal(std::string cause, time_point now) {
    if (first_signal_) {
        // Counted from the first signal, not from the last: a user who presses Ctrl-C again and again means it.
        if (now - *first_signal_ >= one_order) force(now);
        return;
    }
    first_signal_ = now;
    begin(std::move(cause), now);
    withdrawable_ = false;
}

void stop_sequence::shorten(duration budget, time_point now) {
    if (!stopping() || phase_ == stop_phase::stopped) return;
    // The new end counts from now, the budget from the beginning of the stop: so what has been used belongs to it.
    const auto lived = std::max(duration_cast<milliseconds>(now - began_ - moved_), duration{0});
    if (lived + budget >= budget_) return;
    budget_ = lived + budget;
    assert(budget_ <= options_.budget && "a stop is never longer than its budget");
    end_ = std::min(end_, began_ + moved_ + budget_);
    waiting_.push_back({happening::shortened});
}

void stop_sequence::fail(std::string cause, time_point now) {
    // Also when a stop is under way already that could have been withdrawn.
    withdrawable_ = false;
    begin(std::move(cause), now);
    withdrawable_ = false;
}

void stop_sequence::force(time_point now) {
    if (forced_at_ || !stopping()) return;
    waiting_.push_back({happening::forced});
    forced_at_ = now;
    // A stop that is nearly over is not made longer by force.
    end_ = std::min(end_, now + forced_share);
}

bool stop_sequence::withdraw() {
    if (phase_ != stop_phase::lame_duck || !withdrawable_) return false;
    phase_ = before_lame_duck_;
    assert(!stopping() && "what is withdrawn leads back to before the stop");
    cause_.clear();
    records_.clear();
    end_ = time_point::max();
    warned_ = false;
    waiting_.push_back({happening::withdrawn});
    // It became ready during the lame duck, and nothing has been told of that yet.
    if (phase_ == stop_phase::serving && !has_been_ready_) {
        has_been_ready_ = true;
        waiting_.push_back({happening::ready});
    }
    return true;
}

bool stop_sequence::part_ended(std::size_t part, time_point now) {
    auto& entry = order_.parts[part];
    assert(!entry.ended && "a part ends once");
    entry.ended = true;
    // A part that returns by itself has failed at its task, also when it threw nothing: the rest must not go on without
    // it.
    if (!entry.asked) fail("part:" + entry.name, now);
    return !entry.asked;
}

void stop_sequence::frozen(duration gap, time_point now) {
    if (!stopping() || phase_ == stop_phase::stopped || gap.count() <= 0) return;
    waiting_.push_back({.what = happening::frozen, .gap = gap});
    // Two seconds at most, and counted from now if the freeze has outlasted the budget, so that there is time to
    // answer.
    const auto later = std::min(end_ + gap, std::max(end_, now) + most_after_freeze) - end_;
    assert(later.count() >= 0 && "a freeze takes no time away");
    end_ += later;
    moved_ += duration_cast<milliseconds>(later);
    // The steps of a forced stop are counted from it: without this they would all be over at once.
    if (forced_at_) *forced_at_ += later;
    frozen_ += gap;
    record_began_ += gap;
}

bool stop_sequence::lame_duck_over(time_point now, std::uint64_t turns) {
    // Time in which this process did not run (stopped, starved) is not time in which it served: a
    // gap counts as two ticks at most, and only when every loop has turned in it. Loops that never
    // turn again hold the lame duck up for as long again, no longer.
    if (!last_turns_) {
        last_turns_ = turns;
        last_tick_ = now;
    }
    const auto gap = std::min<duration>(duration_cast<milliseconds>(now - last_tick_), 2 * tick(options_));
    if (gap.count() > 0) {
        own_lived_ += gap;
        if (turns != last_turns_) lived_ += gap;
        last_turns_ = turns;
        last_tick_ = now;
    }
    // A lame duck that is held up must leave the other phases their time.
    const auto latest = end_ - shrink(options_.idle_grace + order_.reserved(), budget_, options_);
    const auto lame_duck = shrink(options_.lame_duck, budget_, options_);
    if (forced_at_ || order_.nobody_serves() || now >= latest) return true;
    return lived_ >= lame_duck || own_lived_ >= 2 * lame_duck;
}

const stop_sequence::events& stop_sequence::step(time_point now, std::uint64_t turns) {
    if (phase_ == stop_phase::starting && complete_since_)
        for (std::size_t index = 0; index < order_.parts.size(); ++index) {
            auto& part = order_.parts[index];
            if (!part.awaited || part.up || part.told_not_up || now < *complete_since_ + *part.awaited) continue;
            part.told_not_up = true;
            waiting_.push_back({happening::not_up, index});
        }
    if (stopping() && phase_ != stop_phase::stopped) {
        if (!warned_ && now >= warn_at()) {
            warned_ = true;
            waiting_.push_back({happening::warn});
        }
        if (phase_ == stop_phase::lame_duck && lame_duck_over(now, turns)) {
            phase_ = stop_phase::stopping;
            // One more than the last part: `advance` steps down to it.
            current_ = order_.parts.size() + 1;
        }
        if (phase_ == stop_phase::stopping) advance(now);
    }
    told_.clear();
    // Both keep their memory: the events of a stop are told without an allocation.
    std::swap(told_, waiting_);
    return told_;
}

/// Which part's turn it is: the next one's as soon as the last has ended or has used its share.
void stop_sequence::advance(time_point now) {
    while (current_ > 0) {
        const bool first = current_ == order_.parts.size() + 1;
        if (!first && !order_.turn_has_ended(current_ - 1) && now < patience(current_ - 1)) break;
        if (--current_ == 0) break;
        const auto turn = current_ - 1;
        if (!order_.has_a_turn(turn)) continue;  // asked already, with the others that serve clients
        enter(order_.name_of_turn(turn), now, patience(turn));
        waiting_.push_back({happening::entered, turn});
        for (std::size_t index = 0; index < order_.parts.size(); ++index) {
            if (order_.turn_of(index) != turn) continue;
            auto& part = order_.parts[index];
            // All parts of a turn in one step: those that serve clients stop at the same moment (docs/shutdown.md).
            assert(!part.asked);
            if (!part.ended) waiting_.push_back({happening::ask, index});
            part.asked = true;
        }
    }
    const bool all_ended = order_.all_ended();
    // The budget is over, whether all parts have ended or not: what has not is a straggler from here on.
    if (!all_ended && now < end_) return;
    assert((!all_ended || current_ == 0) && "every part has had its turn");
    close(records_, record_began_, now);
    phase_ = stop_phase::stopped;
    waiting_.push_back({all_ended ? happening::finished : happening::over});
}

stop_sequence::time_point stop_sequence::next_step(time_point now) const {
    if (phase_ == stop_phase::starting && complete_since_) {
        auto next = time_point::max();
        for (const auto& part : order_.parts)
            if (part.awaited && !part.up && !part.told_not_up) next = std::min(next, *complete_since_ + *part.awaited);
        return next;
    }
    if (!stopping() || phase_ == stop_phase::stopped) return time_point::max();
    auto next = end_;
    if (!warned_) next = std::min(next, warn_at());
    // It ends by time lived and by turns of the loops, for which there is no moment to wait for: it is polled.
    if (phase_ == stop_phase::lame_duck)
        next = std::min(next, now + tick(options_));
    else if (current_ > 0)
        next = std::min(next, patience(current_ - 1));
    return next;
}

stop_sequence::time_point stop_sequence::warn_at() const { return began_ + moved_ + budget_ * 8 / 10; }

stop_sequence::time_point stop_sequence::patience(std::size_t part) const {
    if (end_ == time_point::max()) return end_;
    const auto last = began_ + moved_ + budget_ - shrink(order_.reserved_after(part), budget_, options_);
    if (!forced_at_) return last;
    // Equal steps of what is left, in the order in which they stop; never more than without the force.
    const auto turns = static_cast<long>(order_.turns()), after = static_cast<long>(order_.turns_after(part));
    assert(after < turns && "its own turn is among them");
    return std::min(last, *forced_at_ + (end_ - *forced_at_) * (turns - after) / turns);
}

stop_sequence::time_point stop_sequence::deadline(std::size_t part) const {
    const auto last = patience(part);
    if (last == time_point::max()) return last;
    // Forced: clients get their 503 at once, and the others have a moment less than their step, to say what they leave.
    if (forced_at_) return order_.parts[part].serves ? std::min(last, *forced_at_) : last - milliseconds(50);
    const auto& own = order_.parts[part];
    // Before the end of its share, so that there is time to answer its clients.
    const auto to_answer = std::min(milliseconds(250), budget_ / 20);
    if (own.serves) return last - to_answer;
    // And what others leave undone they write down, and main how the run ended: to a disk that may be slow.
    const auto reserved = shrink(own.reserved, budget_, options_);
    return last - std::max(to_answer, std::min({most_to_write_down, budget_ / 10, reserved / 2}));
}

void stop_sequence::enter(std::string phase_name, time_point now, time_point until) {
    close(records_, record_began_, now);
    records_.push_back(
        {std::move(phase_name), std::max(duration{0}, duration_cast<milliseconds>(until - now)), duration{0}});
    record_began_ = now;
}

std::vector<stop_sequence::phase_record> stop_sequence::phases(time_point now) const {
    auto copy = records_;
    if (phase_ != stop_phase::stopped) close(copy, record_began_, now);
    return copy;
}

}  // namespace lifecycle
