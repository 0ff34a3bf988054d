// The half of the spool that belongs to the appending thread.

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "lifecycle/lines.hpp"

#include "tracker/spool_cursor.hpp"

namespace tracker {
namespace {

using lifecycle::clock;

constexpr std::chrono::seconds between_lines{5};
constexpr std::size_t probe_bytes = 4096;

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
    throw std::system_error(errno, std::generic_category(), fmt::format("{}: {}", path.string(), what));
}

bool vanished(const descriptor& file) {
    struct stat status = {};
    return ::fstat(file.get(), &status) == 0 && status.st_nlink == 0;
}

}  // namespace

verdict spool::append(std::span<const event> events) {
    std::uint64_t bytes = 0;
    for (const auto& event : events) bytes += record_size(event);
    try {
        if (!make_room(bytes)) return verdict::full;
        prepare_segment(bytes);
        text_.clear();
        for (auto sequence = next_sequence_; const auto& event : events)
            append_record(text_, *current_->key, current_->size + text_.size(), sequence++, event);
        write(text_);
        next_sequence_ += events.size();
    } catch (const std::exception& error) {  // of the disk, or no memory: what was written has been cut off again
        note_failure(error.what());
        return verdict::unwritable;
    }
    {
        const std::scoped_lock lock(mutex_);
        current_->size += text_.size();
        current_->records += events.size();
        accepted_ += events.size();
        for (const auto& one : cursors_) one->arrived(events.size());
    }
    arrived_.notify_all();
    note_success();
    return verdict::accepted;
}

void spool::probe() {
    if (writable()) return;
    try {
        const std::string zeros(probe_bytes, '\0');
        prepare_segment(zeros.size());
        write(zeros);
        if (disk_.truncate(current_->file.get(), static_cast<off_t>(current_->size)) != 0) seal();
        note_success();
    } catch (const std::exception& error) {
        note_failure(error.what());
    }
}

void spool::lose(std::uint64_t events, verdict why) {
    const std::scoped_lock lock(mutex_);
    accepted_ += events;
    (why == verdict::full ? dropped_full_ : dropped_unwritable_) += events;
}

/// Writes behind the last record of the current segment, all or nothing.
void spool::write(std::string_view bytes) {
    const auto& to = *current_;
    const auto start = static_cast<off_t>(to.size);
    int error = 0;
    for (std::size_t done = 0; done < bytes.size() && error == 0;) {
        const auto written = disk_.write(to.file.get(), bytes.substr(done), start + static_cast<off_t>(done));
        if (written > 0)
            done += static_cast<std::size_t>(written);
        else
            error = written == 0 ? ENOSPC : errno == EINTR ? 0 : errno;
    }
    bool doubtful = false;
    if (error == 0 && options_.durability == durability::disk && disk_.sync(to.file.get()) != 0) {
        error = errno;
        // What the kernel could not write it may have marked as clean: a second fdatasync(2) would lie.
        doubtful = true;
    }
    if (error == 0) return;
    const bool cut = disk_.truncate(to.file.get(), start) == 0;  // before anything that may find no memory
    const auto path = to.path;
    if (!cut || doubtful) seal();
    errno = error;
    fail(path, "write");
}

/// Nothing more is written to the current segment.
void spool::seal() {
    const std::scoped_lock lock(mutex_);
    current_ = nullptr;
}

void spool::prepare_segment(std::uint64_t bytes) {
    if (current_ && vanished(current_->file)) renew_vanished_set();
    if (current_ && (current_->size + bytes <= segment_bytes_ || current_->size == segment_header_size)) return;
    try {
        new_segment();
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) throw;
        renew_vanished_set();
        new_segment();
    }
}

/// Somebody has removed our directory: what is written there is gone with this process. Begins another; what
/// the old one holds is still delivered, through the open files.
void spool::renew_vanished_set() {
    lifecycle::lines(log_).warn("tracker: {path} has vanished, the spool begins another", own_->directory.string());
    auto fresh = make_segment_set(directory_, options_.sinks, options_.durability == durability::disk, disk_);
    const std::scoped_lock lock(mutex_);
    current_ = nullptr;
    take_done_segments(*own_);
    if (own_->segments.empty()) sets_.remove(own_);
    own_ = std::move(fresh);
    sets_.push_back(own_);
}

void spool::new_segment() {
    auto fresh = std::make_shared<segment>();
    fresh->key = segment_key::random();
    fresh->number = next_number_++;
    fresh->path = own_->directory / fmt::format("{:08}.seg", fresh->number);
    fresh->file = descriptor(disk_.create(fresh->path.c_str()));
    if (!fresh->file) fail(fresh->path, "open");
    const auto written = disk_.write(fresh->file.get(), fresh->key->header(), 0);
    const bool listed = options_.durability != durability::disk || disk_.sync_directory(own_->folder.get()) == 0;
    if (written != ssize_t{segment_header_size} || !listed) {
        const int error = written >= 0 && written != ssize_t{segment_header_size} ? ENOSPC : errno;
        remove_segment(*fresh);
        errno = error;
        fail(fresh->path, "write");
    }
    fresh->size = segment_header_size;
    fresh->sinks.resize(options_.sinks.size(), {.done = 0, .offset = segment_header_size});
    next_sequence_ = 1;
    // The one before, when it has been delivered, goes with the next delivery: here nobody waits for a sink to sync.
    const std::scoped_lock lock(mutex_);
    own_->segments.push_back(fresh);
    current_ = std::move(fresh);
}

bool spool::make_room(std::uint64_t bytes) {
    std::vector<segment_ptr> dropped;
    std::vector<segment_set_ptr> emptied;
    bool enough = false;
    {
        const std::scoped_lock lock(mutex_);
        std::uint64_t used = 0;
        for (const auto& set : sets_) used += set->bytes();
        const auto may_go = [this](const segment_ptr& one) {
            return one != current_ && std::ranges::none_of(cursors_, [&](const auto& by) { return by->holds(*one); });
        };
        for (const auto& set : sets_) {
            while (used + bytes > options_.spool_bytes && options_.overflow == overflow::drop_oldest) {
                const auto oldest = std::ranges::find_if(set->segments, may_go);
                if (oldest == set->segments.end()) break;
                dropped.push_back(*oldest);  // first: it may find no memory
                used -= (*oldest)->size;
                dropped_full_ += (*oldest)->left();
                set->segments.erase(oldest);
            }
        }
        std::erase_if(sets_, [&](const auto& set) {
            const bool empty = set != own_ && set->segments.empty();
            if (empty) emptied.push_back(set);
            return empty;
        });
        enough = used + bytes <= options_.spool_bytes;
    }
    if (!dropped.empty()) sinks_have_it_for_good(nullptr, 0);  // of what is dropped some may have been delivered
    for (const auto& one : dropped) {
        if (one->left() > 0)
            lifecycle::lines(log_).warn("tracker: the spool is full: dropped {events} events, the oldest", one->left());
        remove_segment(*one);
    }
    for (const auto& one : emptied) remove_segment_set(*one);
    return enough;
}

void spool::note_failure(std::string_view reason) {
    const auto now = clock::now();
    writable_.store(false, std::memory_order_relaxed);
    if (++failures_ > 1 && now < last_line_ + between_lines) return;
    last_line_ = now;
    lifecycle::lines(log_).error(
        "tracker: the spool cannot be written ({failures} times now), events are refused: {error}", failures_, reason);
}

void spool::note_success() {
    if (failures_ == 0) return;
    lifecycle::lines(log_).info("tracker: the spool can be written again after {failures} failures", failures_);
    failures_ = 0;
    writable_.store(true, std::memory_order_relaxed);
}

}  // namespace tracker
