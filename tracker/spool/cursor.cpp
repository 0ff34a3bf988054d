#include "tracker/spool/cursor.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <cassert>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"

namespace tracker {

using lifecycle::clock;

namespace {

/// In a stop: how often, and how soon after each other, what the disk has failed is tried again.
constexpr unsigned tries_in_stop = 3;
constexpr std::chrono::milliseconds pause_in_stop{10};

/// A stop ends the search for records after damaged bytes, once this many more have been looked at: a few
/// milliseconds.
class search final : public reading_watch {
public:
    explicit search(const backlog& of) : backlog_(of) {}
    void expects(std::uint64_t) override {}
    bool has_read(std::uint64_t bytes) override {
        if (goes_on && backlog_.closed()) in_stop_ += bytes;
        return in_stop_ > std::uint64_t{1} << 20U;
    }
    bool goes_on = false;

private:
    const backlog& backlog_;
    std::uint64_t in_stop_ = 0;
};

/// A batch without those that the sink has had `early`, and the place of each. How many records that is with them.
std::uint64_t read_records(record_reader& reader, search& watch, std::uint64_t end,
                           const std::vector<std::uint64_t>& early, const options& by, std::vector<event>& into,
                           std::vector<segment::place>& places) {
    std::uint64_t records = 0;
    std::size_t bytes = 0;
    event event;
    while (into.size() < by.batch_events && bytes < by.batch_bytes) {
        const auto begins = reader.at();
        watch.goes_on = false;
        const bool is_early = std::ranges::binary_search(early, records);
        if (is_early ? reader.pass() : reader.next(event)) {
            ++records;
            if (is_early) continue;
            bytes += bytes_of(event);
            places.push_back({.done = records - 1, .offset = begins});
            into.push_back(std::move(event));
            continue;
        }
        watch.goes_on = true;
        if (reader.at() == end || !reader.skip_damage()) break;
    }
    return records;
}

}  // namespace

bool cursor::take(batch& into) {
    for (;;) {
        adopting_.look();
        in_hand next;
        {
            std::unique_lock lock(state_.mutex);
            // The flush deadline has passed: what is left stays in the spool.
            if (given_up_) return false;
            if (!choose(clock::now())) {
                if (state_.closed && nothing_left()) return false;
                state_.arrived.wait_until(lock, wake_at());
                continue;
            }
            next = taken_;
        }
        // Without the mutex: a slow disk must not hold up the appender and the other sinks. False: that set waits, or
        // has nothing whole; there may be another.
        if (read_batch(into, next)) return true;
    }
}

segment_ptr cursor::next_in(const segment_set& set) const {
    const auto found = std::ranges::find_if(
        set.segments, [this](const auto& candidate) { return candidate->sinks[sink_].done < candidate->records; });
    return found == set.segments.end() ? nullptr : *found;
}

segment_set_ptr cursor::oldest_set(clock::time_point now) const {
    // All but our own, oldest first; one that cannot be read now does not hold up the others.
    const auto waits = [&](const auto& set) { return set != state_.own && !held(*set, now) && next_in(*set); };
    const auto found = std::ranges::find_if(state_.sets, waits);
    return found == state_.sets.end() ? nullptr : *found;
}

bool cursor::held(const segment_set& set, clock::time_point now) const noexcept {
    const auto& hold = set.holds[sink_];
    if (hold.until == clock::time_point::max()) return true;
    // A stop does not sit out a pause of seconds that began before it: the first try in it comes at once.
    return now < hold.until && (!state_.closed || hold.in_stop > 0);
}

/// Closed: what cannot be read is left to the next run.
bool cursor::nothing_left() const {
    return std::ranges::none_of(state_.sets, [this](const auto& set) {
        return next_in(*set) && set->holds[sink_].until != clock::time_point::max();
    });
}

bool cursor::fresh_is_due(clock::time_point now) const {
    const auto& options = state_.settings;
    return next_in(*state_.own) && !held(*state_.own, now) &&
           // In a stop nothing more comes that would fill a batch.
           (state_.closed || now >= fresh_since_ + options.batch_age ||
            state_.own->left_for(sink_) >= options.batch_events);
}

/// New events and old ones take turns when both wait, so that neither holds up the other.
bool cursor::choose(clock::time_point now) {
    const bool fresh = fresh_is_due(now);
    auto set = state_.closed || now >= replay_at_ ? oldest_set(now) : nullptr;
    if (fresh && (!set || !last_was_fresh_)) set = state_.own;
    if (!set) return false;
    last_was_fresh_ = set == state_.own;
    // Up to the size that the segment has now: what is appended later is for the next batch.
    const auto from = next_in(*set);
    const auto place = from->sinks[sink_];
    assert(place.offset <= from->size && place.done < from->records && "something is left of it");
    taken_ = {set, from, place.offset, from->size, from->size, from->records - place.done, {}, early_in(*from)};
    return true;
}

std::vector<std::uint64_t> cursor::early_in(segment& from) const {
    const auto done = from.sinks[sink_].done;
    auto next = from.early.lower_bound({sink_, done});
    from.early.erase(from.early.lower_bound({sink_, 0}), next);  // the place has moved over them
    std::vector<std::uint64_t> all;
    for (; next != from.early.end() && next->first == sink_; ++next) all.push_back(next->second - done);
    return all;
}

clock::time_point cursor::wake_at() const {
    auto when = state_.adopt_at;
    for (const auto& set : state_.sets) {
        if (!next_in(*set)) continue;
        // Of what one set waits for the latest, of all sets the earliest.
        const auto due = set == state_.own ? fresh_since_ + state_.settings.batch_age : replay_at_;
        when = std::min(when, std::max(due, set->holds[sink_].until));
    }
    return when;
}

void cursor::arrived(std::uint64_t events) {
    // The age of a batch is that of its oldest event: it begins with the first that finds none waiting.
    if (state_.own->left_for(sink_) == events) fresh_since_ = clock::now();
}

/// Each record's place is kept, so that a sink that takes only a part of the batch can be noted to the byte. After a
/// failed read nothing of the batch is used: it is read again, with what follows it. Where nothing whole is found the
/// rest of the segment is given up, unless it was a stop that ended the search: that says nothing of the bytes, and the
/// next run looks again.
bool cursor::read_batch(batch& into, const in_hand& next) {
    const auto& options = state_.settings;
    into.events.clear();
    std::vector<segment::place> places;
    places.reserve(options.batch_events);
    std::uint64_t records = 0;
    search watch(*this);
    record_reader reader(state_.files, next.from->file.get(), next.from->secret(), next.first, next.end, &watch);
    try {
        records = read_records(reader, watch, next.end, next.early, options, into.events, places);
    } catch (const std::system_error& error) {
        into.events.clear();
        hold_off(error.code().message());
        return false;
    }
    if (into.events.empty()) {
        if (reader.stopped())
            put_down("a stop has ended the search for what is whole after damaged bytes");
        else
            give_up_segment("its bytes are not those that were written");
        return false;
    }
    bool well = true;
    {
        const std::scoped_lock lock(state_.mutex);
        well = std::exchange(taken_.set->holds[sink_], {}).failures == 0;
    }
    if (!well) state_.note_readable();
    const std::scoped_lock lock(state_.mutex);
    taken_.behind = reader.at();
    taken_.events = records;
    for (auto& place : places) place.done += taken_.from->sinks[sink_].done;
    taken_.places = std::move(places);
    if (taken_.set != state_.own && options.replay_rate > 0)
        replay_at_ = std::max(clock::now(), replay_at_) +
                     std::chrono::nanoseconds(std::chrono::seconds(1)) * into.events.size() / options.replay_rate;
    return true;
}

/// The disk does not let it be read now, which says nothing of what it holds: the set waits, and others go on.
void cursor::hold_off(std::string_view reason) {
    assert(taken_.from && "something is in hand");
    const auto path = taken_.from->path.string();
    state_.note_unreadable(fmt::format("{}: pread: {}", path, reason));
    std::unique_lock lock(state_.mutex);
    auto& hold = taken_.set->holds[sink_];
    ++hold.failures;
    hold.in_stop += state_.closed ? 1U : 0U;
    // A stop cannot wait for a disk that may be away for good; what is left is not lost, but the next run's.
    if (hold.in_stop >= tries_in_stop) {
        lock.unlock();
        return put_down(reason);
    }
    hold.until = clock::now() + (state_.closed ? pause_in_stop : state_.pause_after(hold.failures));
    taken_ = {};
}

/// In a stop: what is in hand stays in the spool, and so does all after it.
void cursor::put_down(std::string_view reason) {
    lifecycle::lines(state_.log)
        .warn("tracker: {events} events in {path} could not be read before the end and stay in the spool: {error}",
              taken_.events, taken_.from->path.string(), reason);
    const std::scoped_lock lock(state_.mutex);
    taken_.set->holds[sink_].until = clock::time_point::max();
    taken_ = {};
}

/// A disk that has lost what it was given: all that the segment had when it was looked at is gone.
void cursor::give_up_segment(std::string_view reason) {
    lifecycle::lines(state_.log)
        .error("tracker: {events} events in {path} cannot be read and are lost, the file is kept: {error}",
               taken_.events, taken_.from->path.string(), reason);
    move_on(true);
}

void cursor::settle(const batch&, outcome how) {
    assert(taken_.from && "only what was taken is settled");
    if (how == outcome::delivered) return move_on(false);
    const std::scoped_lock lock(state_.mutex);
    // Late: nothing of it counts as delivered, and nothing is noted.
    given_up_ = true;
    taken_ = {};
}

void cursor::settle_part(batch& taken, std::size_t first, std::size_t count) {
    assert(first + count <= taken.events.size() && taken.events.size() == taken_.places.size() && "a place for each");
    const auto from = static_cast<std::ptrdiff_t>(first);
    const auto to = from + static_cast<std::ptrdiff_t>(count);
    // The sink has taken these, so they are not part of the next try; the places must follow, or the notes would be
    // wrong.
    taken.events.erase(taken.events.begin() + from, taken.events.begin() + to);
    {
        const std::scoped_lock lock(state_.mutex);
        taken_.places.erase(taken_.places.begin() + from, taken_.places.begin() + to);
    }
    note_front();
}

void cursor::bury(batch& taken, std::size_t index) {
    {
        const std::scoped_lock lock(state_.mutex);
        assert(index < taken_.places.size());
        // By its number in the segment: another sink may still deliver it, and the account counts it once.
        taken_.from->dead.insert(taken_.places[index].done);
    }
    settle_part(taken, index, 1);
}

void cursor::give_back(batch& taken) {
    const auto& options = state_.settings;
    const std::scoped_lock lock(state_.mutex);
    // What was taken before others in front of it does not come again.
    auto left = taken_.places.begin();
    const auto first = taken_.from->sinks[sink_].done;
    assert(left != taken_.places.end() && left->done == first && "what is left begins where the sink is");
    for (auto number = first; number < first + taken_.events; ++number) {
        if (left != taken_.places.end() && left->done == number)
            ++left;
        else
            taken_.from->early.emplace(sink_, number);
    }
    if (taken_.set != state_.own && options.replay_rate > 0)
        // It was not delivered, so it must not count against the rate.
        replay_at_ -= std::chrono::nanoseconds(std::chrono::seconds(1)) * taken.events.size() / options.replay_rate;
    taken.events.clear();
    taken_ = {};
}

/// What is left of the batch begins later than it did: so does this sink from now on, whatever becomes of the rest.
/// Where nothing is left, `settle` says so.
void cursor::note_front() {
    segment_set_ptr set;
    std::uint64_t number = 0;
    segment::place front;
    {
        const std::scoped_lock lock(state_.mutex);
        if (taken_.places.empty()) return;
        front = taken_.places.front();
        auto& place = taken_.from->sinks[sink_];
        if (place.done == front.done) return;
        const auto before = taken_.from->done();
        assert(place.done < front.done && front.done - place.done <= taken_.events && "the front only moves on");
        taken_.events -= front.done - place.done;
        place = front;
        state_.count_done(*taken_.from, before);
        set = taken_.set;
        number = taken_.from->number;
    }
    note_delivered(*set, sink_, number, front.offset);
}

/// This sink is done with what is in hand: the next batch begins after it.
void cursor::move_on(bool lost) {
    in_hand was;
    std::vector<segment_ptr> done;
    bool emptied = false;
    {
        const std::scoped_lock lock(state_.mutex);
        was = std::exchange(taken_, {});
        assert(was.from && was.set && "something is in hand");
        auto& from = *was.from;
        const auto before = from.done();
        auto& place = from.sinks[sink_];
        if (lost) {
            // The file is kept for a person to look at; the account has the events as damaged.
            from.keep = true;
            from.lost_from = from.lost_to == 0 ? place.done : std::min(from.lost_from, place.done);
            from.lost_to = std::max(from.lost_to, place.done + was.events);
        }
        assert(was.behind >= place.offset && place.done + was.events <= from.records && "the place only moves on");
        place = {place.done + was.events, was.behind};
        state_.count_done(from, before);
        done = state_.take_done_segments(*was.set);
        emptied = was.set != state_.own && was.set->segments.empty();
        if (emptied) {
            state_.sets.remove(was.set);
            state_.adopt_at = {};  // there may be more than could be held at once
        }
    }
    // In this order: a process that dies in between delivers some events twice, and loses none.
    const bool goes = (done.empty() && !emptied) ||
                      state_.sinks_have_it_for_good(was.set, done.empty() ? was.from->number : done.front()->number);
    // If they do not have it for good the note stays behind (see sinks_have_it_for_good), and so do the files.
    note_delivered(*was.set, sink_, was.from->number, was.behind);
    if (!goes) return;
    for (const auto& segment : done) remove_segment(*segment);
    if (emptied) remove_segment_set(*was.set);
}

void cursor::pause_while_open(clock::time_point when) {
    std::unique_lock lock(state_.mutex);
    state_.closing.wait_until(lock, when, [&] { return state_.closed; });
}

std::uint64_t cursor::queued() const {
    const std::scoped_lock lock(state_.mutex);
    std::uint64_t all = 0;
    for (const auto& set : state_.sets) all += set->left_for(sink_);
    return all;
}

}  // namespace tracker
