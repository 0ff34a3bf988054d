// Files and directories.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

struct directory {
    int number = -1;  ///< its descriptor, where it was made of one
    std::vector<std::string> names;
    std::size_t at = 0;
    dirent entry;
};

constexpr std::string_view threads_here = "/proc/self/task";

/// The directory of that name, opened.
class threads_description final : public description {};

std::vector<std::string> threads_of(const kernel& on) {
    std::vector<std::string> all;
    for (const auto* each : on.living(on.self())) all.push_back(std::to_string(each->thread));
    return all;
}

/// What a thread is called, as proc(5) has it.
class name_description final : public description {
public:
    explicit name_description(std::string name) : name_(std::move(name) + '\n') {}
    long read(void* into, std::size_t size) override {
        return static_cast<long>(name_.copy(static_cast<char*>(into), size));
    }

private:
    const std::string name_;
};

int open_thread(kernel& on, std::string_view thread) {
    for (const auto* each : on.living(on.self()))
        if (thread == std::to_string(each->thread) + "/comm")
            return on.self().open(std::make_shared<name_description>(each->name));
    return fails_with(ENOENT);
}

int open_file(const char* path, int flags, unsigned mode) {
    const inside on;
    if (!on) return static_cast<int>(raw::call(SYS_open, reinterpret_cast<long>(path), flags, mode));
    on->call();
    if (std::string_view(path) == "/dev/null") return on->self().open(std::make_shared<null_description>());
    if (path == threads_here) return on->self().open(std::make_shared<threads_description>());
    if (const std::string_view text(path); text.starts_with(threads_here))
        return open_thread(*on, text.substr(threads_here.size() + 1));
    return on->disk->open(on->self(), path, flags);
}

/// The file behind a descriptor; nullptr, and errno says why.
std::shared_ptr<file_description> file(int number) {
    const inside on;
    if (!on) return errno = EBADF, nullptr;
    on->call();
    auto found = open_as<file_description>(*on, number);
    if (!found) errno = EBADF;
    return found;
}

int status_of(int number, struct stat* into) {
    const inside on;
    if (!on) return static_cast<int>(raw::call(SYS_fstat, number, reinterpret_cast<long>(into)));
    on->call();
    const auto what = on->self().find(number);
    if (!what) return fails_with(EBADF);
    if (const auto open = std::dynamic_pointer_cast<file_description>(what)) {
        if (on->disk->fails(disk_tree::looking)) return fails_with(EIO);
        disk_tree::describe(*open->what, *into);
        return 0;
    }
    *into = {};
    into->st_mode = S_IFCHR | 0666;  // a log nobody waits for, as /dev/null is
    into->st_rdev = 0x103;
    into->st_nlink = 1;
    if (std::dynamic_pointer_cast<tcp_stream>(what)) into->st_mode = S_IFSOCK | 0666;
    return 0;
}

/// Of a file of the real machine, from its fopen to its fclose: there is no turn for others in between.
int real_number = -1;

std::FILE* open_real(const char* path, const char* mode) {
    using function = std::FILE* (*)(const char*, const char*);
    static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "fopen64"));
    const inside on;
    if (!on) return real(path, mode);
    // Of all that it reads of the machine (its quota, its memory) only this would be missed.
    if (!on->spawn || std::string_view(path) != "/proc/self/cmdline") return errno = ENOENT, nullptr;
    auto* const file = real(path, mode);
    real_number = ::fileno(file);
    return file;
}

int sync_file(int number) {
    const auto open = file(number);
    return open ? inside()->disk->sync(*open->what) : -1;
}

}  // namespace

bool simulator::is_real(int number) noexcept { return number >= 0 && number == real_number; }

extern "C" {

std::FILE* fopen(const char* path, const char* mode) { return open_real(path, mode); }
std::FILE* fopen64(const char* path, const char* mode) { return open_real(path, mode); }
int fclose(std::FILE* file) {
    static const auto real = reinterpret_cast<int (*)(std::FILE*)>(::dlsym(RTLD_NEXT, "fclose"));
    real_number = -1;
    return real(file);
}

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const auto mode = va_arg(arguments, unsigned);
    va_end(arguments);
    return open_file(path, flags, mode);
}
int openat(int, const char* path, int flags, ...) { return open_file(path, flags, 0); }
int __open_2(const char* path, int flags) { return open_file(path, flags, 0); }
int __open64_2(const char* path, int flags) { return open_file(path, flags, 0); }

int fstat(int number, struct stat* into) noexcept { return status_of(number, into); }
int fstat64(int number, struct stat64* into) noexcept {
    return status_of(number, reinterpret_cast<struct stat*>(into));  // the same on this machine
}
int stat(const char* path, struct stat* into) noexcept {
    const inside on;
    if (!on) return static_cast<int>(raw::call(SYS_stat, reinterpret_cast<long>(path), reinterpret_cast<long>(into)));
    on->call();
    return on->disk->status(path, *into);
}
int lstat(const char* path, struct stat* into) noexcept { return ::stat(path, into); }

ssize_t pread(int number, void* into, std::size_t size, off_t at) {
    const auto open = file(number);
    return open ? inside()->disk->read(*open->what, static_cast<char*>(into), size, static_cast<std::size_t>(at)) : -1;
}
ssize_t pwrite(int number, const void* from, std::size_t size, off_t at) {
    const auto open = file(number);
    if (!open) return -1;
    return inside()->disk->write(*open->what, {static_cast<const char*>(from), size}, static_cast<std::size_t>(at));
}
int ftruncate(int number, off_t size) noexcept {
    const auto open = file(number);
    return open ? inside()->disk->truncate(*open->what, static_cast<std::size_t>(size)) : -1;
}
int fsync(int number) { return sync_file(number); }
int fdatasync(int number) { return sync_file(number); }
off_t lseek(int number, off_t to, int whence) noexcept {
    const auto open = file(number);
    if (!open) return -1;
    const auto from = whence == SEEK_END ? open->what->bytes.size() : whence == SEEK_CUR ? open->offset : 0;
    open->offset = from + static_cast<std::size_t>(to);
    return static_cast<off_t>(open->offset);
}
int posix_fadvise(int, off_t, off_t, int) noexcept { return 0; }

int flock(int number, int operation) noexcept {
    const auto open = file(number);
    if (!open) return -1;
    auto& owner = open->what->locked_by;
    if ((operation & LOCK_UN) != 0) {
        if (owner == open.get()) owner = nullptr;
        return 0;
    }
    if (owner != nullptr && owner != open.get()) return fails_with(EWOULDBLOCK);
    // A shared one is only asked for to be given back.
    if ((operation & LOCK_EX) != 0) owner = open.get();
    return 0;
}

int mkdir(const char* path, mode_t) noexcept {
    inside()->call();
    return inside()->disk->make_directory(path);
}
int rename(const char* from, const char* to) noexcept {
    inside()->call();
    return inside()->disk->rename(from, to);
}
int unlink(const char* path) noexcept {
    inside()->call();
    return inside()->disk->unlink(path, false);
}
int rmdir(const char* path) noexcept {
    inside()->call();
    return inside()->disk->unlink(path, true);
}
int remove(const char* path) noexcept {
    inside()->call();
    return inside()->disk->unlink(path, false);
}
int chmod(const char*, mode_t) noexcept { return 0; }
int fchmod(int, mode_t) noexcept { return 0; }
ssize_t readlink(const char*, char*, std::size_t) noexcept { return fails_with(EINVAL); }
char* getcwd(char* into, std::size_t) noexcept {
    return into == nullptr ? ::strdup("/") : std::strcpy(into, "/");  // libstdc++ asks for one that it frees
}

DIR* opendir(const char* path) {
    const inside on;
    on->call();
    auto made = std::make_unique<directory>();
    if (!on->disk->list(path, made->names)) return nullptr;
    return reinterpret_cast<DIR*>(made.release());
}
DIR* fdopendir(int number) {
    const inside on;
    auto made = std::make_unique<directory>();
    made->number = number;
    if (open_as<threads_description>(*on, number))
        made->names = threads_of(*on);
    else if (const auto open = open_as<file_description>(*on, number))
        for (const auto& [name, what] : open->what->entries) made->names.push_back(name);
    return reinterpret_cast<DIR*>(made.release());
}
int dirfd(DIR* of) noexcept { return reinterpret_cast<directory*>(of)->number; }
dirent* readdir(DIR* of) {
    auto& from = *reinterpret_cast<directory*>(of);
    if (from.at == from.names.size()) return nullptr;
    const auto& name = from.names[from.at++];
    from.entry = {};
    name.copy(from.entry.d_name, sizeof from.entry.d_name - 1);
    return &from.entry;
}
int closedir(DIR* of) {
    const std::unique_ptr<directory> gone(reinterpret_cast<directory*>(of));
    if (gone->number >= 0) ::close(gone->number);
    return 0;
}

}  // extern "C"
