#include "tracker/spool/segment_set.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/endian/buffers.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <new>
#include <system_error>

#include "lifecycle/lines.hpp"
#include "tracker/spool/disks.hpp"
#include "tracker/spool/set_files.hpp"

namespace tracker {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view new_prefix = ".new-", mark_prefix = "delivered.";

bool is_note(std::string_view name) { return name.starts_with(mark_prefix) && !name.ends_with(kept_suffix); }

/// Of a directory that may not be there. std::filesystem::directory_iterator ends the process where it finds no memory.
std::vector<fs::path> entries_of(const fs::path& directory) {
    std::vector<fs::path> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), ::closedir);
    if (!folder && errno == ENOMEM) throw std::bad_alloc();
    while (const dirent* const entry = folder ? ::readdir(folder.get()) : nullptr)
        if (const std::string_view name = entry->d_name; name != "." && name != "..") all.push_back(directory / name);
    return all;
}

struct mark_record {
    boost::endian::little_uint64_buf_t segment, offset;
    boost::endian::little_uint32_buf_t crc;

    std::uint32_t expected() const {
        return crc32c({reinterpret_cast<const char*>(this), sizeof segment + sizeof offset});
    }
};
static_assert(sizeof(mark_record) == 20);

[[noreturn]] void fail(const fs::path& what) { throw std::system_error(errno, std::generic_category(), what.string()); }

/// The lock of a set is as many bytes long as the version of its segments; version 1 left it empty.
constexpr off_t lock_length = 3;

/// No segment of version 1 is in a set whose lock has this many.
constexpr off_t keyed_lock_length = 2;

bool may_be_first_version(const fs::path& set, disk& files) {
    std::uint64_t length = 0;
    return !opened_file(files, set / "lock", &length) || length < keyed_lock_length;
}

/// The directory is not ours to sync, or its file system has no fsync; the disk has not failed.
bool is_not_allowed(int e) { return e == EACCES || e == EPERM || e == EROFS || e == EINVAL || e == ENOTSUP; }

/// A name is durable once the directory that holds it is (fsync(2)), up to the root, since any of these may be
/// new. Above tracker.directory as far as it is allowed.
void sync_names(const fs::path& spool, disk& disk) {
    auto path = fs::absolute(spool);
    for (int level = 0;; ++level, path = path.parent_path()) {
        constexpr int how = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
        // Where it may not be allowed that is no failure of the disk, and not counted as one.
        const descriptor folder(level < 2 ? disk.open(path.c_str(), how) : ::open(path.c_str(), how));
        const bool synced = folder && disk.sync_directory(folder.get()) == 0;
        if (!synced && (level < 2 || !is_not_allowed(errno))) fail(path);
        if (!path.has_relative_path()) return;
    }
}

fs::path mark_of(const fs::path& set, const std::string& sink) { return set / fmt::format("{}{}", mark_prefix, sink); }

std::vector<descriptor> open_marks(disk& files, const fs::path& set, const std::vector<std::string>& sinks) {
    std::vector<descriptor> marks;
    marks.reserve(sinks.size());
    for (const auto& name : sinks) marks.push_back(opened(files, mark_of(set, name), O_RDWR | O_CREAT | O_NOFOLLOW));
    return marks;
}

/// By name: a directory on a disk that fails may not be read.
void remove_begun(const fs::path& set, const std::vector<std::string>& sinks) {
    for (const auto& name : sinks) ::unlink(mark_of(set, name).c_str());
    ::unlink((set / "lock").c_str());
    ::rmdir(set.c_str());
}

std::uint64_t number_of(const fs::path& file) {
    const auto stem = file.stem().string();
    std::uint64_t number = 0;
    std::from_chars(stem.data(), stem.data() + stem.size(), number);
    return file.extension() == ".seg" ? number : 0;
}

/// Where a delivery goes on.
struct note {
    std::uint64_t segment = 0, offset = 0;
    auto operator<=>(const note&) const = default;
};

/// Of every sink that has one; from the beginning where it is short, damaged, or no file.
std::map<std::string, note> read_notes(const fs::path& set, disk& files) {
    std::map<std::string, note> notes;
    for (const auto& name : names_in(files, set)) {
        if (!is_note(name)) continue;
        const auto path = set / name;
        mark_record mark;
        const auto file = opened_file(files, path);
        auto& place = notes[name.substr(mark_prefix.size())];
        if (!file) continue;
        const auto got = files.read(file.get(), {reinterpret_cast<char*>(&mark), sizeof mark}, 0);
        if (got < 0) fail(path);
        if (got == sizeof mark && mark.crc.value() == mark.expected())
            place = {mark.segment.value(), mark.offset.value()};
    }
    return notes;
}

note slowest(const std::map<std::string, note>& notes) {
    const auto found = std::ranges::min_element(notes, {}, [](const auto& note) { return note.second; });
    return found == notes.end() ? note() : found->second;
}

/// What a segment begins with says how it is read: the first byte after that, or none where it is no segment.
/// `first_version`: one of that may be in the set. Elsewhere a file that begins so is a header that the disk has lost,
/// with bytes in its place that a client may have sent.
std::optional<std::uint64_t> begin_of(segment& segment, std::uint64_t length, bool first_version, disk& files) {
    std::array<char, segment_header_size> bytes{};
    const auto got = files.read(segment.file.get(), bytes, 0);
    if (got < 0) fail(segment.path);
    const std::string_view header(bytes.data(), static_cast<std::size_t>(got));
    segment.key = segment_key::read(header);
    if (segment.key) return segment_header_size;
    if (first_version && header.starts_with(first_magic)) return first_magic.size();
    // A process that died while it made the file has left a part of the header, and no record.
    const bool begun =
        length < segment_header_size && (header.starts_with(segment_magic) || header.starts_with(second_magic));
    segment.keep = length >= segment_magic.size() && !begun;
    return std::nullopt;
}

/// Counts the records that not all have, and with that finds where the last whole one ends. False when the watch has
/// ended it.
bool scan(segment& into, const std::vector<note>& notes, std::uint64_t length, bool first_version, const reading& how) {
    const auto begin = begin_of(into, length, first_version, how.files);
    auto from = length;
    for (const auto& note : notes) {
        auto& place = into.sinks.emplace_back(segment::place{.done = 0, .offset = begin.value_or(0)});
        if (note.segment > into.number) place.offset = length;
        // A note that is ahead of its file, after a loss of power, does not count.
        if (note.segment == into.number && note.offset <= length) place.offset = std::max(place.offset, note.offset);
        from = std::min(from, place.offset);
    }
    into.torn = length;
    if (!begin) return true;
    record_reader reader(how.files, into.file.get(), into.secret(), from, length, how.watch);
    for (std::uint64_t before = from;; into.damaged += reader.at() - before) {
        for (; reader.pass(); ++into.records)
            for (auto& place : into.sinks) place.done += reader.at() <= place.offset ? 1U : 0U;
        before = reader.at();
        if (reader.stopped() || !reader.skip_damage()) break;
    }
    into.size = reader.at();
    into.torn = length - into.size;
    into.keep = !into.key && into.torn > 0;
    return !reader.stopped();
}

/// What became of a segment of an earlier run, in a line each.
void report(const segment& segment, spdlog::logger& log) {
    const auto path = segment.path.string();
    if (segment.no_file)
        lifecycle::lines(log).error("tracker: {path} is not a regular file: it is set aside as .damaged and never read",
                                    path);
    else if (segment.keep && segment.size == 0)
        lifecycle::lines(log).error(
            "tracker: {path} does not begin like a segment: it is kept, what is in it is not delivered", path);
    else if (segment.keep)
        lifecycle::lines(log).error(
            "tracker: {path} of an earlier version is torn or damaged {bytes} bytes before its end: what is there "
            "cannot be told from forgery and is not delivered, the file is kept as .damaged",
            path, segment.torn);
    else if (segment.torn > 0)
        lifecycle::lines(log).warn("tracker: cut a torn tail of {bytes} bytes from {path}", segment.torn, path);
    if (segment.damaged > 0)
        lifecycle::lines(log).error("tracker: {bytes} bytes of {path} are damaged; the events in them are lost",
                                    segment.damaged, path);
}

/// A note that is no file would never become one.
void set_aside_odd_notes(const fs::path& set, disk& files, spdlog::logger& log) {
    for (const auto& name : names_in(files, set))
        if (is_note(name) && !opened_file(files, set / name)) set_aside(set / name, log);
}

}  // namespace

std::uint64_t segment::done() const noexcept {
    auto least = records;
    for (const auto& place : sinks) least = std::min(least, place.done);
    return least;
}

std::uint64_t segment_set::left() const noexcept {
    std::uint64_t all = 0;
    for (const auto& segment : segments) all += segment->left();
    return all;
}

std::uint64_t segment_set::left_for(std::size_t sink) const noexcept {
    std::uint64_t all = 0;
    for (const auto& segment : segments) all += segment->records - segment->sinks[sink].done;
    return all;
}

std::uint64_t segment_set::bytes() const noexcept {
    std::uint64_t all = 0;
    for (const auto& segment : segments) all += segment->size;
    return all;
}

segment_set_ptr no_segment_set(std::size_t sinks) {
    auto none = std::make_shared<segment_set>();
    none->marks.resize(sinks);
    none->holds.resize(sinks);
    return none;
}

segment_set_ptr make_segment_set(const fs::path& spool, const std::vector<std::string>& sinks, bool durable,
                                 disk& disk) {
    auto set = std::make_shared<segment_set>();
    const auto id = make_id();  // sorts by time
    const auto unseen = spool / fmt::format("{}{}", new_prefix, id);
    set->directory = unseen;
    try {
        if (disk.make_directories(unseen.c_str()) != 0) fail(unseen);
        set->lock = opened(disk, unseen / "lock", O_RDWR | O_CREAT);
        set->marks = open_marks(disk, unseen, sinks);
        set->holds.resize(sinks.size());
        set->folder = opened(disk, unseen, O_RDONLY | O_DIRECTORY);
        // Under a name that no process adopts until the lock is held; the lock moves with the directory.
        if (disk.truncate(set->lock.get(), lock_length) != 0) fail(unseen);
        if (!try_lock(set->lock, unseen)) throw std::system_error(EBUSY, std::generic_category(), unseen.string());
        if (disk.rename(unseen.c_str(), (spool / id).c_str()) != 0) fail(unseen);
        set->directory = spool / id;
        if (durable) sync_names(spool, disk);
    } catch (...) {
        remove_begun(set->directory, sinks);
        throw;
    }
    return set;
}

segment_set_ptr load_segment_set(const fs::path& directory, const std::vector<std::string>& sinks, const reading& how) {
    auto set = std::make_shared<segment_set>();
    set->directory = directory;
    set->holds.resize(sinks.size());
    const auto known = read_notes(directory, how.files);
    std::vector<note> notes;
    notes.reserve(sinks.size() + 1);
    for (const auto& name : sinks) notes.push_back(known.contains(name) ? known.at(name) : slowest(known));
    if (sinks.empty()) notes.push_back(slowest(known));
    std::vector<std::uint64_t> lengths;
    std::uint64_t all = 0;
    const bool first_version = may_be_first_version(directory, how.files);
    for (const auto& name : names_in(how.files, directory)) {
        auto made = std::make_shared<segment>();
        made->path = directory / name;
        made->number = number_of(made->path);
        if (made->number == 0) continue;
        std::uint64_t length = 0;
        made->file = opened_file(how.files, made->path, &length);
        if (!made->file && errno == ENOENT) continue;  // another process has removed it
        made->no_file = made->keep = !made->file;
        if (made->number < std::ranges::min(notes).segment) length = 0;  // has been delivered
        all += length;
        lengths.push_back(length);
        set->segments.push_back(std::move(made));
    }
    if (how.watch != nullptr) how.watch->expects(all);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        auto& segment = *set->segments[i];
        if (segment.number < std::ranges::min(notes).segment || segment.no_file) continue;
        if (!scan(segment, notes, lengths[i], first_version, how)) return nullptr;
    }
    std::ranges::sort(set->segments, {}, [](const auto& segment) { return segment->number; });
    return set;
}

segment_set_ptr adopt_segment_set(const fs::path& directory, const std::vector<std::string>& sinks, spdlog::logger& log,
                                  const reading& how) {
    auto lock = locked_set(directory, how.files, log);
    if (!lock) return nullptr;
    auto set = load_segment_set(directory, sinks, how);
    if (!set) return nullptr;
    const auto notes = read_notes(directory, how.files);
    const auto behind = [&](const note& place) {
        return std::ranges::any_of(notes, [&](const auto& other) { return place < other.second; });
    };
    for (const auto& [name, place] : notes)
        if (std::ranges::count(sinks, name) == 0 && behind(place)) {
            const auto as_it_was = load_segment_set(directory, {name}, how);
            if (!as_it_was) return nullptr;
            const auto lacks = as_it_was->left();
            const auto others_get = std::min(lacks, set->left());
            set->stranded = std::max(set->stranded, lacks - others_get);
            lifecycle::lines(log).warn(
                "tracker: {path}: sink {sink} is not in the settings any more, it does not get the {events} events "
                "that it lacks; {others} of them go to others now",
                directory.string(), name, lacks, others_get);
        }
    set_aside_odd_notes(directory, how.files, log);
    set->lock = std::move(lock);
    set->marks = open_marks(how.files, directory, sinks);
    for (const auto& segment : set->segments) {
        report(*segment, log);
        if (segment->left() == 0) set->delivered.push_back(segment);
    }
    std::erase_if(set->segments, [](const auto& segment) { return segment->left() == 0; });
    return set;
}

std::vector<fs::path> sets_in(const fs::path& spool, disk& files) {
    std::vector<std::string> names;
    if (files.list(spool.c_str(), names) != 0 && !is_answer(errno)) fail(spool);
    std::vector<fs::path> all;
    for (const auto& name : names) {
        if (name.starts_with('.')) continue;
        const descriptor set(files.open((spool / name).c_str(), O_PATH | O_DIRECTORY));
        // Of one that cannot be looked at it is said when it is taken over.
        if (set || !is_answer(errno)) all.push_back(spool / name);
    }
    std::ranges::sort(all);
    return all;
}

std::vector<fs::path> sets_in(const fs::path& spool) {
    disk files;
    return sets_in(spool, files);
}

void note_delivered(const segment_set& set, std::size_t sink, std::uint64_t segment, std::uint64_t offset) noexcept {
    const auto kept_from = set.kept_from.load();
    mark_record mark;
    mark.segment = kept_from > 0 ? kept_from : segment;
    mark.offset = kept_from > 0 ? segment_magic.size() : offset;
    mark.crc = mark.expected();
    [[maybe_unused]] const auto written = ::pwrite(set.marks[sink].get(), &mark, sizeof mark, 0);
}

void remove_segment(const segment& segment) noexcept try {
    if (segment.keep)
        fs::rename(segment.path, segment.path.string() + std::string(kept_suffix));
    else
        ::unlink(segment.path.c_str());
} catch (...) {  // NOLINT(bugprone-empty-catch): it has vanished, or is adopted and looked at once more
}

void remove_segment_set(const segment_set& set) noexcept try {
    if (set.kept_from > 0 || set.directory.empty()) return;
    // The lock last: while it is there no other process takes the set over.
    for (const auto& path : entries_of(set.directory))
        if (is_note(path.filename().string())) ::unlink(path.c_str());
    ::unlink((set.directory / "lock").c_str());
    ::rmdir(set.directory.c_str());
} catch (...) {  // NOLINT(bugprone-empty-catch): an empty set that stays is removed by the next to look
}

}  // namespace tracker
