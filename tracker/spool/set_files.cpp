#include "tracker/spool/set_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "lifecycle/lines.hpp"
#include "tracker/spool/disks.hpp"

namespace tracker {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& what) { throw std::system_error(errno, std::generic_category(), what.string()); }

/// There is something with this name, and it is not a regular file. errno stays.
bool is_no_file(const fs::path& path) {
    const int error = errno;
    struct stat status = {};
    const bool odd = ::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
    errno = error;
    return odd;
}

/// errno says what has the name that could not be opened: a device may not be opened at all.
bool is_answered(const fs::path& path) {
    return is_answer(errno) || ((errno == EACCES || errno == EPERM) && is_no_file(path));
}

struct stat status_of(disk& files, const descriptor& file, const fs::path& path) {
    struct stat status = {};
    if (files.status(file.get(), status) != 0) fail(path);
    return status;
}

/// The file of the lock; none where something else has its name.
descriptor lock_file(const fs::path& path, disk& files) {
    descriptor lock(files.open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW));
    if (!lock && (!is_answered(path) || !is_no_file(path))) fail(path);
    if (lock && !S_ISREG(status_of(files, lock, path).st_mode)) lock.reset();
    return lock;
}

}  // namespace

descriptor opened(disk& files, const fs::path& path, int flags) {
    descriptor file(files.open(path.c_str(), flags));
    if (!file) fail(path);
    return file;
}

descriptor opened_file(disk& files, const fs::path& path, std::uint64_t* length) {
    descriptor file(files.open(path.c_str(), O_RDONLY | O_NOFOLLOW));
    if (!file && !is_answered(path)) fail(path);
    if (!file) return file;
    const auto status = status_of(files, file, path);
    if (!S_ISREG(status.st_mode)) {
        file.reset();
        errno = EINVAL;
        return file;
    }
    if (length != nullptr) *length = static_cast<std::uint64_t>(status.st_size);
    return file;
}

std::vector<std::string> names_in(disk& files, const fs::path& directory) {
    std::vector<std::string> names;
    if (files.list(directory.c_str(), names) != 0) fail(directory);
    return names;
}

bool try_lock(const descriptor& file, const fs::path& path) {
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) fail(path);
    return false;
}

bool set_aside(const fs::path& path, spdlog::logger& log) {
    const auto name = path.string();
    auto aside = name + std::string(kept_suffix);
    struct stat status = {};
    for (int nth = 2; ::lstat(aside.c_str(), &status) == 0; ++nth)
        aside = fmt::format("{}.{}{}", name, nth, kept_suffix);
    if (errno != ENOENT) return false;  // there may be one of that name
    if (::rename(name.c_str(), aside.c_str()) != 0) return false;
    lifecycle::lines(log).error("tracker: {path} is not a regular file: it is set aside as .damaged and never read",
                                name);
    return true;
}

descriptor locked_set(const fs::path& set, disk& files, spdlog::logger& log) {
    const auto path = set / "lock";
    auto lock = lock_file(path, files);
    if (!lock) {
        // Two that find it so must not set aside what the first of them has made in its place.
        const auto folder = opened(files, set, O_RDONLY | O_DIRECTORY);
        if (!try_lock(folder, set)) return {};
        if (is_no_file(path) && !set_aside(path, log)) fail(path);
        lock = lock_file(path, files);
        if (!lock) throw std::system_error(EEXIST, std::generic_category(), path.string());
    }
    if (!try_lock(lock, set)) return {};
    return lock;
}

}  // namespace tracker
