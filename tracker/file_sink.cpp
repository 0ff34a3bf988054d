#include "tracker/file_sink.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "lifecycle/lines.hpp"
#include "tracker/last_line.hpp"

namespace tracker {
namespace {

std::string reason(int error) { return std::generic_category().message(error); }

/// What is thrown of a disk that may work again.
struct disk_failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::system_error failure_of(const char* call, int error = errno) { return {error, std::generic_category(), call}; }

/// How often, and how soon after each other, what only syncs looks for its file.
constexpr int tries_to_open = 5;
constexpr std::chrono::milliseconds first_pause{10};

/// What to do about it, for the end of a line; empty where the error says it.
std::string_view advice(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT: return "; make room there";
        case EACCES:
        case EPERM:
        case EROFS: return "; make it writable for this user";
        case EISDIR:
        case ENOTDIR:
        case ENOTEMPTY:
        case EEXIST: return "; move what is in its way";
        default: return "";
    }
}

[[noreturn]] void fail(std::string_view path, std::string_view what, int error) {
    throw std::runtime_error(fmt::format("{}: {}: {}{}", path, what, reason(error), advice(error)));
}

/// The number of a rotated file: what comes after `events.jsonl.`; 0 of any other file.
std::size_t number_of(const std::string& name, const std::string& live) {
    std::size_t number = 0;
    if (!name.starts_with(live) || name.size() < live.size() + 2 || name[live.size()] != '.') return 0;
    const auto [end, error] = std::from_chars(name.data() + live.size() + 1, name.data() + name.size(), number);
    return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

}  // namespace

file_sink::file_sink(const options& options, spdlog::logger& log, disk* other)
    : directory_(options.directory),
      path_(directory_ / "events.jsonl"),
      durability_(options.durability),
      max_size_(options.file_max_size),
      keep_(options.file_keep),
      log_(log),
      disk_(other != nullptr ? *other : real_),
      may_be_asked_(durability_ == durability::process) {
    try {
        begin();
    } catch (const disk_failure& failure) {
        fault_ = failure.what();
    }
}

void file_sink::begin() {
    if (open_directory())
        open();
    else if (durability_ == durability::memory)
        throw std::runtime_error(owned_by_another() + "; stop that process or name another directory");
    else
        lifecycle::lines(log_).warn("tracker: {error}; events wait in the spool until it ends", owned_by_another());
}

void file_sink::prepare() {
    if (!fault_.empty()) throw std::runtime_error(std::exchange(fault_, {}));
    if (!unreadable_) return;
    if (!file_ && open_directory()) open();
    unreadable_ = false;
}

/// A call on `file` has failed: says which directory, what failed, and what to do about it; or, of a disk that may work
/// again, which call.
void file_sink::refuse(std::string_view what, const std::filesystem::path& file, const std::system_error& error) {
    if (is_to_be_changed(error.code().value()))
        throw std::runtime_error(
            fmt::format("tracker.directory '{}': {}: {}; make it writable for this user or name another directory",
                        directory_.string(), what, error.code().message()));
    unreadable_ = true;
    throw disk_failure(
        fmt::format("{}: {}; nothing is given up, look at the disk and its mount", file.string(), error.what()));
}

struct stat file_sink::status_of(const descriptor& file, std::string_view name) {
    struct stat status = {};
    if (disk_.status(file.get(), status) != 0)
        refuse(fmt::format("cannot look at {}", name), directory_ / name, failure_of("fstat"));
    return status;
}

std::string file_sink::owned_by_another() const {
    return fmt::format("tracker.directory '{}': another process writes its events here (it holds events.lock)",
                       directory_.string());
}

/// Makes the directory and takes the lock in it; false when another process has it.
bool file_sink::open_directory() {
    if (disk_.make_directories(directory_.c_str()) != 0) refuse("cannot be made", directory_, failure_of("mkdir"));
    // A lock file that was removed with its directory locks nothing any more.
    return (lock_ && status_of(lock_, "events.lock").st_nlink > 0) || take_lock();
}

void file_sink::open() {
    // Mode 0640: what clients send is nobody else's to read. O_RDWR for the look at the last line.
    descriptor fresh(disk_.open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOCTTY));
    if (!fresh) refuse("cannot open events.jsonl", path_, failure_of("open"));
    const auto mode = status_of(fresh, "events.jsonl").st_mode;
    if (S_ISFIFO(mode))  // it would take events that nobody reads, and they would be gone with this process
        throw std::runtime_error(
            fmt::format("{}: is a FIFO, which keeps no event; move it away, or use the sink stdout", path_.string()));
    regular_ = S_ISREG(mode);
    if (!regular_) ::fcntl(fresh.get(), F_SETFL, O_APPEND);  // the disk opens what it does not know without waiting
    {
        const std::scoped_lock lock(exchanging_);
        file_ = std::move(fresh);
        unsynced_ = regular_ && may_be_asked_;  // an earlier run may not have synced either
        listed_ = false;
    }
    try {
        mend();
    } catch (const std::system_error& failure) {
        close();
        refuse("cannot cut the torn last line of events.jsonl", path_, failure);
    }
    if (durability_ != durability::disk) return;
    if (const int error = sync_name(); error != 0) {
        close();
        refuse("cannot be synced", directory_, failure_of("fsync", error));
    }
}

/// A disk that fails here has lost nothing of what is to be synced.
descriptor file_sink::open_to_sync(const std::filesystem::path& path, int flags) {
    for (int tries = 1;; ++tries) {
        descriptor opened(disk_.open(path.c_str(), flags | O_RDONLY));
        if (opened || is_to_be_changed(errno) || tries == tries_to_open) return opened;
        std::this_thread::sleep_for(first_pause * tries);
    }
}

/// The name of the file, which may be new; the errno of a failure.
int file_sink::sync_name() {
    const auto folder = open_to_sync(directory_, O_DIRECTORY);
    return folder && disk_.sync_directory(folder.get()) == 0 ? 0 : errno;
}

bool file_sink::take_lock() {
    const auto path = directory_ / "events.lock";
    descriptor lock(disk_.open(path.c_str(), O_RDWR | O_CREAT));
    if (!lock) refuse("cannot open events.lock", path, failure_of("open"));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) refuse("cannot lock events.lock", path, failure_of("flock"));
        unreadable_ = false;
        return false;
    }
    mend_rotated_files();
    lock_ = std::move(lock);
    return true;
}

/// Makes the file end with a whole line.
void file_sink::mend() {
    const auto last = mend_last_line(file_.get(), disk_);
    size_ = last.size;
    lacks_end_ = last.lacks_end;
    if (last.cut == 0) return;
    lifecycle::lines(log_).warn("tracker: cut a torn last line of {bytes} bytes from {path}", last.cut, path_.string());
    if (may_be_asked_) unsynced_ = true;
}

/// Somebody else has written to it, or cut it.
void file_sink::mend_in_use() try { mend(); } catch (const std::system_error& failure) {
    if (!is_to_be_changed(failure.code().value())) refuse("cannot be read", path_, failure);
    fail(path_.string(), "cannot cut the torn last line", failure.code().value());
}

/// A run that was not synced before it rotated, as those of earlier versions were not, may have left a torn one among
/// them, when the machine lost its power. The holder of the lock may write to them.
void file_sink::mend_rotated_files() {
    std::vector<std::string> names;  // a directory that may not be read has been written to, and is so again
    if (disk_.list(directory_.c_str(), names) != 0 && !is_to_be_changed(errno))
        refuse("cannot be read", directory_, failure_of("readdir"));
    for (const auto& name : names)
        if (number_of(name, path_.filename().string()) > 0) mend_rotated_file(directory_ / name);
}

void file_sink::mend_rotated_file(const std::filesystem::path& path) try {
    const descriptor file(disk_.open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NOCTTY));
    if (!file && is_to_be_changed(errno)) return;  // no file of ours
    if (!file) throw failure_of("open");
    if (const auto last = mend_last_line(file.get(), disk_); last.cut > 0)
        lifecycle::lines(log_).warn("tracker: cut a torn last line of {bytes} bytes from {path}", last.cut,
                                    path.string());
} catch (const std::system_error& failure) {
    if (!is_to_be_changed(failure.code().value())) refuse("cannot be read", path, failure);
    lifecycle::lines(log_).warn("tracker: {path} may end with a torn line, which cannot be cut: {error}", path.string(),
                                failure.what());
}

void file_sink::close() noexcept {
    const std::scoped_lock lock(exchanging_);
    file_.reset();
    unsynced_ = false;
}

/// Another file is opened next. What has been written to this one is not lost by that.
void file_sink::let_go() {
    const std::scoped_lock lock(exchanging_);
    if (unsynced_ && file_) sync_file();
    file_.reset();
}

/// fdatasync(2) of what was delivered; a failure is noted, and the file closed: a second one could say that all is
/// well.
void file_sink::sync_file() {
    unsynced_ = false;
    if (disk_.sync(file_.get()) != 0) {
        lost_ = errno;
        file_.reset();
        return;
    }
    if (listed_) return;
    const int error = sync_name();
    listed_ =
        error == 0 || error == EINVAL || error == ENOTSUP;  // there are file systems without fsync(2) of a directory
    if (!listed_) lost_ = error;
}

void file_sink::sync() {
    if (durability_ == durability::disk) return;
    const std::scoped_lock lock(exchanging_);
    if (!may_be_asked_.exchange(true)) unsynced_ = regular_.load();
    if (file_ && unsynced_) sync_file();
    if (!file_) sync_file_of_another();
    if (lost_ != 0) fail(path_.string(), "fdatasync", std::exchange(lost_, 0));
}

/// Another process may have the lock, and one before it may have written and not synced.
void file_sink::sync_file_of_another() {
    const auto file = open_to_sync(path_, O_NOCTTY);
    if (!file && is_to_be_changed(errno)) return;
    struct stat status = {};
    if (!file || disk_.status(file.get(), status) != 0) fail(path_.string(), file ? "fstat" : "open", errno);
    if (S_ISREG(status.st_mode) && disk_.sync(file.get()) != 0) lost_ = errno;
}

void file_sink::deliver(std::span<const event> batch) {
    if (reopen_asked_.exchange(false)) let_go();
    if (file_) {
        const auto status = status_of(file_, "events.jsonl");
        if (status.st_nlink == 0)
            close();  // a removed file would swallow every line without an error
        else if (regular_ && status.st_size != size_)
            mend_in_use();
    }
    if (!file_ && !open_directory()) throw std::runtime_error(owned_by_another());
    if (!file_) open();
    unreadable_ = false;
    text_.assign(lacks_end_ ? "\n" : "");
    for (const auto& event : batch) {
        append_json(text_, event);
        text_ += '\n';
    }
    if (max_size_ > 0 && size_ > 0 && static_cast<std::size_t>(size_) + text_.size() > max_size_) {
        rotate();
        text_.erase(0, text_.find_first_not_of('\n'));
    }
    append();
}

/// A process that dies in between leaves a number out, which the next rotation fills.
void file_sink::rotate() {
    const auto numbered = [this](std::size_t number) { return fmt::format("{}.{}", path_.string(), number); };
    const auto rename = [](const std::string& from, const std::string& to) {
        if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
            fail(from, fmt::format("cannot be rotated to {}", to), errno);
    };
    int lost = 0;
    {
        const std::scoped_lock lock(exchanging_);
        if (unsynced_) sync_file();  // a rotated file is whole, whatever becomes of the machine
        if (!file_) lost = lost_;
    }
    if (lost != 0) fail(path_.string(), "fdatasync", lost);
    for (auto number = keep_ + 1; ::unlink(numbered(number).c_str()) == 0;) ++number;  // more were kept once
    for (auto number = keep_; number-- > 1;) rename(numbered(number), numbered(number + 1));
    rename(path_.string(), numbered(1));
    open();
}

void file_sink::append() {
    const auto before = size_;
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
        if (regular_ && !cut_back(file_.get(), before, disk_)) let_go();
        fail(path_.string(), "write", error);
    }
    if (regular_) size_ = before + static_cast<off_t>(text_.size());
    lacks_end_ = false;
    if (may_be_asked_) unsynced_ = regular_.load();
    // What is delivered leaves the spool: it must not be less durable here.
    if (durability_ != durability::disk || disk_.sync(file_.get()) == 0) return;
    const int error = errno;
    // Its bytes may be on no disk, and are clean. The next try must write them where they are, not after a hole.
    if (regular_) [[maybe_unused]]
        const bool cut = cut_back(file_.get(), before, disk_);
    close();  // a second fdatasync(2) could say that all is well
    fail(path_.string(), "fdatasync", error);
}

}  // namespace tracker
