#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>

#include "tracker/account.hpp"
#include "tracker/delivery.hpp"
#include "tracker/disk.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"
#include "tracker/spool/disks.hpp"
#include "tracker/spool/spool.hpp"

namespace tracker {

/// What earlier runs have left where this one would not look: with durability memory there is no spool, so one is
/// opened only to be emptied; what is not delivered at all is counted and named in the log (stranded.hpp).
///
/// Threads: `work` on one of its own; everything else is safe from any. What it is given must outlive it.
class earlier_runs {
public:
    /// `other`: a disk for tests.
    earlier_runs(const options& options, sink& sink, spdlog::logger& log, deadline_function deadline,
                 disk* other = nullptr);

    /// The life of its thread: looks, and with durability memory delivers until it is closed and nothing is left to
    /// try.
    void work();
    /// Nothing new is looked for. Never blocks. Idempotent.
    void close();

    /// Adds what is delivered here; what is left counts as `spooled` once it is `over`, before that as queued.
    void add_to(account& account, bool over) const;
    std::uint64_t stranded() const noexcept { return stranded_.load(std::memory_order_relaxed); }
    std::uint64_t waiting() const;
    bool healthy() const;
    bool readable() const;  ///< false while something that is to be delivered cannot be read
    /// Calls that the disk has failed, by their names.
    std::map<std::string_view, std::uint64_t> disk_errors() const;

private:
    bool may_have_left_events();
    bool open_spool();

    const options options_;  ///< as a spool has them
    const bool delivers_;    ///< the settings have no spool
    sink& sink_;
    spdlog::logger& log_;
    const deadline_function deadline_;
    disk real_;
    counting_disk files_;
    std::atomic<bool> closed_{false};
    std::atomic<std::uint64_t> stranded_{0};

    mutable std::mutex mutex_;  ///< guards that these come into being
    std::unique_ptr<spool> spool_;
    std::unique_ptr<delivery> delivery_;
};

}  // namespace tracker
