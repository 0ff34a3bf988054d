#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tracker/descriptor.hpp"
#include "tracker/disk.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// What is set aside, and kept, has this after its name.
inline constexpr std::string_view kept_suffix = ".damaged";

// How the files of a set of segments are opened: never waited for, and no link is followed where a name must be a
// file's. All throw std::system_error with the path.

descriptor opened(disk& files, const std::filesystem::path& path, int flags);

/// A file to be read; none, and errno says why, where there is no such name, or something else has it.
descriptor opened_file(disk& files, const std::filesystem::path& path, std::uint64_t* length = nullptr);

std::vector<std::string> names_in(disk& files, const std::filesystem::path& directory);

/// flock(2). False: another process has it.
bool try_lock(const descriptor& file, const std::filesystem::path& path);

/// Something that is not a regular file gets another name, and one line says so. False, and errno says why, when it
/// does not.
bool set_aside(const std::filesystem::path& path, spdlog::logger& log);

/// The lock of a set, held; none where another process has it. It is made where it is missing; something else with its
/// name is set aside first, which only one process at a time does.
descriptor locked_set(const std::filesystem::path& set, disk& files, spdlog::logger& log);

}  // namespace tracker
