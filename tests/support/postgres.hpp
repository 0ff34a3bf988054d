#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/process.hpp"

namespace support {

/// A PostgreSQL of a test's own: in a temporary folder, on a UNIX socket in it, without a port. Run by nobody where the
/// test is root, since it refuses to be. Made and destroyed on one thread, with which it ends in any case.
class postgres {
public:
    /// Whether Debian's package `postgresql`, of any version, is there.
    static bool is_installed() { return !programs().empty(); }

    /// Makes an empty database, and blocks until it answers. Throws std::runtime_error with what it has said when it
    /// does not come up.
    postgres();
    ~postgres();
    postgres(const postgres&) = delete;
    postgres& operator=(const postgres&) = delete;

    const std::filesystem::path& folder() const noexcept { return folder_.path(); }  ///< where its socket is
    /// As libpq reads it.
    std::string connection() const { return "host=" + folder().string() + " user=postgres dbname=postgres"; }

    /// Blocks. Throws std::runtime_error with what psql has said when it fails.
    void execute(const std::string& sql) const;

    /// SIGSTOP, or SIGCONT, to each of its processes: it neither answers nor closes anything. Safe from any thread.
    void freeze(bool frozen) const;

private:
    static std::filesystem::path programs();
    process::options how(const char* program, std::vector<std::string> arguments) const;

    temporary_directory folder_;
    std::unique_ptr<process> process_;
};

}  // namespace support
