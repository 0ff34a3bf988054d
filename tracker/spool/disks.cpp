#include "tracker/spool/disks.hpp"

#include <cerrno>
#include <chrono>
#include <thread>

namespace tracker {

bool is_answer(int error) noexcept {
    // They say what is there, or that nothing is: the disk works, and another try would bring the same.
    return error == ENOENT || error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENXIO ||
           error == ENODEV;
}

bool is_to_be_changed(int error) noexcept {
    switch (error) {
        case EACCES:
        case EPERM:
        case EROFS:
        case ENOSPC:
        case EDQUOT:
        case EEXIST:
        case EINVAL:
        case ENAMETOOLONG:
        case EOVERFLOW:
        case ENOSYS:
        case ENOTSUP: return true;
        default: return is_answer(error);
    }
}

template <class Result>
Result counting_disk::counted(call which, Result result) noexcept {
    if (result < 0 && !is_answer(errno)) failures_[which].fetch_add(1, std::memory_order_relaxed);
    return result;
}

int counting_disk::create(const char* path) { return counted(opening, to_.create(path)); }
ssize_t counting_disk::write(int file, std::string_view bytes, off_t at) {
    return counted(writing, to_.write(file, bytes, at));
}
int counting_disk::sync(int file) { return counted(syncing, to_.sync(file)); }
int counting_disk::sync_directory(int directory) { return counted(syncing, to_.sync_directory(directory)); }
int counting_disk::truncate(int file, off_t size) { return counted(cutting, to_.truncate(file, size)); }
int counting_disk::make_directories(const char* path) { return counted(making, to_.make_directories(path)); }
int counting_disk::rename(const char* from, const char* to) { return counted(renaming, to_.rename(from, to)); }
int counting_disk::open(const char* path, int flags) { return counted(opening, to_.open(path, flags)); }
int counting_disk::status(int file, struct stat& into) { return counted(looking, to_.status(file, into)); }
ssize_t counting_disk::read(int file, std::span<char> into, off_t at) {
    return counted(reading, to_.read(file, into, at));
}
int counting_disk::list(const char* path, std::vector<std::string>& all) {
    return counted(listing, to_.list(path, all));
}

std::map<std::string_view, std::uint64_t> counting_disk::failures() const {
    std::map<std::string_view, std::uint64_t> all;
    for (std::size_t i = 0; i < names.size(); ++i) all[names[i]] = failures_[i].load(std::memory_order_relaxed);
    return all;
}

bool brief_patience::waits(std::string_view, std::string_view, int error, unsigned times) {
    constexpr std::chrono::milliseconds first_pause{5};
    if (times >= patient_disk::most_tries || is_to_be_changed(error) || (cancelled_ && cancelled_())) return false;
    std::this_thread::sleep_for(first_pause * (1U << times));
    return true;
}

template <class Call>
auto patient_disk::persistently(std::string_view file, std::string_view name, Call call) {
    auto result = call();
    unsigned failures = 0;
    while (result < 0 && !is_answer(errno)) {
        const int error = errno;
        // errno is kept beside the call, since what waits and writes lines changes it.
        const bool again = patience_.waits(file, name, error, ++failures) && failures < most_tries;
        errno = error;
        if (!again) return result;
        result = call();
    }
    const int answer = errno;
    if (failures > 0) patience_.is_over();
    errno = answer;
    return result;
}

int patient_disk::open(const char* path, int flags) {
    const auto file = persistently(path, "open", [&] { return to_.open(path, flags); });
    // A later call has only the descriptor, and the line that tells of it wants the path.
    if (file >= 0) opened_[file] = path;
    return file;
}

int patient_disk::status(int file, struct stat& into) {
    return persistently(opened_[file], "fstat", [&] { return to_.status(file, into); });
}

ssize_t patient_disk::read(int file, std::span<char> into, off_t at) {
    return persistently(opened_[file], "pread", [&] { return to_.read(file, into, at); });
}

int patient_disk::list(const char* path, std::vector<std::string>& names) {
    return persistently(path, "readdir", [&] {
        // The try before may have found some of them.
        names.clear();
        return to_.list(path, names);
    });
}

}  // namespace tracker
