#include "tracker/spool.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"
#include "tracker/spool_cursor.hpp"
#include "tracker/stranded.hpp"

namespace tracker {
namespace {

using lifecycle::clock;

/// Sets at one time. Each has three descriptors or more; who cannot deliver while others crash must not run out.
constexpr std::size_t most_sets = 16;

/// A log that says the same thing at every try hides everything else.
constexpr std::chrono::seconds between_lines{5};

/// Before a call is made again that the disk has failed, doubled each time.
constexpr std::chrono::milliseconds first_pause{10};

}  // namespace

/// A look at what earlier runs have left: how much of it is to come, that a stop ends it, and what a disk that fails
/// means for it.
class spool::recovery final : public reading_watch, public patience {
public:
    explicit recovery(spool& of) : spool_(of) {}
    ~recovery() override { forget(); }
    recovery(const recovery&) = delete;
    recovery& operator=(const recovery&) = delete;

    void expects(std::uint64_t bytes) override {
        forget();
        left_ = bytes;
        spool_.recovery_left_ += bytes;
    }
    bool has_read(std::uint64_t bytes) override {
        const auto part = std::min(bytes, left_);  // behind damage some are read again
        left_ -= part;
        spool_.recovery_left_ -= part;
        if (!said_ && clock::now() > began_ + std::chrono::seconds(1)) {
            said_ = true;
            lifecycle::lines(spool_.log_)
                .info(
                    "tracker: looking at what an earlier run has left, {bytes} bytes are to come; its events are "
                    "delivered after that",
                    left_);
        }
        return spool_.closed();
    }

    bool waits(std::string_view file, std::string_view call, int error, unsigned times) override {
        spool_.note_unreadable(fmt::format("{}: {}: {}", file, call, std::generic_category().message(error)));
        std::unique_lock lock(spool_.mutex_);
        spool_.adoption_fails_ = true;
        if (times >= patient_disk::most_tries) return false;
        const auto pause = std::min(spool_.pause_after(times), first_pause * (1U << times));
        return !spool_.closing_.wait_for(lock, pause, [this] { return spool_.closed_; });
    }
    void is_over() override {
        {
            const std::scoped_lock lock(spool_.mutex_);
            spool_.adoption_fails_ = failed;
        }
        spool_.note_readable();
    }

    bool failed = false;  ///< something could not be read however often it was tried

private:
    void forget() { spool_.recovery_left_ -= std::exchange(left_, 0); }

    spool& spool_;
    const clock::time_point began_ = clock::now();
    std::uint64_t left_ = 0;
    bool said_ = false;
};

spool::spool(const options& options, spdlog::logger& log, disk* other)
    : options_(options),
      directory_(std::filesystem::path(options.directory) / "spool"),
      segment_bytes_(std::clamp(options.segment_bytes, options.spool_bytes / 32, options.spool_bytes / 4)),
      log_(log),
      disk_(other != nullptr ? *other : real_) {
    try {
        own_ = make_segment_set(directory_, options.sinks, options.durability == durability::disk, disk_);
    } catch (const std::system_error& error) {
        throw std::runtime_error(
            fmt::format("tracker.directory '{}': the spool cannot be made: {}; make it writable for this user or "
                        "name another directory",
                        options.directory, error.code().message()));
    }
    sets_.push_back(own_);
    for (std::size_t i = 0; i < options_.sinks.size(); ++i) cursors_.push_back(std::make_unique<cursor>(*this, i));
}

spool::~spool() { finish(); }

void spool::finish() {
    if (std::exchange(finished_, true) || own_->left() > 0) return;
    const auto& segments = own_->segments;
    if (!segments.empty() && !sinks_have_it_for_good(own_, segments.front()->number)) return;
    if (own_->kept_from > 0) return;
    for (const auto& one : segments) remove_segment(*one);
    remove_segment_set(*own_);
}

backlog& spool::of_sink(std::size_t index) { return *cursors_.at(index); }

void spool::adopt_free_sets() {
    {
        const std::scoped_lock lock(mutex_);
        if (clock::now() < adopt_at_ || closed_) return;
        adopt_at_ = clock::now() + options_.adopt_interval;
    }
    leftovers over;
    recovery look(*this);
    patient_disk files(disk_, look);
    try {
        for (const auto& directory : sets_in(directory_, files)) {
            if (full()) break;
            if (must_wait(directory, options_.sinks)) continue;
            if (!adopt(directory, {.files = files, .watch = &look}, over)) look.failed = true;
        }
    } catch (const std::system_error& error) {
        note_unreadable(error.what());
        look.failed = true;
    }
    {
        const std::scoped_lock lock(mutex_);
        adoption_fails_ = look.failed;
        adoption_failures_ = look.failed ? adoption_failures_ + 1 : 0;
        if (look.failed) adopt_at_ = clock::now() + pause_after(adoption_failures_);
    }
    note_readable();
    // After all that is left has been taken over, since it may wait.
    if ((over.delivered.empty() && over.empty.empty()) || !sinks_have_it_for_good(nullptr, 0)) return;
    for (const auto& one : over.delivered) remove_segment(*one);
    for (const auto& one : over.empty) remove_segment_set(*one);
}

/// False when the disk does not let it be read: it is tried again.
bool spool::adopt(const std::filesystem::path& directory, const reading& how, leftovers& over) try {
    // One that is ours is locked, by ourselves.
    const auto set = adopt_segment_set(directory, options_.sinks, log_, how);
    if (!set) return true;
    std::ranges::move(set->delivered, std::back_inserter(over.delivered));
    stranded_ += set->stranded;
    const auto events = set->left();
    if (events == 0) {
        over.empty.push_back(set);
        return true;
    }
    lifecycle::lines(log_).warn(
        "tracker: recovered {events} events that an earlier run had accepted and not delivered ({spool})", events,
        set->name());
    {
        const std::scoped_lock lock(mutex_);
        sets_.insert(std::ranges::find(sets_, own_), set);
        recovered_ += events;
    }
    arrived_.notify_all();
    return true;
} catch (const std::system_error& error) {
    if (error.code() == std::errc::no_such_file_or_directory || closed()) return true;
    note_unreadable(error.what());
    return false;
}

std::chrono::milliseconds spool::pause_after(unsigned failures) const {
    const auto first = std::max(options_.retry_initial, std::chrono::milliseconds(1));
    const auto most = std::max(options_.retry_max, first);
    return std::min(most, first * (1U << std::min(failures, 12U)));
}

bool spool::readable() const {
    const std::scoped_lock lock(mutex_);
    const auto held = [](const auto& hold) { return hold.failures > 0; };
    return !adoption_fails_ &&
           std::ranges::none_of(sets_, [&](const auto& set) { return std::ranges::any_of(set->holds, held); });
}

void spool::note_unreadable(std::string_view what) {
    std::uint64_t times = 0;
    {
        const std::scoped_lock lock(mutex_);
        times = ++read_failures_;
        const auto now = clock::now();
        if (times > 1 && now < last_read_line_ + between_lines) return;
        last_read_line_ = now;
    }
    lifecycle::lines(log_).error(
        "tracker: the spool cannot be read ({failures} times now), nothing is given up and it is tried again; look at "
        "the disk and its mount: {error}",
        times, what);
}

void spool::note_readable() {
    if (!readable()) return;
    std::uint64_t times = 0;
    {
        const std::scoped_lock lock(mutex_);
        times = std::exchange(read_failures_, 0);
    }
    if (times > 0) lifecycle::lines(log_).info("tracker: the spool can be read again after {failures} failures", times);
}

void spool::apply(const options& fresh) {
    const std::scoped_lock lock(mutex_);
    options_.overflow = fresh.overflow;
}

bool spool::full() const {
    const std::scoped_lock lock(mutex_);
    return sets_.size() >= most_sets;
}

/// Those behind `from` that every sink is now done with go to their column.
void spool::count_done(const segment& in, std::uint64_t from) {
    const auto to = in.done();
    const auto lost_from = std::clamp(in.lost_from, from, to);
    const auto lost_to = std::clamp(in.lost_to, from, to);
    const auto dead_in = [&in](std::uint64_t first, std::uint64_t last) {
        return static_cast<std::uint64_t>(std::distance(in.dead.lower_bound(first), in.dead.lower_bound(last)));
    };
    const auto dead = dead_in(from, lost_from) + dead_in(lost_to, to);
    dropped_damaged_ += lost_to - lost_from;
    dropped_dead_letter_ += dead;
    delivered_ += to - from - dead - (lost_to - lost_from);
}

std::vector<spool::segment_ptr> spool::take_done_segments(segment_set& set) const {
    std::vector<segment_ptr> done;
    while (!set.segments.empty() && set.segments.front()->left() == 0 && set.segments.front() != current_) {
        done.push_back(set.segments.front());
        set.segments.pop_front();
    }
    return done;
}

/// Whether what all sinks have may go. Where one of them says no, it stays, with all that it was given since it last
/// said yes: the sets are noted as delivered no further than that, for the next run.
bool spool::sinks_have_it_for_good(const segment_set_ptr& set, std::uint64_t first) {
    try {
        if (sync_sinks_) sync_sinks_();
        return true;
    } catch (const std::exception& failure) {
        lifecycle::lines(log_).error(
            "tracker: what has been delivered stays in the spool, for the next run to deliver again: {error}",
            failure.what());
    }
    std::vector<segment_set_ptr> kept;
    {
        const std::scoped_lock lock(mutex_);
        if (set && set->kept_from == 0) set->kept_from = first;
        for (const auto& one : sets_)
            if (one->kept_from == 0 && !one->segments.empty()) one->kept_from = one->segments.front()->number;
        kept.assign(sets_.begin(), sets_.end());
    }
    if (set) kept.push_back(set);
    for (const auto& one : kept)
        for (std::size_t sink = 0; sink < one->marks.size(); ++sink)
            if (one->kept_from > 0) note_delivered(*one, sink, one->kept_from, 0);
    return false;
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

account spool::account() const {
    tracker::account account;
    const std::scoped_lock lock(mutex_);
    account.accepted = accepted_;
    account.recovered = recovered_;
    account.delivered = delivered_;
    for (const auto& set : sets_) account.queued += set->left();
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
