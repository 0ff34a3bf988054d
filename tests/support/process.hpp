#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/eventually.hpp"
#include "tests/support/held_calls.hpp"

namespace support {

/// The content of a file; empty when there is none.
std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& text);

/// An empty directory of its own, removed with everything in it when destroyed.
class temporary_directory {
public:
    temporary_directory();
    ~temporary_directory();
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// How a process ended.
struct exit_status {
    int code = -1;              ///< of exit(2); -1 when a signal ended it
    int signal = 0;             ///< what ended it, 0 when it called exit(2)
    clock::time_point at = {};  ///< when that was seen
};

/// Where a tool is, by PATH, and then in the folders of what administrators run; empty when it is not installed.
std::string tool(const std::string& name);

/// A program under test, with an output that does not have to be read: it goes to files.
/// Only on the thread that made it. Never outlives this object: the destructor kills and reaps it,
/// and the kernel does when the test itself dies.
class process {
public:
    struct options {
        std::string program;
        std::vector<std::string> arguments;
        std::vector<std::string> environment;  ///< `NAME=value`; nothing is inherited
        std::filesystem::path directory;       ///< the working directory; `stdout` and `stderr` are put beside it
        bool full_stderr = false;              ///< stderr is a full pipe that nobody reads
        bool signals_blocked = false;          ///< every one, as a parent may leave it
        held_calls* calls = nullptr;           ///< its calls that go to files
    };

    /// Returns once the program has been exec'ed; throws std::runtime_error when it cannot be.
    explicit process(options how);
    ~process();
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    pid_t pid() const noexcept { return pid_; }
    std::string out() const { return read_file(output_); }
    std::string err() const { return read_file(errors_); }

    /// Returns the moment; does nothing when the process has been reaped.
    clock::time_point signal(int number) const;

    /// Blocks until the process has ended or `limit` has passed (then: none).
    std::optional<exit_status> wait(milliseconds limit);
    bool ended() { return wait(milliseconds(0)).has_value(); }

    /// True when the process has this signal blocked now, as /proc says.
    bool blocks(int number) const;

private:
    bool reap();

    std::filesystem::path output_, errors_;
    pid_t pid_ = -1;
    int handle_ = -1;  ///< pidfd; -1 where the kernel has none
    int unread_ = -1;  ///< the reading end of the full pipe
    std::optional<exit_status> status_;
};

}  // namespace support
