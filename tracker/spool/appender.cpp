#include "tracker/spool/appender.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"
#include "tracker/spool/disks.hpp"
#include "tracker/spool/record.hpp"

namespace tracker {
namespace {

using lifecycle::clock;

/// A block of most file systems: a few bytes may still fit into one that is there, although the disk is full.
constexpr std::size_t probe_bytes = 4096;

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
    throw std::system_error(errno, std::generic_category(), fmt::format("{}: {}", path.string(), what));
}

/// Its last name is gone: what is written to it goes with the descriptor.
bool vanished(const descriptor& file) {
    struct stat status = {};
    return ::fstat(file.get(), &status) == 0 && status.st_nlink == 0;
}

}  // namespace

appender::appender(spool_state& of, const std::vector<std::unique_ptr<cursor>>& takers)
    : state_(of),
      takers_(takers),
      // A quarter at most, since space is freed by whole segments; a 32nd at least, since each has a descriptor.
      segment_bytes_(std::clamp(of.settings.segment_bytes, of.settings.spool_bytes / 32, of.settings.spool_bytes / 4)),
      durable_(of.settings.durability == durability::disk) {}

void appender::begin() {
    state_.own = no_segment_set(state_.settings.sinks.size());
    state_.sets.push_back(state_.own);
    try {
        make_set();
    } catch (const std::system_error& error) {
        if (is_to_be_changed(error.code().value())) throw;
        note_failure(error.what());
    }
}

verdict appender::append(std::span<const event> events) {
    std::uint64_t bytes = 0;
    // The size of the whole batch first: it goes in as a whole or not at all, so that a batch is answered with one
    // verdict.
    for (const auto& event : events) bytes += record_size(event);
    try {
        if (!make_room(bytes)) return verdict::full;
        prepare_segment(bytes);
        text_.clear();
        for (auto sequence = next_sequence_; const auto& event : events)
            append_record(text_, *state_.current->key, state_.current->size + text_.size(), sequence++, event);
        write(text_);
        next_sequence_ += events.size();
    } catch (const std::exception& error) {  // of the disk, or no memory: what was written has been cut off again
        note_failure(error.what());
        return verdict::unwritable;
    }
    {
        // Only now, when it is as durable as was promised, do cursors see the records. All of it under one lock: the
        // account balances at any moment.
        const std::scoped_lock lock(state_.mutex);
        assert(state_.current && state_.current == state_.own->segments.back() && "the last one is written to");
        state_.current->size += text_.size();
        state_.current->records += events.size();
        state_.counts.accepted += events.size();
        for (const auto& taker : takers_) taker->arrived(events.size());
    }
    state_.arrived.notify_all();
    note_success();
    return verdict::accepted;
}

void appender::probe() {
    if (writable()) return;
    try {
        const std::string zeros(probe_bytes, '\0');
        prepare_segment(zeros.size());
        write(zeros);
        // The zeros are no record, and must not stay before the next one. If they cannot be cut off the segment ends
        // here, with a tail that a reader takes for torn.
        if (state_.files.truncate(state_.current->file.get(), static_cast<off_t>(state_.current->size)) != 0) seal();
        note_success();
    } catch (const std::exception& error) {
        note_failure(error.what());
    }
}

void appender::lose(std::uint64_t events, verdict why) {
    const std::scoped_lock lock(state_.mutex);
    state_.counts.accepted += events;
    (why == verdict::full ? state_.counts.dropped_full : state_.counts.dropped_unwritable) += events;
}

/// Writes after the last record of the current segment, all or nothing.
void appender::write(std::string_view bytes) {
    assert(state_.current && "prepare_segment comes first");
    const auto& to = *state_.current;
    const auto start = static_cast<off_t>(to.size);
    int error = 0;
    for (std::size_t done = 0; done < bytes.size() && error == 0;) {
        const auto written = state_.files.write(to.file.get(), bytes.substr(done), start + static_cast<off_t>(done));
        if (written > 0)
            done += static_cast<std::size_t>(written);
        else
            // A write of nothing is no error to the kernel, but would be tried for ever.
            error = written == 0 ? ENOSPC : errno == EINTR ? 0 : errno;
    }
    bool doubtful = false;
    if (error == 0 && durable_ && state_.files.sync(to.file.get()) != 0) {
        error = errno;
        // What the kernel could not write it may have marked as clean: a second fdatasync(2) would lie.
        doubtful = true;
    }
    if (error == 0) return;
    const bool cut = state_.files.truncate(to.file.get(), start) == 0;  // before anything that may find no memory
    const auto path = to.path;
    // It is not known what is at its end now, so nothing may follow.
    if (!cut || doubtful) seal();
    errno = error;
    fail(path, "write");
}

/// Nothing more is written to the current segment.
void appender::seal() {
    const std::scoped_lock lock(state_.mutex);
    state_.current = nullptr;
}

void appender::prepare_segment(std::uint64_t bytes) {
    if (!state_.own->folder) make_set();  // the disk has not let us until now
    if (state_.current && vanished(state_.current->file)) renew_vanished_set();
    // A batch larger than a segment gets one of its own, rather than being refused for ever.
    if (state_.current &&
        (state_.current->size + bytes <= segment_bytes_ || state_.current->size == segment_header_size))
        return;
    try {
        new_segment();
        // The directory may vanish between the look and the open: once more, in a directory that was made just now.
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) throw;
        renew_vanished_set();
        new_segment();
    }
}

/// Somebody has removed our directory: what is written there is gone with this process. Begins another; what
/// the old one holds is still delivered, through the open files.
void appender::renew_vanished_set() {
    lifecycle::lines(state_.log)
        .warn("tracker: {path} has vanished, the spool begins another", state_.own->directory.string());
    make_set();
}

/// In place of the one before; last of the sets, since they are in the order of their age.
void appender::make_set() {
    auto fresh = make_segment_set(state_.directory, state_.settings.sinks, durable_, state_.files);
    const std::scoped_lock lock(state_.mutex);
    state_.current = nullptr;
    state_.take_done_segments(*state_.own);
    if (state_.own->segments.empty()) state_.sets.remove(state_.own);
    state_.own = std::move(fresh);
    state_.sets.push_back(state_.own);
}

void appender::new_segment() {
    auto fresh = std::make_shared<segment>();
    fresh->key = segment_key::random();
    fresh->number = next_number_++;
    fresh->path = state_.own->directory / fmt::format("{:08}.seg", fresh->number);
    fresh->file = descriptor(state_.files.create(fresh->path.c_str()));
    if (!fresh->file) fail(fresh->path, "open");
    const auto written = state_.files.write(fresh->file.get(), fresh->key->header(), 0);
    // A file without a durable name is lost with its events (fsync(2)): so before the first of them is answered.
    const bool listed = !durable_ || state_.files.sync_directory(state_.own->folder.get()) == 0;
    if (written != ssize_t{segment_header_size} || !listed) {
        const int error = written >= 0 && written != ssize_t{segment_header_size} ? ENOSPC : errno;
        // It is not used: nothing of it may stay for the next run to find.
        remove_segment(*fresh);
        errno = error;
        fail(fresh->path, "write");
    }
    fresh->size = segment_header_size;
    fresh->sinks.resize(state_.settings.sinks.size(), {.done = 0, .offset = segment_header_size});
    // Each segment counts from 1 (docs/spool-format.md).
    next_sequence_ = 1;
    // The one before, when it has been delivered, goes with the next delivery: here nothing may wait for a sink to
    // sync.
    const std::scoped_lock lock(state_.mutex);
    state_.own->segments.push_back(fresh);
    state_.current = std::move(fresh);
}

bool appender::make_room(std::uint64_t bytes) {
    std::vector<segment_ptr> dropped;
    std::vector<segment_set_ptr> emptied;
    bool enough = false;
    {
        const std::scoped_lock lock(state_.mutex);
        std::uint64_t used = 0;
        for (const auto& set : state_.sets) used += set->bytes();
        // Not one that a sink has in its hands: its batch would be settled in a segment that has gone.
        const auto may_go = [this](const segment_ptr& candidate) {
            return candidate != state_.current &&
                   std::ranges::none_of(takers_, [&](const auto& by) { return by->holds(*candidate); });
        };
        for (const auto& set : state_.sets) {
            while (used + bytes > state_.settings.spool_bytes && state_.settings.overflow == overflow::drop_oldest) {
                const auto oldest = std::ranges::find_if(set->segments, may_go);
                if (oldest == set->segments.end()) break;
                dropped.push_back(*oldest);  // first: it may find no memory
                assert(used >= (*oldest)->size);
                used -= (*oldest)->size;
                // Only what not every sink has: what all have was counted as delivered.
                state_.counts.dropped_full += (*oldest)->left();
                set->segments.erase(oldest);
            }
        }
        std::erase_if(state_.sets, [&](const auto& set) {
            const bool empty = set != state_.own && set->segments.empty();
            if (empty) emptied.push_back(set);
            return empty;
        });
        enough = used + bytes <= state_.settings.spool_bytes;
    }
    if (!dropped.empty()) state_.sinks_have_it_for_good(nullptr, 0);  // of what is dropped some may have been delivered
    // Files are removed without the mutex, for which the deliveries of all sinks would wait.
    for (const auto& lost : dropped) {
        if (lost->left() > 0)
            lifecycle::lines(state_.log)
                .warn("tracker: the spool is full: dropped {events} events, the oldest", lost->left());
        remove_segment(*lost);
    }
    for (const auto& set : emptied) remove_segment_set(*set);
    return enough;
}

void appender::note_failure(std::string_view reason) {
    const auto times = writing_.failed(clock::now());
    if (times == 0) return;
    lifecycle::lines(state_.log)
        .error("tracker: the spool cannot be written (failed attempts: {failures}), events are refused: {error}", times,
               reason);
}

void appender::note_success() {
    if (!writing_.failing()) return;
    lifecycle::lines(state_.log)
        .info("tracker: the spool can be written again after {failures} failures", writing_.so_far().failures);
    writing_.succeeded();
}

}  // namespace tracker
