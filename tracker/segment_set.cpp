#include "tracker/segment_set.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <boost/endian/buffers.hpp>
#include <cerrno>
#include <charconv>
#include <map>
#include <memory>
#include <new>
#include <system_error>

namespace tracker {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view new_prefix = ".new-", mark_prefix = "delivered.";

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

std::uint64_t length_of(const segment& one) {
    struct stat status = {};
    if (::fstat(one.file.get(), &status) != 0)
        throw std::system_error(errno, std::generic_category(), one.path.string());
    return static_cast<std::uint64_t>(status.st_size);
}

[[noreturn]] void fail(const fs::path& what) { throw std::system_error(errno, std::generic_category(), what.string()); }

descriptor opened(const fs::path& path, int flags) {
    descriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0640));
    if (!file) fail(path);
    return file;
}

bool try_lock(const descriptor& file, const fs::path& path) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) fail(path);
    return false;
}

/// A name is durable once the directory that holds it is (fsync(2)), up to the root, since any of these may be
/// new. Above tracker.directory, where a directory may be another's or of a system without fsync, as far as it goes.
void sync_names(const fs::path& spool, disk& disk) {
    auto one = fs::absolute(spool);
    for (int level = 0;; ++level, one = one.parent_path()) {
        const descriptor folder(::open(one.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (disk.sync_directory(folder.get()) != 0 && level < 2) fail(one);
        if (!one.has_relative_path()) return;
    }
}

std::vector<descriptor> open_marks(const fs::path& set, const std::vector<std::string>& sinks) {
    std::vector<descriptor> marks;
    marks.reserve(sinks.size());
    for (const auto& name : sinks)
        marks.push_back(opened(set / fmt::format("{}{}", mark_prefix, name), O_RDWR | O_CREAT));
    return marks;
}

std::uint64_t number_of(const fs::path& file) {
    const auto stem = file.stem().string();
    std::uint64_t number = 0;
    std::from_chars(stem.data(), stem.data() + stem.size(), number);
    return file.extension() == ".seg" ? number : 0;
}

/// Where a delivery goes on.
struct note {
    std::uint64_t segment = 0, offset = segment_magic.size();
    auto operator<=>(const note&) const = default;
};

/// Of every sink that has one; from the beginning where it cannot be read.
std::map<std::string, note> read_notes(const fs::path& set) {
    std::map<std::string, note> notes;
    for (const auto& entry : fs::directory_iterator(set)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with(mark_prefix)) continue;
        auto& place = notes[name.substr(mark_prefix.size())];
        mark_record mark;
        const descriptor file(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
        if (file && ::pread(file.get(), &mark, sizeof mark, 0) == sizeof mark && mark.crc.value() == mark.expected())
            place = {mark.segment.value(), mark.offset.value()};
    }
    return notes;
}

note slowest(const std::map<std::string, note>& notes) {
    const auto found = std::ranges::min_element(notes, {}, [](const auto& one) { return one.second; });
    return found == notes.end() ? note() : found->second;
}

/// Counts the records that not all have, and with that finds where the last whole one ends.
void scan(segment& one, const std::vector<note>& notes) {
    const auto length = length_of(one);
    auto from = length;
    for (const auto& note : notes) {
        auto& place = one.sinks.emplace_back();
        if (note.segment > one.number) place.offset = length;
        // A note that is ahead of its file, after a loss of power, is none.
        if (note.segment == one.number && note.offset <= length) place.offset = note.offset;
        from = std::min(from, place.offset);
    }
    std::array<char, segment_magic.size()> magic{};
    const auto got = ::pread(one.file.get(), magic.data(), magic.size(), 0);
    const bool ours = got == ssize_t{magic.size()} && segment_magic == std::string_view(magic.data(), magic.size());
    record_reader reader(one.file.get(), from, ours ? length : from);
    event ignored;
    for (std::uint64_t before = from; ours; one.damaged += reader.at() - before) {
        for (; reader.next(ignored); ++one.records)
            for (auto& place : one.sinks) place.done += reader.at() <= place.offset ? 1U : 0U;
        before = reader.at();
        if (!reader.skip_damage()) break;
    }
    one.size = ours ? reader.at() : 0;
    one.torn = length - one.size;
    one.keep = !ours && length >= magic.size();
}

}  // namespace

std::uint64_t segment::done() const noexcept {
    auto least = records;
    for (const auto& place : sinks) least = std::min(least, place.done);
    return least;
}

std::uint64_t segment_set::left() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : segments) all += one->left();
    return all;
}

std::uint64_t segment_set::left_for(std::size_t sink) const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : segments) all += one->records - one->sinks[sink].done;
    return all;
}

std::uint64_t segment_set::bytes() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : segments) all += one->size;
    return all;
}

segment_set_ptr make_segment_set(const fs::path& spool, const std::vector<std::string>& sinks, bool durable,
                                 disk& disk) {
    auto set = std::make_shared<segment_set>();
    const auto id = make_id();  // sorts by time
    const auto unseen = spool / fmt::format("{}{}", new_prefix, id);
    set->directory = spool / id;
    fs::create_directories(unseen);
    set->lock = opened(unseen / "lock", O_RDWR | O_CREAT);
    set->marks = open_marks(unseen, sinks);
    set->folder = opened(unseen, O_RDONLY | O_DIRECTORY);
    // Under a name that nobody adopts until the lock is held; the lock moves with the directory.
    if (!try_lock(set->lock, unseen)) throw std::system_error(EBUSY, std::generic_category(), unseen.string());
    fs::rename(unseen, set->directory);
    if (durable) sync_names(spool, disk);
    return set;
}

segment_set_ptr load_segment_set(const fs::path& directory, const std::vector<std::string>& sinks,
                                 const std::function<bool()>& cancelled) {
    auto set = std::make_shared<segment_set>();
    set->directory = directory;
    const auto known = read_notes(directory);
    std::vector<note> notes;
    notes.reserve(sinks.size() + 1);
    for (const auto& name : sinks) notes.push_back(known.contains(name) ? known.at(name) : slowest(known));
    if (sinks.empty()) notes.push_back(slowest(known));
    for (const auto& entry : fs::directory_iterator(directory)) {
        const auto number = number_of(entry.path());
        if (number == 0) continue;
        if (cancelled && cancelled()) return nullptr;
        auto one = std::make_shared<segment>();
        one->number = number;
        one->path = entry.path();
        one->file = opened(one->path, O_RDONLY);
        if (number >= std::ranges::min(notes).segment) scan(*one, notes);
        set->segments.push_back(std::move(one));
    }
    std::ranges::sort(set->segments, {}, [](const auto& one) { return one->number; });
    return set;
}

segment_set_ptr adopt_segment_set(const fs::path& directory, const std::vector<std::string>& sinks, spdlog::logger& log,
                                  const std::function<bool()>& cancelled) {
    auto lock = opened(directory / "lock", O_RDWR | O_CREAT);
    if (!try_lock(lock, directory)) return nullptr;
    auto set = load_segment_set(directory, sinks, cancelled);
    if (!set) return nullptr;
    const auto notes = read_notes(directory);
    const auto behind = [&](const note& place) {
        return std::ranges::any_of(notes, [&](const auto& other) { return place < other.second; });
    };
    for (const auto& [name, place] : notes)
        if (std::ranges::count(sinks, name) == 0 && behind(place))
            log.warn("tracker: {}: sink {} is not in the settings any more, it does not get what it lacks",
                     directory.string(), name);
    set->lock = std::move(lock);
    set->marks = open_marks(directory, sinks);
    for (const auto& one : set->segments) {
        if (one->keep)
            log.error("tracker: {} does not begin as a segment does: it is kept, what is in it is not delivered",
                      one->path.string());
        else if (one->torn > 0)
            log.warn("tracker: cut a torn tail of {} bytes from {}", one->torn, one->path.string());
        if (one->damaged > 0)
            log.error("tracker: {} bytes of {} are damaged; the events in them are lost", one->damaged,
                      one->path.string());
        if (one->left() == 0) remove_segment(*one);
    }
    std::erase_if(set->segments, [](const auto& one) { return one->left() == 0; });
    return set;
}

std::vector<fs::path> sets_in(const fs::path& spool) {
    auto all = entries_of(spool);  // one that is not there has no sets
    std::erase_if(all, [](const auto& one) {
        std::error_code gone;
        return one.filename().string().starts_with('.') || !fs::is_directory(one, gone);
    });
    std::ranges::sort(all);
    return all;
}

void note_delivered(const segment_set& set, std::size_t sink, std::uint64_t segment, std::uint64_t offset) noexcept {
    mark_record mark;
    mark.segment = segment;
    mark.offset = offset;
    mark.crc = mark.expected();
    [[maybe_unused]] const auto written = ::pwrite(set.marks[sink].get(), &mark, sizeof mark, 0);
}

void remove_segment(const segment& one) noexcept try {
    if (one.keep)
        fs::rename(one.path, one.path.string() + ".damaged");
    else
        ::unlink(one.path.c_str());
} catch (...) {  // NOLINT(bugprone-empty-catch): it has vanished, or is adopted and looked at once more
}

void remove_segment_set(const segment_set& set) noexcept try {
    // The lock last: while it is there nobody else takes the set over.
    for (const auto& path : entries_of(set.directory))
        if (path.filename().string().starts_with(mark_prefix)) ::unlink(path.c_str());
    ::unlink((set.directory / "lock").c_str());
    ::rmdir(set.directory.c_str());
} catch (...) {  // NOLINT(bugprone-empty-catch): an empty set that stays is removed by the next to look
}

}  // namespace tracker
