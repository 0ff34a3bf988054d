#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "lifecycle/workers.hpp"

namespace server::pprof {

/// The threads of this process as the kernel numbers them, the main one first. Empty without /proc.
std::vector<pid_t> thread_ids();

/// What a thread is called: its worker's name, "main", or what the kernel has (PR_SET_NAME).
std::string thread_name(pid_t thread, const std::vector<lifecycle::workers::entry>& workers);

/// A thread as the kernel sees it (proc(5)), and where it is.
struct thread_view {
    std::string name;
    std::string kind;  ///< of the worker: "part", "loop", "worker"; "" of any other
    pid_t id = 0;
    std::string state = "unknown";        ///< "running", "sleeping" …
    std::string waits_in = {};            ///< the system call, and of what: "fdatasync /var/events/1"; empty: in none
    std::chrono::milliseconds cpu{0};     ///< used since it began
    std::vector<std::string> stack = {};  ///< innermost first; empty: not one of ours, or it has not answered
};

/// All threads. The stacks are asked for by signal, of the workers and the main thread alone: a thread of a library may
/// not expect its system calls to be interrupted. Blocks for up to half a second when threads do not answer.
std::vector<thread_view> describe_threads(const std::vector<lifecycle::workers::entry>& workers);

}  // namespace server::pprof
