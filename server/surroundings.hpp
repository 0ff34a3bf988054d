#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>

#include "lifecycle/context.hpp"

namespace server {

/// What the platform changes under a process that runs, and what no part of it follows: the processors that it may use
/// (a resize in place of Kubernetes) and the wall clock. Each change is one line in the log, and nothing else: loops
/// are made at the start, since a connection never changes its loop, and every deadline is of the steady clock. On the
/// thread of a part.
class surroundings {
public:
    struct view {
        double quota = 0;  ///< in processors; 0: as many as there are
        std::size_t cpus = 1;
        std::chrono::system_clock::time_point wall;
        lifecycle::clock::time_point steady;
    };
    static view now();

    /// `server`: its name in the lines. `by_cpus`: whether its loops were to be as many as the processors. A quota of
    /// less than a tenth of a processor is a line at once. `log` must outlive it.
    surroundings(std::string server, std::size_t loops, bool by_cpus, spdlog::logger& log, const view& first = now());

    void look(const view& seen);

    /// Blocks until `over` is true or a stop is asked for, and looks every five seconds. `lock` is the one of
    /// `changed`, and is not held while it looks.
    void wait(std::condition_variable_any& changed, std::unique_lock<std::mutex>& lock, const std::stop_token& token,
              const std::function<bool()>& over);

private:
    const std::string server_;
    const std::size_t loops_;
    const bool by_cpus_;
    spdlog::logger& log_;
    view last_;
};

}  // namespace server
