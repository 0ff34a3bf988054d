#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tracker/disk.hpp"

namespace fakes {

/// Fails its reading calls from the `from`th for `times` of them; where it `makes`, those that make and rename as well.
class failing_disk final : public tracker::disk {
public:
    int open(const char* path, int flags) override { return fails() ? -1 : disk::open(path, flags); }
    int status(int file, struct stat& into) override { return fails() ? -1 : disk::status(file, into); }
    ssize_t read(int file, std::span<char> into, off_t at) override {
        if (fails()) return -1;
        const auto got = disk::read(file, into, at);
        if (got > 0) read_bytes += got;
        if (has_read) has_read();
        return got;
    }
    int list(const char* path, std::vector<std::string>& names) override {
        return fails() ? -1 : disk::list(path, names);
    }

    int make_directories(const char* path) override { return makes && fails() ? -1 : disk::make_directories(path); }
    int rename(const char* old, const char* name) override { return makes && fails() ? -1 : disk::rename(old, name); }
    int truncate(int file, off_t size) override { return makes && fails() ? -1 : disk::truncate(file, size); }
    int sync_directory(int folder) override { return makes && fails() ? -1 : disk::sync_directory(folder); }

    void fail(int first, int count, int with) {
        calls = 0;
        from = first;
        times = count;
        error = with;
    }
    std::atomic<int> calls{0}, failed{0};
    std::atomic<std::int64_t> read_bytes{0};
    std::function<void()> has_read;
    bool makes = false;

private:
    bool fails() {
        const int call = calls++;
        if (call < from || call - from >= times) return false;
        ++failed;
        errno = error;
        return true;
    }
    std::atomic<int> from{0}, times{0}, error{EIO};
};

inline constexpr int for_good = 1'000'000'000;
/// What a disk says that may work again in a moment.
inline constexpr std::array passing_errors{EIO, EINTR, ETIMEDOUT, ENOMEM};

}  // namespace fakes
