#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "configs/settings.hpp"

namespace configs {

/// A token, or a list of URLs; a file that is larger is not what was meant.
inline constexpr std::size_t largest_secret = std::size_t{64} * 1024;

/// The row KEY_file of a setting that can be read from a file: the path, which a reload changes where it changes KEY.
setting row_of_file(const setting& of);
/// `tracker.http_url_file`
std::string file_key(std::string_view key);

/// What a file with the value of a setting has in it.
struct secret_file {
    std::string text;      ///< without one line break at its end
    std::string fault;     ///< why it cannot be used, on one line, without anything of its text; empty: it can
    bool is_open = false;  ///< any user may read it
};

/// Reads it whole. Never throws but for want of memory; waits for a disk, but never for the other end of a pipe: only
/// regular files are opened. Any thread.
secret_file read_secret_file(const std::string& path);

}  // namespace configs
