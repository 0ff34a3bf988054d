#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "configs/config.hpp"
#include "lifecycle/line_writer.hpp"
#include "server/access_log.hpp"

/// The log: lines on stderr, as text or JSON, that never block anybody.
///
/// A pipe that nobody reads, a stopped terminal or a dead disk would stop every loop, the exit and the debug port:
/// lines wait in memory then, and those that find no room are dropped and counted; the next that does says how many
/// were. docs/adr/0050-log-own-description.md says how. main owns it; it outlives everything that logs.
struct process_log {
    std::shared_ptr<spdlog::logger> logger;  ///< safe from any thread; `flush` waits at most 50 ms
    std::shared_ptr<server::access_log> access;
    std::shared_ptr<const std::atomic<std::uint64_t>> dropped;
    std::shared_ptr<lifecycle::line_writer> errors;
    /// For a sink `stdout`: the writer of `errors` where 1 and 2 lead to the same place. None without such a sink.
    std::shared_ptr<lifecycle::line_writer> output;

    /// From now on nothing waits for a line: begins the threads of the writers. Before `lifecycle::workers` is made, in
    /// whose baseline they are, since they write the last line. Throws std::system_error.
    void start() const;
};

process_log make_log(const configs::config& config);
