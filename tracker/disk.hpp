#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace tracker {

/// The system calls that fail when a disk is full, broken or gone, each with the result and errno of its
/// manual page: one place for a test to be the broken disk. Those that write are of one thread, those that read of any.
class disk {
public:
    disk() = default;
    virtual ~disk() = default;
    disk(const disk&) = delete;
    disk& operator=(const disk&) = delete;

    virtual int create(const char* path) { return ::open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640); }
    virtual ssize_t write(int file, std::string_view bytes, off_t at) {
        return ::pwrite(file, bytes.data(), bytes.size(), at);
    }
    virtual int sync(int file) { return ::fdatasync(file); }
    /// open(2) of a new file is durable only once its directory is: fsync(2).
    virtual int sync_directory(int directory) { return ::fsync(directory); }
    virtual int truncate(int file, off_t size) { return ::ftruncate(file, size); }
    /// mkdir(2), of those above it too; one that is there is none that fails.
    virtual int make_directories(const char* path) {
        std::error_code error;
        std::filesystem::create_directories(path, error);
        errno = error.value();
        return error ? -1 : 0;
    }
    virtual int rename(const char* from, const char* to) { return std::rename(from, to); }

    /// Never waits for what is no file: a FIFO without a writer, a device.
    virtual int open(const char* path, int flags) { return ::open(path, flags | O_NONBLOCK | O_CLOEXEC, 0640); }
    virtual int status(int file, struct stat& into) { return ::fstat(file, &into); }
    virtual ssize_t read(int file, std::span<char> into, off_t at) {
        return ::pread(file, into.data(), into.size(), at);
    }
    /// The names in a directory, by opendir(3) and readdir(3).
    virtual int list(const char* path, std::vector<std::string>& names) {
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path), ::closedir);
        if (!folder) return -1;
        int error = 0;
        for (;;) {
            errno = 0;
            const auto* const entry = ::readdir(folder.get());
            error = errno;
            if (entry == nullptr) break;
            names.emplace_back(entry->d_name);
        }
        errno = error;
        return error == 0 ? 0 : -1;
    }
};

}  // namespace tracker
