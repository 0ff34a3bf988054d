#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lifecycle/context.hpp"
#include "tracker/descriptor.hpp"
#include "tracker/disk.hpp"
#include "tracker/spool/record_reader.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// A file of records. It stays open until it is delivered: one that is removed under us can still be read.
struct segment {
    /// How far a sink has got.
    struct place {
        std::uint64_t done = 0;  ///< of the `records`
        std::uint64_t offset = 0;
    };

    std::uint64_t number = 0;
    std::filesystem::path path;
    descriptor file;
    std::optional<segment_key> key;  ///< none: of the first version
    std::uint64_t size = 0;          ///< bytes up to and with the last whole record
    std::uint64_t records = 0;       ///< all but those that every sink had when it was opened
    std::vector<place> sinks;        ///< in the order of options.sinks
    std::set<std::uint64_t> dead;    ///< of the `records`, those that some sink will never take
    /// Each with the number of a sink that has had it before others in front of it.
    std::set<std::pair<std::size_t, std::uint64_t>> early;
    std::uint64_t lost_from = 0;  ///< the records from here …
    std::uint64_t lost_to = 0;    ///< … up to here could not be read
    std::uint64_t torn = 0;       ///< bytes after `size`, left by a process or a machine that died
    std::uint64_t damaged = 0;    ///< bytes between records that belong to none
    /// Something in it is no event that could be delivered: removed from the spool, but not from the disk.
    bool keep = false;
    bool no_file = false;  ///< a directory, a FIFO, a link …: it is not even opened to be read

    std::uint64_t done() const noexcept;  ///< records that every sink is done with
    std::uint64_t left() const noexcept { return records - done(); }
    const segment_key* secret() const noexcept { return key ? &*key : nullptr; }
};

/// `<tracker.directory>/spool/<set>`: the segments that one process has written. The process that holds the lock in it
/// owns it: the one that made it or, after that, the one that adopted it.
///
/// The functions below throw std::system_error. No thread safety of its own.
struct segment_set {
    /// Whether a sink waits before it reads again, because the disk has failed.
    struct hold {
        unsigned failures = 0;                 ///< in a row
        unsigned in_stop = 0;                  ///< of those, since the spool was closed
        lifecycle::clock::time_point until{};  ///< max(): not by this process
    };

    std::filesystem::path directory;
    descriptor folder;  ///< the directory itself; none: it has not been made
    descriptor lock;
    std::vector<descriptor> marks;                    ///< one a sink
    std::vector<hold> holds;                          ///< one a sink
    std::deque<std::shared_ptr<segment>> segments;    ///< oldest first
    std::vector<std::shared_ptr<segment>> delivered;  ///< by the run before: they can go
    /// Above 0: from this segment on a sink may have lost what it was given, and nothing is noted beyond. The set
    /// stays.
    std::atomic<std::uint64_t> kept_from{0};
    std::uint64_t stranded = 0;  ///< events that a sink lacks that is not in the settings any more, and no other gets

    std::uint64_t left() const noexcept;  ///< records that not every sink is done with
    std::uint64_t left_for(std::size_t sink) const noexcept;
    std::uint64_t bytes() const noexcept;
    std::string name() const { return directory.filename().string(); }
};
using segment_set_ptr = std::shared_ptr<segment_set>;

/// One that the disk has not let us make yet: without a directory, and nothing is ever in it.
segment_set_ptr no_segment_set(std::size_t sinks);

/// A new, empty one, locked before anyone can see it. `durable`: its name survives a loss of power. Leaves nothing
/// behind when it throws, as far as the disk lets it.
segment_set_ptr make_segment_set(const std::filesystem::path& spool, const std::vector<std::string>& sinks,
                                 bool durable, disk& disk);

/// How a set is looked at.
struct reading {
    disk& files;
    reading_watch* watch = nullptr;  ///< may end it, and then there is no set
};

/// Looks at what is there, without a lock and without a change. A sink that has left no note begins where the
/// slowest of those did that have; no `sinks`: one that is that slowest. Reads every record; null when its watch has
/// ended that.
segment_set_ptr load_segment_set(const std::filesystem::path& directory, const std::vector<std::string>& sinks,
                                 const reading& how);

/// Becomes the owner, sets apart what was delivered, sets aside what is no segment, and reports torn tails. Null when
/// it has an owner.
segment_set_ptr adopt_segment_set(const std::filesystem::path& directory, const std::vector<std::string>& sinks,
                                  spdlog::logger& log, const reading& how);

/// The sets in a spool, oldest first; none where there is no spool.
std::vector<std::filesystem::path> sets_in(const std::filesystem::path& spool, disk& files);
std::vector<std::filesystem::path> sets_in(const std::filesystem::path& spool);

/// Notes that all before this place has been delivered to `sink`. Overwritten in place; not synced, since an older note
/// only means duplicates. Never throws: the same is true of a note that fails.
void note_delivered(const segment_set& set, std::size_t sink, std::uint64_t segment, std::uint64_t offset) noexcept;

/// A segment is done: removes its file, or gives it a name that is no segment's if it is to be kept.
void remove_segment(const segment& segment) noexcept;

/// Removes the directory of a set without segments.
void remove_segment_set(const segment_set& set) noexcept;

}  // namespace tracker
