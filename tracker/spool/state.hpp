#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "lifecycle/context.hpp"
#include "tracker/account.hpp"
#include "tracker/disk.hpp"
#include "tracker/failure_log.hpp"
#include "tracker/options.hpp"
#include "tracker/spool/disks.hpp"
#include "tracker/spool/segment_set.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

using segment_ptr = std::shared_ptr<segment>;

/// Events by what has become of them; those that wait are in the segments.
struct spool_counts {
    std::uint64_t accepted = 0, recovered = 0, delivered = 0;
    std::uint64_t dropped_full = 0, dropped_dead_letter = 0, dropped_unwritable = 0, dropped_damaged = 0;
};

/// What the parts of a spool share: the appender, the adoption of what earlier runs have left and, for each sink, the
/// cursor. It belongs to the spool and lives as long.
///
/// Threads: the mutex guards what stands below it, and is never held during I/O; what stands above does not change
/// while there are threads. The functions are safe from any thread, but those that want the mutex held.
struct spool_state {
    /// `other`: a disk in place of the real one, which must outlive it.
    spool_state(const options& options, spdlog::logger& to, disk* other);
    spool_state(const spool_state&) = delete;
    spool_state& operator=(const spool_state&) = delete;

    void close();
    bool is_closed() const;

    /// False while something of it cannot be read: it is tried again, and nothing is given up.
    bool readable() const;
    void note_unreadable(std::string_view what);
    void note_readable();
    std::chrono::milliseconds pause_after(unsigned failures) const;

    /// Whether what all sinks have may go. Where one of them says no, it stays, with all that it was given since it
    /// last said yes: the sets, and `set` from segment `first`, are noted as delivered no further than that, for the
    /// next run.
    bool sinks_have_it_for_good(const segment_set_ptr& set, std::uint64_t first);

    tracker::account account() const;

    // With the mutex held.

    /// Of the records of a segment that every sink is now done with, those from `from` on get into their columns.
    void count_done(const segment& in, std::uint64_t from);
    /// Takes the segments at the front of the set that every sink is done with out of it.
    std::vector<segment_ptr> take_done_segments(segment_set& set) const;

    tracker::disk real;
    counting_disk files;
    const std::filesystem::path directory;
    spdlog::logger& log;
    std::function<void()> sync_sinks;  ///< see spool::before_removal

    mutable std::mutex mutex;
    std::condition_variable arrived;  ///< events, sets, the end
    std::condition_variable closing;
    tracker::options settings;
    segment_set_ptr own;              ///< also in `sets`
    segment_ptr current;              ///< where the next record goes; null: a new one is made
    std::list<segment_set_ptr> sets;  ///< oldest first, all that hold records or may get some
    bool closed = false;
    bool adoption_fails = false;  ///< since the disk does
    lifecycle::clock::time_point adopt_at{};
    failure_log reading;
    spool_counts counts;
};

}  // namespace tracker
