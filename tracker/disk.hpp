#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

namespace tracker {

/// The system calls that fail when a disk is full, broken or gone, each with the result and errno of its
/// manual page: one place for a test to be the broken disk. For one thread.
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
};

}  // namespace tracker
