#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tracker/account.hpp"
#include "tracker/backlog.hpp"
#include "tracker/disk.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace spdlog {
class logger;
}

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
    /// line that names the directory. A disk that fails, but may work again, ends nothing: the set is made once it
    /// does, by `append` or `probe`, and until then it is not `writable`. Reads nothing. For the sinks that `options`
    /// names.
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
    bool writable() const noexcept;
    /// False while something of it cannot be read: it is tried again, and nothing is given up.
    bool readable() const;
    /// Calls that the disk has failed, by their names.
    std::map<std::string_view, std::uint64_t> disk_errors() const;
    /// Of what earlier runs have left, bytes that have not been looked at yet.
    std::uint64_t recovery_left() const noexcept;

    /// Of `fresh` the policy: `overflow`.
    void apply(const options& fresh);

    /// `sync` is called before the file of a segment goes that all sinks have, and throws when one of them may not have
    /// it for good: then the segment stays, for the next run. Before anything else; called by the delivering threads,
    /// and when the oldest are dropped by the appending one.
    void before_removal(std::function<void()> sync);
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
    std::uint64_t stranded() const noexcept;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

/// `--spool-dump`: every event not delivered as a line of JSON on `out`, what the segments are on `err`.
/// Takes no lock and changes nothing. False when there is no spool in `directory`.
bool dump_spool(const std::filesystem::path& directory, std::FILE* out, std::FILE* err);

}  // namespace tracker
