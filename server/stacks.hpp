#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace server {

/// The stack of a thread of this process, innermost frame first, taken by a signal to that thread
/// and glibc's backtrace(), which takes no lock. Empty when the thread does not answer in time
/// (it is gone, or in an uninterruptible wait). Safe from any thread; one at a time.
std::vector<std::string> stack_of(pid_t thread, std::chrono::milliseconds limit = std::chrono::milliseconds(50));

}  // namespace server
