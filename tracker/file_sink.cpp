#include "tracker/file_sink.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace tracker {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

/// Throws what the operator reads: which directory, what failed, what to do about it.
[[noreturn]] void refuse(const std::filesystem::path& directory, std::string_view what, int error) {
    throw std::runtime_error(
        fmt::format("tracker.directory '{}': {}: {}; make it writable for this user or name another directory",
                    directory.string(), what, reason(error)));
}

struct stat status_of(const descriptor& file) {
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0)
        throw std::system_error(errno, std::generic_category(), "events.jsonl: fstat");
    return status;
}

/// The length of `file` up to and with its last line end.
off_t whole_lines(const descriptor& file, off_t size) {
    std::array<char, 64 * 1024> block;
    while (size > 0) {
        const auto want = std::min<off_t>(size, block.size());
        const auto got = ::pread(file.get(), block.data(), static_cast<std::size_t>(want), size - want);
        if (got < 0 && errno == EINTR) continue;
        if (got != want) throw std::system_error(got < 0 ? errno : EIO, std::generic_category(), "read");
        const std::string_view text(block.data(), static_cast<std::size_t>(got));
        if (const auto end = text.rfind('\n'); end != text.npos) return size - want + static_cast<off_t>(end) + 1;
        size -= want;
    }
    return 0;
}

}  // namespace

file_sink::file_sink(const options& options, spdlog::logger& log)
    : directory_(options.directory),
      path_(directory_ / "events.jsonl"),
      durability_(options.durability),
      max_size_(options.file_max_size),
      keep_(options.file_keep),
      log_(log) {
    if (open_directory())
        open();
    else if (durability_ == durability::memory)
        throw std::runtime_error(owned_by_another() + "; stop that process or name another directory");
    else
        log_.warn("tracker: {}; events wait in the spool until it ends", owned_by_another());
}

std::string file_sink::owned_by_another() const {
    return fmt::format("tracker.directory '{}': another process writes its events here (it holds events.lock)",
                       directory_.string());
}

/// Makes the directory and takes the lock in it; false when another process has it.
bool file_sink::open_directory() {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) refuse(directory_, "cannot be made", error.value());
    // A lock file that was removed with its directory locks nothing any more.
    return (lock_ && status_of(lock_).st_nlink > 0) || take_lock();
}

void file_sink::open() {
    // Mode 0640: what clients send is nobody else's to read. O_RDWR for the look at the last line.
    file_ = descriptor(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640));
    if (!file_) refuse(directory_, "cannot open events.jsonl", errno);
    try {
        cut_torn_line();
    } catch (const std::system_error& failure) {
        file_.reset();
        refuse(directory_, "cannot cut the torn last line of events.jsonl", failure.code().value());
    }
    if (durability_ != durability::disk) return;
    const descriptor folder(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0) refuse(directory_, "cannot be synced", errno);
}

bool file_sink::take_lock() {
    const auto path = directory_ / "events.lock";
    descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    if (!lock) refuse(directory_, "cannot open events.lock", errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return false;
        refuse(directory_, "cannot lock events.lock", errno);
    }
    lock_ = std::move(lock);
    return true;
}

void file_sink::cut_torn_line() {
    const auto status = status_of(file_);
    if (!S_ISREG(status.st_mode) || status.st_size == 0) return;
    const auto whole = whole_lines(file_, status.st_size);
    if (whole == status.st_size) return;
    if (::ftruncate(file_.get(), whole) != 0) throw std::system_error(errno, std::generic_category(), "ftruncate");
    log_.warn("tracker: cut a torn last line of {} bytes from {}", status.st_size - whole, path_.string());
}

void file_sink::deliver(std::span<const event> batch) {
    text_.clear();
    for (const auto& event : batch) {
        append_json(text_, event);
        text_ += '\n';
    }
    if (reopen_asked_.exchange(false)) file_.reset();
    // A removed file would swallow every line without an error.
    if (file_ && status_of(file_).st_nlink == 0) file_.reset();
    if (!file_ && !open_directory()) throw std::runtime_error(owned_by_another());
    if (!file_) open();
    const auto size = static_cast<std::size_t>(status_of(file_).st_size);
    if (max_size_ > 0 && size > 0 && size + text_.size() > max_size_) rotate();
    append();
}

/// Who dies in between leaves a number out, which the next rotation fills.
void file_sink::rotate() {
    const auto numbered = [this](std::size_t number) { return fmt::format("{}.{}", path_.string(), number); };
    const auto rename = [](const std::string& from, const std::string& to) {
        if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
            throw std::runtime_error(fmt::format("{}: rename: {}", from, reason(errno)));
    };
    for (auto number = keep_ + 1; ::unlink(numbered(number).c_str()) == 0;) ++number;  // more were kept once
    for (auto number = keep_; number-- > 1;) rename(numbered(number), numbered(number + 1));
    rename(path_.string(), numbered(1));
    open();
}

void file_sink::append() {
    const auto before = status_of(file_);
    std::string_view rest = text_;
    while (!rest.empty()) {
        const auto written = ::write(file_.get(), rest.data(), rest.size());
        if (written > 0) {
            rest.remove_prefix(static_cast<std::size_t>(written));
            continue;
        }
        const int error = written == 0 ? ENOSPC : errno;
        if (error == EINTR) continue;
        // Back to the length before the batch, which is tried again whole. When even that fails, the
        // next try opens the file again, and with that cuts at least the torn line.
        if (S_ISREG(before.st_mode) && ::ftruncate(file_.get(), before.st_size) != 0) file_.reset();
        throw std::runtime_error(fmt::format("{}: write: {}", path_.string(), reason(error)));
    }
    // What is delivered leaves the spool: it must not be less durable here.
    if (durability_ != durability::disk || ::fdatasync(file_.get()) == 0) return;
    const int error = errno;
    file_.reset();  // a second fdatasync(2) could say that all is well
    throw std::runtime_error(fmt::format("{}: fdatasync: {}", path_.string(), reason(error)));
}

}  // namespace tracker
