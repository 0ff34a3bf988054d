#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tracker/account.hpp"
#include "tracker/backlog.hpp"
#include "tracker/segment_set.hpp"
#include "tracker/spool_disk.hpp"

namespace tracker {

/// The backlog on disk: what has been appended survives this process, and with durability `disk` the
/// machine. docs/spool-format.md says how it is written, docs/tracker.md what is lost when.
///
///     append ─▶ own set of segments ─┐
///     adopt ──▶ sets without owner ──┴─ each sink: take, in turns ─▶ in hand ─ settle ─▶ removed when all sinks have
///
/// Threads: one appends, one for each sink takes and settles; everything else is safe from any. The mutex is
/// never held during I/O.
class spool {
public:
    /// Makes `<tracker.directory>/spool` and a set of its own in it, or throws std::runtime_error with one
    /// line that names the directory. Reads nothing. For the sinks that `options` names.
    /// `other`: a disk for tests, which must outlive it.
    spool(const options& options, spdlog::logger& log, disk* other = nullptr);
    /// As `finish` does.
    ~spool();
    spool(const spool&) = delete;
    spool& operator=(const spool&) = delete;

    /// Writes the batch whole, and with durability `disk` waits for the disk. accepted, full or unwritable.
    verdict append(std::span<const event> events);
    /// While unwritable: tries whether the disk takes bytes again.
    void probe();
    /// Events that had been promised no more than memory, and what `append` has said of them.
    void lose(std::uint64_t events, verdict why);
    /// False from the first append that failed to the next that does not.
    bool writable() const noexcept { return writable_.load(std::memory_order_relaxed); }
    /// False while something of it cannot be read: it is tried again, and nothing is given up.
    bool readable() const;
    /// Calls that the disk has failed, by their names.
    std::map<std::string_view, std::uint64_t> disk_errors() const { return disk_.failures(); }
    /// Of what earlier runs have left, bytes that have not been looked at yet.
    std::uint64_t recovery_left() const noexcept { return recovery_left_.load(std::memory_order_relaxed); }

    /// Of `fresh` the policy: `overflow`.
    void apply(const options& fresh);

    /// `sync` is called before the file of a segment goes that all sinks have, and throws when one of them may not have
    /// it for good: then the segment stays, for the next run. Before anything else; called by the delivering threads,
    /// and when the oldest are dropped by the appending one.
    void before_removal(std::function<void()> sync) { sync_sinks_ = std::move(sync); }
    /// No thread appends or delivers any more: what has not been delivered stays, and an empty set goes. Idempotent.
    void finish();

    /// What waits for one sink, by its place in options.sinks; each goes at its own pace.
    backlog& of_sink(std::size_t index);
    void close();
    bool closed() const;

    /// An event is delivered when all sinks have it, and a dead letter when one of them will never take it.
    /// `refused` is not known here, and what is left is `queued`.
    tracker::account account() const;
    /// Events that only a sink lacks which is not in the settings any more. In no other number.
    std::uint64_t stranded() const noexcept { return stranded_.load(std::memory_order_relaxed); }

private:
    using segment_ptr = std::shared_ptr<segment>;
    class cursor;
    class recovery;

    // The appending thread.
    void write(std::string_view bytes);
    void prepare_segment(std::uint64_t bytes);
    void renew_vanished_set();
    void new_segment();
    void seal();
    bool make_room(std::uint64_t bytes);
    void note_failure(std::string_view reason);
    void note_success();

    /// Of earlier runs, delivered by them and not yet removed.
    struct leftovers {
        std::vector<segment_set_ptr> empty;
        std::vector<segment_ptr> delivered;
    };

    // The delivering threads.
    void adopt_free_sets();
    bool adopt(const std::filesystem::path& directory, const reading& how, leftovers& over);
    bool full() const;
    void note_unreadable(std::string_view what);
    void note_readable();
    std::chrono::milliseconds pause_after(unsigned failures) const;
    void count_done(const segment& in, std::uint64_t from);               // mutex held
    std::vector<segment_ptr> take_done_segments(segment_set& set) const;  // mutex held
    bool sinks_have_it_for_good(const segment_set_ptr& set, std::uint64_t first);

    options options_;  ///< what `apply` changes with the mutex held
    const std::filesystem::path directory_;
    const std::uint64_t segment_bytes_;
    spdlog::logger& log_;
    disk real_;
    counting_disk disk_;
    std::function<void()> sync_sinks_;
    bool finished_ = false;

    // Only of the appending thread.
    std::string text_;
    std::uint64_t next_number_ = 1, next_sequence_ = 1;  ///< of the next segment; of the next record in its segment
    lifecycle::clock::time_point last_line_{};
    std::uint64_t failures_ = 0;
    std::atomic<bool> writable_{true};

    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::condition_variable closing_;
    segment_set_ptr own_;              ///< also in `sets_`
    segment_ptr current_;              ///< where the next record goes; null: a new one is made
    std::list<segment_set_ptr> sets_;  ///< oldest first, all that hold records or may get some
    bool closed_ = false;
    bool adoption_fails_ = false;      ///< since the disk does
    unsigned adoption_failures_ = 0;   ///< rounds in a row
    std::uint64_t read_failures_ = 0;  ///< since all could be read
    lifecycle::clock::time_point last_read_line_{};
    lifecycle::clock::time_point adopt_at_{};
    std::atomic<std::uint64_t> stranded_{0};
    std::uint64_t accepted_ = 0, recovered_ = 0, delivered_ = 0;
    std::uint64_t dropped_full_ = 0, dropped_dead_letter_ = 0, dropped_unwritable_ = 0, dropped_damaged_ = 0;
    std::vector<std::unique_ptr<cursor>> cursors_;
    std::atomic<std::uint64_t> recovery_left_{0};
};

/// `--spool-dump`: every event not delivered as a line of JSON on `out`, what the segments are on `err`.
/// Takes no lock and changes nothing. False when there is no spool in `directory`.
bool dump_spool(const std::filesystem::path& directory, std::FILE* out, std::FILE* err);

}  // namespace tracker
