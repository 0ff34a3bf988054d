#include "tracker/spool.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tracker {
namespace {

using lifecycle::clock;

/// Sets at one time. Each has three descriptors or more; who cannot deliver while others crash must not run out.
constexpr std::size_t most_sets = 16;

bool ready(const segment_set& set) { return !set.segments.empty() && set.segments.front()->records > 0; }

}  // namespace

spool::spool(const options& options, spdlog::logger& log, disk* other)
    : options_(options),
      directory_(std::filesystem::path(options.directory) / "spool"),
      segment_bytes_(std::clamp(options.segment_bytes, options.spool_bytes / 32, options.spool_bytes / 4)),
      log_(log),
      disk_(other != nullptr ? *other : real_) {
    try {
        own_ = make_segment_set(directory_, options.durability == durability::disk, disk_);
    } catch (const std::system_error& error) {
        throw std::runtime_error(
            fmt::format("tracker.directory '{}': the spool cannot be made: {}; make it writable for this user or "
                        "name another directory",
                        options.directory, error.code().message()));
    }
    sets_.push_back(own_);
}

spool::~spool() {
    if (own_->records() > 0) return;
    for (const auto& one : own_->segments) remove_segment(*one);
    remove_segment_set(*own_);
}

bool spool::take(batch& into) {
    for (;;) {
        adopt_free_sets();
        in_hand next;
        {
            std::unique_lock lock(mutex_);
            if (given_up_) return false;
            if (!choose(clock::now())) {
                if (closed_) return false;
                arrived_.wait_until(lock, wake_at());
                continue;
            }
            next = taken_;
        }
        if (read_batch(into, next)) return true;
    }
}

void spool::adopt_free_sets() {
    if (clock::now() < adopt_at_ || closed()) return;
    adopt_at_ = clock::now() + options_.adopt_interval;
    for (const auto& directory : sets_in(directory_)) try {
            if (full()) return;
            // One that is ours is locked, by ourselves.
            const auto set = adopt_segment_set(directory, log_, [this] { return closed(); });
            if (!set) continue;
            const auto events = set->records();
            if (events == 0) {
                remove_segment_set(*set);
                continue;
            }
            log_.warn("tracker: recovered {} events that an earlier run had accepted and not delivered ({})", events,
                      set->name());
            const std::scoped_lock lock(mutex_);
            sets_.insert(std::ranges::find(sets_, own_), set);
            recovered_ += events;
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::no_such_file_or_directory)
                log_.error("tracker: {} cannot be taken over: {}", directory.string(), error.what());
        }
}

bool spool::full() const {
    const std::scoped_lock lock(mutex_);
    return sets_.size() >= most_sets;
}

segment_set_ptr spool::oldest_set() const {
    const auto waits = [this](const auto& set) { return set != own_ && ready(*set); };
    const auto found = std::ranges::find_if(sets_, waits);
    return found == sets_.end() ? nullptr : *found;
}

bool spool::fresh_is_due(clock::time_point now) const {
    return ready(*own_) &&
           (closed_ || now >= fresh_since_ + options_.batch_age || own_->records() >= options_.batch_events);
}

/// New events and old ones take turns when both wait, so that neither holds up the other.
bool spool::choose(clock::time_point now) {
    const bool fresh = fresh_is_due(now);
    auto set = closed_ || now >= replay_at_ ? oldest_set() : nullptr;
    if (fresh && (!set || !last_was_fresh_)) set = own_;
    if (!set) return false;
    last_was_fresh_ = set == own_;
    const auto& from = set->segments.front();
    taken_ = {set, from, set->read_from, from->size, from->size, from->records};
    return true;
}

clock::time_point spool::wake_at() const {
    auto when = adopt_at_;
    if (ready(*own_)) when = std::min(when, fresh_since_ + options_.batch_age);
    if (oldest_set()) when = std::min(when, replay_at_);
    return when;
}

bool spool::read_batch(batch& into, in_hand& next) {
    into.events.clear();
    record_reader reader(next.from->file.get(), next.first, next.end);
    try {
        std::size_t bytes = 0;
        event one;
        while (into.events.size() < options_.batch_events && bytes < options_.batch_bytes) {
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
    const std::scoped_lock lock(mutex_);
    taken_.behind = reader.at();
    taken_.events = into.events.size();
    if (taken_.set != own_ && options_.replay_rate > 0)
        replay_at_ = std::max(clock::now(), replay_at_) +
                     std::chrono::nanoseconds(std::chrono::seconds(1)) * into.events.size() / options_.replay_rate;
    return true;
}

/// A disk that has lost what it was given: all that the segment had when it was looked at is gone.
void spool::give_up_segment(std::string_view reason) {
    log_.error("tracker: {} events in {} cannot be read and are lost, the file is kept: {}", taken_.events,
               taken_.from->path.string(), reason);
    {
        const std::scoped_lock lock(mutex_);
        taken_.from->keep = true;
    }
    move_on(dropped_damaged_);
}

void spool::settle(const batch&, outcome how) {
    if (how == outcome::delivered) return move_on(delivered_);
    const std::scoped_lock lock(mutex_);
    given_up_ = true;
    taken_ = {};
}

void spool::bury(batch& taken, std::size_t index) {
    taken.events.erase(taken.events.begin() + static_cast<std::ptrdiff_t>(index));
    const std::scoped_lock lock(mutex_);
    ++dropped_dead_letter_;
    --taken_.events;
    --taken_.from->records;
}

/// What is in hand goes to `column`, and the next batch begins behind it.
void spool::move_on(std::uint64_t& column) {
    in_hand was;
    std::vector<segment_ptr> done;
    bool emptied = false;
    {
        const std::scoped_lock lock(mutex_);
        was = std::exchange(taken_, {});
        column += was.events;
        was.from->records -= was.events;
        was.set->read_from = was.behind;
        done = take_done_segments(*was.set);
        emptied = was.set != own_ && was.set->segments.empty();
        if (emptied) sets_.remove(was.set);
    }
    // In this order: who dies in between delivers twins, and loses nothing.
    note_delivered(*was.set, was.from->number, was.behind);
    for (const auto& one : done) remove_segment(*one);
    if (!emptied) return;
    remove_segment_set(*was.set);
    adopt_at_ = {};  // there may be more than could be held at once
}

std::vector<spool::segment_ptr> spool::take_done_segments(segment_set& set) {
    std::vector<segment_ptr> done;
    while (!set.segments.empty()) {
        const auto& front = set.segments.front();
        if (front->records > 0 || front == current_ || front == taken_.from) break;
        done.push_back(front);
        set.segments.pop_front();
        set.read_from = segment_magic.size();
    }
    return done;
}

void spool::close() {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
    }
    arrived_.notify_all();
    closing_.notify_all();
}

bool spool::closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
}

void spool::pause_while_open(clock::time_point when) {
    std::unique_lock lock(mutex_);
    closing_.wait_until(lock, when, [&] { return closed_; });
}

std::uint64_t spool::queued() const { return account().queued; }

account spool::account() const {
    tracker::account account;
    const std::scoped_lock lock(mutex_);
    account.accepted = accepted_;
    account.recovered = recovered_;
    account.delivered = delivered_;
    for (const auto& set : sets_) account.queued += set->records();
    const auto dropped = [&](const char* reason, std::uint64_t events) {
        if (events > 0) account.dropped[reason] = events;
    };
    dropped("overflow", dropped_full_);
    dropped("dead_letter", dropped_dead_letter_);
    dropped("unwritable", dropped_unwritable_);
    dropped("damaged", dropped_damaged_);
    return account;
}

}  // namespace tracker
