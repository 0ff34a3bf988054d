#include "tracker/spool/state.hpp"

#include <spdlog/logger.h>

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "lifecycle/lines.hpp"

namespace tracker {

using lifecycle::clock;

spool_state::spool_state(const options& options, spdlog::logger& to, disk* other)
    : files(other != nullptr ? *other : real),
      directory(std::filesystem::path(options.directory) / "spool"),
      log(to),
      settings(options) {}

void spool_state::close() {
    {
        const std::scoped_lock lock(mutex);
        closed = true;
    }
    arrived.notify_all();
    closing.notify_all();
}

bool spool_state::is_closed() const {
    const std::scoped_lock lock(mutex);
    return closed;
}

bool spool_state::readable() const {
    // One set that a sink cannot read is enough: readiness must not say that all is well while events wait for a disk.
    const std::scoped_lock lock(mutex);
    const auto held = [](const auto& hold) { return hold.failures > 0; };
    return !adoption_fails &&
           std::ranges::none_of(sets, [&](const auto& set) { return std::ranges::any_of(set->holds, held); });
}

/// Several cursors and the adoption fail at the same disk: one failure log for all of them, or each would write the
/// line.
void spool_state::note_unreadable(std::string_view what) {
    std::uint64_t times = 0;
    {
        const std::scoped_lock lock(mutex);
        times = reading.failed(clock::now());
    }
    // Said a moment ago; see failure_log.
    if (times == 0) return;
    lifecycle::lines(log).error(
        "tracker: the spool cannot be read (failed attempts: {failures}); nothing is given up, and it is tried again; "
        "look at the disk and its mount: {error}",
        times, what);
}

void spool_state::note_readable() {
    // This set can be read again, but another may not: the line is for all of them.
    if (!readable()) return;
    failure_log::row row;
    {
        const std::scoped_lock lock(mutex);
        row = reading.succeeded();
    }
    if (row.failures == 0) return;
    lifecycle::lines(log).info("tracker: the spool can be read again after {failures} failures", row.failures);
}

std::chrono::milliseconds spool_state::pause_after(unsigned failures) const {
    const auto first = std::max(settings.retry_initial, std::chrono::milliseconds(1));
    const auto most = std::max(settings.retry_max, first);
    // Doubled each time, with the shift bounded: a disk that is away for days must not make it overflow.
    return std::min(most, first * (1U << std::min(failures, 12U)));
}

/// The file of a segment is the only copy of its events that is safe from a loss of power until its sinks have synced
/// what they were given. When that fails nothing that was delivered since the last success can be relied on, whatever
/// set it came from: so every set is marked, and its notes go back, for the next run to deliver again (twice is
/// allowed, lost is not).
bool spool_state::sinks_have_it_for_good(const segment_set_ptr& set, std::uint64_t first) {
    try {
        if (sync_sinks) sync_sinks();
        return true;
    } catch (const std::exception& failure) {
        lifecycle::lines(log).error(
            "tracker: what has been delivered stays in the spool, for the next run to deliver again: {error}",
            failure.what());
    }
    std::vector<segment_set_ptr> kept;
    {
        const std::scoped_lock lock(mutex);
        // The earliest mark counts: what was kept once is kept until the next run.
        if (set && set->kept_from == 0) set->kept_from = first;
        for (const auto& each : sets)
            if (each->kept_from == 0 && !each->segments.empty()) each->kept_from = each->segments.front()->number;
        kept.assign(sets.begin(), sets.end());
    }
    // Its last segment is done, so it may have been taken out of the list already.
    if (set) kept.push_back(set);
    for (const auto& each : kept)
        for (std::size_t sink = 0; sink < each->marks.size(); ++sink)
            if (each->kept_from > 0) note_delivered(*each, sink, each->kept_from, 0);
    return false;
}

account spool_state::account() const {
    tracker::account all;
    const std::scoped_lock lock(mutex);
    all.accepted = counts.accepted;
    all.recovered = counts.recovered;
    all.delivered = counts.delivered;
    // No counter of its own: what waits is what the sets hold.
    for (const auto& set : sets) all.queued += set->left();
    const auto dropped = [&](const char* reason, std::uint64_t events) {
        if (events > 0) all.dropped[reason] = events;
    };
    dropped("overflow", counts.dropped_full);
    dropped("dead_letter", counts.dropped_dead_letter);
    dropped("unwritable", counts.dropped_unwritable);
    dropped("damaged", counts.dropped_damaged);
    return all;
}

void spool_state::count_done(const segment& in, std::uint64_t from) {
    const auto to = in.done();
    assert(from <= to && to <= in.records && "nobody goes back, or beyond the end");
    // Records are done in the order of the file, from `from` to `to`. Of these some could not be read and some are dead
    // letters; a dead one inside the lost range is lost, and must not be counted twice.
    const auto lost_from = std::clamp(in.lost_from, from, to);
    const auto lost_to = std::clamp(in.lost_to, from, to);
    assert(lost_from <= lost_to && "the lost are a range");
    const auto dead_in = [&in](std::uint64_t first, std::uint64_t last) {
        return static_cast<std::uint64_t>(std::distance(in.dead.lower_bound(first), in.dead.lower_bound(last)));
    };
    const auto dead = dead_in(from, lost_from) + dead_in(lost_to, to);
    counts.dropped_damaged += lost_to - lost_from;
    counts.dropped_dead_letter += dead;
    counts.delivered += to - from - dead - (lost_to - lost_from);
}

std::vector<segment_ptr> spool_state::take_done_segments(segment_set& set) const {
    std::vector<segment_ptr> done;
    // Never the one that is written to, although all of it may have been delivered.
    while (!set.segments.empty() && set.segments.front()->left() == 0 && set.segments.front() != current) {
        done.push_back(set.segments.front());
        set.segments.pop_front();
    }
    return done;
}

}  // namespace tracker
