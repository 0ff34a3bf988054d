#include "tracker/spool_cursor.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <numeric>
#include <system_error>
#include <utility>

namespace tracker {

using lifecycle::clock;

bool spool::cursor::take(batch& into) {
    for (;;) {
        spool_.adopt_free_sets();
        in_hand next;
        {
            std::unique_lock lock(spool_.mutex_);
            if (given_up_) return false;
            if (!choose(clock::now())) {
                if (spool_.closed_) return false;
                spool_.arrived_.wait_until(lock, wake_at());
                continue;
            }
            next = taken_;
        }
        if (read_batch(into, next)) return true;
    }
}

spool::segment_ptr spool::cursor::next_in(const segment_set& set) const {
    const auto found =
        std::ranges::find_if(set.segments, [this](const auto& one) { return one->sinks[sink_].done < one->records; });
    return found == set.segments.end() ? nullptr : *found;
}

segment_set_ptr spool::cursor::oldest_set() const {
    const auto waits = [this](const auto& set) { return set != spool_.own_ && next_in(*set); };
    const auto found = std::ranges::find_if(spool_.sets_, waits);
    return found == spool_.sets_.end() ? nullptr : *found;
}

bool spool::cursor::fresh_is_due(clock::time_point now) const {
    const auto& options = spool_.options_;
    return next_in(*spool_.own_) && (spool_.closed_ || now >= fresh_since_ + options.batch_age ||
                                     spool_.own_->left_for(sink_) >= options.batch_events);
}

/// New events and old ones take turns when both wait, so that neither holds up the other.
bool spool::cursor::choose(clock::time_point now) {
    const bool fresh = fresh_is_due(now);
    auto set = spool_.closed_ || now >= replay_at_ ? oldest_set() : nullptr;
    if (fresh && (!set || !last_was_fresh_)) set = spool_.own_;
    if (!set) return false;
    last_was_fresh_ = set == spool_.own_;
    const auto from = next_in(*set);
    const auto place = from->sinks[sink_];
    taken_ = {set, from, place.offset, from->size, from->size, from->records - place.done, {}};
    return true;
}

clock::time_point spool::cursor::wake_at() const {
    auto when = spool_.adopt_at_;
    if (next_in(*spool_.own_)) when = std::min(when, fresh_since_ + spool_.options_.batch_age);
    if (oldest_set()) when = std::min(when, replay_at_);
    return when;
}

void spool::cursor::arrived(std::uint64_t events) {
    if (spool_.own_->left_for(sink_) == events) fresh_since_ = clock::now();
}

bool spool::cursor::read_batch(batch& into, const in_hand& next) {
    const auto& options = spool_.options_;
    into.events.clear();
    record_reader reader(next.from->file.get(), next.first, next.end);
    try {
        std::size_t bytes = 0;
        event one;
        while (into.events.size() < options.batch_events && bytes < options.batch_bytes) {
            if (reader.next(one)) {
                bytes += one.id.size() + one.data.size();
                into.events.push_back(std::move(one));
            } else if (reader.at() == next.end || !reader.skip_damage()) {
                break;
            }
        }
    } catch (const std::system_error& error) {
        into.events.clear();
        give_up_segment(error.what());
        return false;
    }
    if (into.events.empty()) {
        give_up_segment("its bytes are not those that were written");
        return false;
    }
    const std::scoped_lock lock(spool_.mutex_);
    taken_.behind = reader.at();
    taken_.events = into.events.size();
    taken_.place.resize(into.events.size());
    std::iota(taken_.place.begin(), taken_.place.end(), taken_.from->sinks[sink_].done);
    if (taken_.set != spool_.own_ && options.replay_rate > 0)
        replay_at_ = std::max(clock::now(), replay_at_) +
                     std::chrono::nanoseconds(std::chrono::seconds(1)) * into.events.size() / options.replay_rate;
    return true;
}

/// A disk that has lost what it was given: all that the segment had when it was looked at is gone.
void spool::cursor::give_up_segment(std::string_view reason) {
    spool_.log_.error("tracker: {} events in {} cannot be read and are lost, the file is kept: {}", taken_.events,
                      taken_.from->path.string(), reason);
    move_on(true);
}

void spool::cursor::settle(const batch&, outcome how) {
    if (how == outcome::delivered) return move_on(false);
    const std::scoped_lock lock(spool_.mutex_);
    given_up_ = true;
    taken_ = {};
}

void spool::cursor::bury(batch& taken, std::size_t index) {
    const auto at = static_cast<std::ptrdiff_t>(index);
    const std::scoped_lock lock(spool_.mutex_);
    taken_.from->dead.insert(taken_.place[index]);  // first: it may find no memory
    taken.events.erase(taken.events.begin() + at);
    taken_.place.erase(taken_.place.begin() + at);
}

/// This sink is done with what is in hand: the next batch begins behind it.
void spool::cursor::move_on(bool lost) {
    in_hand was;
    std::vector<segment_ptr> done;
    bool emptied = false;
    {
        const std::scoped_lock lock(spool_.mutex_);
        was = std::exchange(taken_, {});
        auto& from = *was.from;
        const auto before = from.done();
        auto& place = from.sinks[sink_];
        if (lost) {
            from.keep = true;
            from.lost_from = from.lost_to == 0 ? place.done : std::min(from.lost_from, place.done);
            from.lost_to = std::max(from.lost_to, place.done + was.events);
        }
        place = {place.done + was.events, was.behind};
        spool_.count_done(from, before);
        done = spool_.take_done_segments(*was.set);
        emptied = was.set != spool_.own_ && was.set->segments.empty();
        if (emptied) {
            spool_.sets_.remove(was.set);
            spool_.adopt_at_ = {};  // there may be more than could be held at once
        }
    }
    // In this order: who dies in between delivers twins, and loses nothing.
    note_delivered(*was.set, sink_, was.from->number, was.behind);
    for (const auto& one : done) remove_segment(*one);
    if (emptied) remove_segment_set(*was.set);
}

void spool::cursor::pause_while_open(clock::time_point when) {
    std::unique_lock lock(spool_.mutex_);
    spool_.closing_.wait_until(lock, when, [&] { return spool_.closed_; });
}

std::uint64_t spool::cursor::queued() const {
    const std::scoped_lock lock(spool_.mutex_);
    std::uint64_t all = 0;
    for (const auto& set : spool_.sets_) all += set->left_for(sink_);
    return all;
}

}  // namespace tracker
