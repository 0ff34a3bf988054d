#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "configs/config.hpp"

/// The log: lines on stderr, as text or JSON, that never block anybody.
///
/// A pipe that nobody reads would stop every loop, the exit and the debug port: a line that does not fit
/// at once is dropped and counted, and the next one that fits says how many were.
struct process_log {
    std::shared_ptr<spdlog::logger> logger;  ///< safe from any thread
    std::shared_ptr<const std::atomic<std::uint64_t>> dropped;
};

process_log make_log(const configs::log_options& options);
