#include "lifecycle/note_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace lifecycle {
namespace {

constexpr int reader_patience_ms = 100;  // of what is written into: a pipe that is full

std::string because(std::string_view what, const std::string& path) {
    return fmt::format("cannot {} {}: {}", what, path, std::strerror(errno));
}

bool is_same(const struct stat& left, const struct stat& right) {
    return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/// What is at a path, as far as it matters for writing there.
struct target {
    explicit target(const std::string& path) {
        struct stat found {};
        if (::lstat(path.c_str(), &found) != 0 || S_ISREG(found.st_mode)) return;
        if (!S_ISLNK(found.st_mode)) {
            into = true;
        } else if (::stat(path.c_str(), &found) == 0) {
            // /dev/stdout leads to a file where output is redirected. Opened again it would be written from its
            // beginning, by an offset that is not the one of its other writers.
            for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO && own < 0; ++descriptor)
                if (struct stat open{}; ::fstat(descriptor, &open) == 0 && is_same(open, found)) own = descriptor;
            if (!S_ISREG(found.st_mode)) own = -1;  // a pipe or a terminal is opened again, so as never to wait for it
            into = own >= 0 || !S_ISREG(found.st_mode);
        }
    }
    bool into = false;
    int own = -1;  ///< one of 0 to 2 that is the same file
};

/// The entry of a file in its directory is the directory's. Not all file systems can say so (EINVAL).
bool sync_directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    const auto directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool synced = ::fsync(descriptor) == 0 || errno == EINVAL;
    // For the caller, who asks why: close(2) may change it.
    const int error = errno;
    ::close(descriptor);
    errno = error;
    return synced;
}

}  // namespace

std::string note_file::open(const std::string& path) {
    if (path.empty() || descriptor_ >= 0) return {};
    path_ = path;
    const target there(path);
    into_ = there.into;
    if (into_) {
        descriptor_ = there.own >= 0 ? ::fcntl(there.own, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                     : ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return descriptor_ >= 0 ? std::string() : because("open", path);
    }
    // In the same directory, since a rename works within one file system; with the pid, since two generations may write
    // at a time.
    temporary_ = fmt::format("{}.{}.tmp", path, ::getpid());
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor_ >= 0) return {};
    return because("open", std::exchange(temporary_, {}));
}

std::string note_file::write(const std::string& text, durability how) {
    if (descriptor_ < 0) return {};
    auto why = write_into(text + '\n');
    if (why.empty() && !into_) why = rename(how);
    ::close(std::exchange(descriptor_, -1));
    return why;
}

std::string note_file::write_into(const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto count = ::write(descriptor_, text.data() + at, text.size() - at);
        if (count > 0) {
            at += static_cast<std::size_t>(count);
            continue;
        }
        if (count < 0 && errno == EINTR) continue;
        pollfd room{descriptor_, POLLOUT, 0};
        if (count < 0 && errno == EAGAIN && ::poll(&room, 1, reader_patience_ms) > 0) continue;
        return because("write", into_ ? path_ : temporary_);
    }
    return {};
}

std::string note_file::rename(durability how) {
    struct stat made {};
    if (how == durability::synced && ::fdatasync(descriptor_) != 0 && errno != EINVAL)
        return because("sync", temporary_);
    if (::fstat(descriptor_, &made) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0)
        return because("rename to", path_);
    temporary_.clear();
    placed_ = true;
    device_ = made.st_dev;
    inode_ = made.st_ino;
    if (how == durability::synced && !sync_directory_of(path_)) return because("sync the directory of", path_);
    return {};
}

void note_file::remove() noexcept {
    struct stat found {};
    if (!std::exchange(placed_, false) || ::lstat(path_.c_str(), &found) != 0) return;
    // A successor may have put its own in that place, and that stays.
    if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

void note_file::remove_old(const std::string& path) noexcept {
    if (!path.empty() && !target(path).into) ::unlink(path.c_str());
}

note_file::~note_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

}  // namespace lifecycle
