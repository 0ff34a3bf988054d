#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <stop_token>
#include <string_view>

namespace lifecycle {

/// Calls `job` at once and then each `interval`, on the calling thread, which is that of a part (`done.run`). Blocks
/// until `stop` is requested: a wait ends then, and a job that runs is waited for, so a job that takes long must
/// look at the token that it is given. An interval is from start to start. The job never runs twice at the same time:
/// if it takes longer than an interval it is called again at once, and missed calls are not made up for. What it throws
/// is logged, and the next call is due all the same; if a failure of the job should be one of the part, the job must
/// catch it and end the part.
void run_periodically(const std::stop_token& stop, std::chrono::milliseconds interval, std::string_view name,
                      spdlog::logger& log, const std::function<void(const std::stop_token&)>& job);

}  // namespace lifecycle
