#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <stop_token>
#include <string_view>

namespace lifecycle {

/// Calls `job` at once and then each `interval`, on the calling thread, which is that of a part (`done.run`). Blocks
/// until `stop` is requested: a wait ends then, a job that runs is waited for, so one that takes long looks at the
/// token that it is given. An interval is from start to start. It never runs twice at a time: a job that takes longer
/// than that is called again at once, and what it has missed is not made up for. What it throws is logged, and the next
/// one is due all the same; a job whose failure is that of the part catches it and says so.
void run_periodically(const std::stop_token& stop, std::chrono::milliseconds interval, std::string_view name,
                      spdlog::logger& log, const std::function<void(const std::stop_token&)>& job);

}  // namespace lifecycle
