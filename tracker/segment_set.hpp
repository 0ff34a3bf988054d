#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tracker/descriptor.hpp"
#include "tracker/disk.hpp"
#include "tracker/record.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// A file of records. It stays open until it is delivered: one that is removed under us can still be read.
struct segment {
    std::uint64_t number = 0;
    std::filesystem::path path;
    descriptor file;
    std::uint64_t size = 0;     ///< bytes up to and with the last whole record
    std::uint64_t records = 0;  ///< not delivered yet
    std::uint64_t torn = 0;     ///< bytes behind `size`, left by a process or a machine that died
    std::uint64_t damaged = 0;  ///< bytes between records that are none
    bool keep = false;          ///< it cannot be read: removed from the spool, but not from the disk
};

/// `<tracker.directory>/spool/<set>`: the segments that one process has written. Whoever holds the lock
/// in it owns it: the process that made it or, after that, the one that adopted it.
///
/// The functions below throw std::system_error. No thread safety of its own.
struct segment_set {
    std::filesystem::path directory;
    descriptor folder;  ///< the directory itself
    descriptor lock;
    descriptor mark;
    std::deque<std::shared_ptr<segment>> segments;   ///< oldest first
    std::uint64_t read_from = segment_magic.size();  ///< first byte not delivered, in segments.front()

    std::uint64_t records() const noexcept;  ///< not delivered yet
    std::uint64_t bytes() const noexcept;
    std::string name() const { return directory.filename().string(); }
};
using segment_set_ptr = std::shared_ptr<segment_set>;

/// A new, empty one, locked before anyone can see it. `durable`: its name survives a loss of power.
segment_set_ptr make_segment_set(const std::filesystem::path& spool, bool durable, disk& disk);

/// Looks at what is there, without a lock and without a change. Reads every record, until `cancelled`:
/// then null.
segment_set_ptr load_segment_set(const std::filesystem::path& directory, const std::function<bool()>& cancelled = {});

/// Becomes the owner, removes what was delivered and reports torn tails. Null when it has an owner.
segment_set_ptr adopt_segment_set(const std::filesystem::path& directory, spdlog::logger& log,
                                  const std::function<bool()>& cancelled = {});

/// The sets in a spool, oldest first.
std::vector<std::filesystem::path> sets_in(const std::filesystem::path& spool);

/// Notes that all before this place has been delivered. Overwritten in place; not synced, since an
/// older note only means twins. Never throws: the same is true of a note that fails.
void note_delivered(const segment_set& set, std::uint64_t segment, std::uint64_t offset) noexcept;

/// A segment is done: removes its file, or gives it a name that is no segment's if it is to be kept.
void remove_segment(const segment& one) noexcept;

/// Removes the directory of a set without segments.
void remove_segment_set(const segment_set& set) noexcept;

}  // namespace tracker
