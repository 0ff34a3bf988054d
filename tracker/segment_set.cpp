#include "tracker/segment_set.hpp"

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
#include <optional>
#include <system_error>

namespace tracker {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view new_prefix = ".new-";

struct mark_record {
    boost::endian::little_uint64_buf_t segment, offset;
    boost::endian::little_uint32_buf_t crc;

    std::uint32_t expected() const {
        boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> sum;
        sum.process_bytes(this, sizeof segment + sizeof offset);
        return sum.checksum();
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

std::uint64_t number_of(const fs::path& file) {
    const auto stem = file.stem().string();
    std::uint64_t number = 0;
    std::from_chars(stem.data(), stem.data() + stem.size(), number);
    return file.extension() == ".seg" ? number : 0;
}

/// Where delivery goes on; the beginning when no note can be read.
std::pair<std::uint64_t, std::uint64_t> read_mark(const segment_set& set) {
    const std::pair<std::uint64_t, std::uint64_t> beginning{0, segment_magic.size()};
    mark_record mark;
    const descriptor file(::open((set.directory / "delivered").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::pread(file.get(), &mark, sizeof mark, 0) != sizeof mark || mark.crc.value() != mark.expected())
        return beginning;
    return {mark.segment.value(), mark.offset.value()};
}

/// Counts the records from `from` on, and with that finds where the last whole one ends.
void scan(segment& one, std::uint64_t from) {
    const auto length = length_of(one);
    std::array<char, segment_magic.size()> magic{};
    const auto got = ::pread(one.file.get(), magic.data(), magic.size(), 0);
    const bool ours = got == ssize_t{magic.size()} && segment_magic == std::string_view(magic.data(), magic.size());
    record_reader reader(one.file.get(), from, ours ? length : from);
    event ignored;
    for (std::uint64_t before = from; ours; one.damaged += reader.at() - before) {
        while (reader.next(ignored)) ++one.records;
        before = reader.at();
        if (!reader.skip_damage()) break;
    }
    one.size = ours ? reader.at() : 0;
    one.torn = length - one.size;
    one.keep = !ours && length >= magic.size();
}

}  // namespace

std::uint64_t segment_set::records() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : segments) all += one->records;
    return all;
}

std::uint64_t segment_set::bytes() const noexcept {
    std::uint64_t all = 0;
    for (const auto& one : segments) all += one->size;
    return all;
}

segment_set_ptr make_segment_set(const fs::path& spool, bool durable, disk& disk) {
    auto set = std::make_shared<segment_set>();
    const auto id = make_id();  // sorts by time
    const auto unseen = spool / fmt::format("{}{}", new_prefix, id);
    set->directory = spool / id;
    fs::create_directories(unseen);
    set->lock = opened(unseen / "lock", O_RDWR | O_CREAT);
    set->mark = opened(unseen / "delivered", O_RDWR | O_CREAT);
    set->folder = opened(unseen, O_RDONLY | O_DIRECTORY);
    // Under a name that nobody adopts until the lock is held; the lock moves with the directory.
    if (!try_lock(set->lock, unseen)) throw std::system_error(EBUSY, std::generic_category(), unseen.string());
    fs::rename(unseen, set->directory);
    if (durable) sync_names(spool, disk);
    return set;
}

segment_set_ptr load_segment_set(const fs::path& directory, const std::function<bool()>& cancelled) {
    auto set = std::make_shared<segment_set>();
    set->directory = directory;
    const auto [delivered_segment, offset] = read_mark(*set);
    for (const auto& entry : fs::directory_iterator(directory)) {
        const auto number = number_of(entry.path());
        if (number == 0) continue;
        if (cancelled && cancelled()) return nullptr;
        auto one = std::make_shared<segment>();
        one->number = number;
        one->path = entry.path();
        one->file = opened(one->path, O_RDONLY);
        const auto length = length_of(*one);
        // A note that is ahead of its file, after a loss of power, is none.
        const auto from = number == delivered_segment && offset <= length ? offset : segment_magic.size();
        if (number >= delivered_segment) scan(*one, from);
        set->segments.push_back(std::move(one));
    }
    std::ranges::sort(set->segments, {}, [](const auto& one) { return one->number; });
    const auto first = std::ranges::find_if(set->segments, [](const auto& one) { return one->records > 0; });
    if (first != set->segments.end() && (*first)->number == delivered_segment && offset <= (*first)->size)
        set->read_from = offset;
    return set;
}

segment_set_ptr adopt_segment_set(const fs::path& directory, spdlog::logger& log,
                                  const std::function<bool()>& cancelled) {
    auto lock = opened(directory / "lock", O_RDWR | O_CREAT);
    if (!try_lock(lock, directory)) return nullptr;
    auto set = load_segment_set(directory, cancelled);
    if (!set) return nullptr;
    set->lock = std::move(lock);
    set->mark = opened(directory / "delivered", O_RDWR | O_CREAT);
    for (const auto& one : set->segments) {
        if (one->keep)
            log.error("tracker: {} does not begin as a segment does: it is kept, what is in it is not delivered",
                      one->path.string());
        else if (one->torn > 0)
            log.warn("tracker: cut a torn tail of {} bytes from {}", one->torn, one->path.string());
        if (one->damaged > 0)
            log.error("tracker: {} bytes of {} are damaged; the events in them are lost", one->damaged,
                      one->path.string());
        if (one->records == 0) remove_segment(*one);
    }
    std::erase_if(set->segments, [](const auto& one) { return one->records == 0; });
    return set;
}

std::vector<fs::path> sets_in(const fs::path& spool) {
    std::vector<fs::path> all;
    std::error_code error;  // a spool that is not there has no sets
    for (const auto& entry : fs::directory_iterator(spool, error))
        if (!entry.path().filename().string().starts_with('.') && entry.is_directory(error))
            all.push_back(entry.path());
    std::ranges::sort(all);
    return all;
}

void note_delivered(const segment_set& set, std::uint64_t segment, std::uint64_t offset) noexcept {
    mark_record mark;
    mark.segment = segment;
    mark.offset = offset;
    mark.crc = mark.expected();
    [[maybe_unused]] const auto written = ::pwrite(set.mark.get(), &mark, sizeof mark, 0);
}

void remove_segment(const segment& one) noexcept try {
    if (one.keep)
        fs::rename(one.path, one.path.string() + ".damaged");
    else
        ::unlink(one.path.c_str());
} catch (...) {  // NOLINT(bugprone-empty-catch): it has vanished, or is adopted and looked at once more
}

void remove_segment_set(const segment_set& set) noexcept {
    for (const char* name : {"delivered", "lock"}) ::unlink((set.directory / name).c_str());
    ::rmdir(set.directory.c_str());
}

}  // namespace tracker
