#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "configs/layers.hpp"

namespace systemd {

/// The value of a variable, or nothing; without `variables` of this process's environment.
std::string text_of(const configs::environment& variables, const char* name);
std::string text_of(const char* name);

/// The listening sockets, TCP or UNIX, that systemd, or a program that acts like it, has left to this process, by name:
/// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of sd_listen_fds(3). They are closed at exec and do not block.
///
/// Throws std::runtime_error with one line for what this process cannot take: a name that is none of `names`, one
/// that comes twice, something that is no such socket. Once, before anything opens a descriptor.
std::map<std::string, int> listen_fds(const configs::environment& variables, const std::vector<std::string>& names);

}  // namespace systemd
