#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "lifecycle/workers.hpp"

namespace server::pprof {

/// The threads of this process as the kernel numbers them, the main one first. Empty without /proc.
std::vector<pid_t> thread_ids();

/// What a thread is called: its worker's name, "main", or what the kernel has (PR_SET_NAME).
std::string thread_name(pid_t thread, const std::vector<lifecycle::workers::entry>& workers);

}  // namespace server::pprof
