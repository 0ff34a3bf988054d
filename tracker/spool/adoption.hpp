#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "tracker/spool/state.hpp"

namespace tracker {

/// Takes over the sets of processes that have ended, so that what they left is delivered: at the start, and then as
/// often as tracker.adopt_interval says.
///
/// Threads: those that deliver call `look`, the first that finds it due does it; the rest is safe from any.
class adoption {
public:
    /// Before the process's own set is made.
    explicit adoption(spool_state& of);

    /// Does nothing before it is due. Throws std::bad_alloc; a disk that fails is looked at again later.
    void look();
    /// Bytes that are to be looked at: of what is being looked at, and of what was there at the start as long as it has
    /// not been. When it is 0, what they held has been counted as recovered.
    std::uint64_t bytes_left() const noexcept { return at_start_.load() + bytes_left_.load(); }
    /// Events that only a sink lacks which is not in the settings any more.
    std::uint64_t stranded() const noexcept { return stranded_.load(std::memory_order_relaxed); }

private:
    class watch;
    /// Of earlier runs, delivered by them and not yet removed.
    struct leftovers {
        std::vector<segment_set_ptr> empty;
        std::vector<segment_ptr> delivered;
    };

    bool adopt(const std::filesystem::path& directory, const reading& how, leftovers& over);
    bool full() const;

    spool_state& state_;
    std::atomic<std::uint64_t> at_start_;  ///< of them, those that the first look has not come to
    std::atomic<std::uint64_t> bytes_left_{0};
    std::atomic<std::uint64_t> stranded_{0};
    unsigned failures_ = 0;  ///< rounds in a row; guarded by the mutex of the state
};

}  // namespace tracker
