#pragma once

#include <spdlog/logger.h>

#include <string>
#include <vector>

#include "lifecycle/shutdown_report.hpp"

namespace lifecycle {

/// Exit codes; if several apply, the highest.
enum exit_code : int { clean = 0, could_not_start = 1, part_failed = 2, forced = 3, unbalanced = 4 };

/// How a part has ended, if it has.
struct part_end {
    std::string name;
    bool asked = false;         ///< to end
    bool ended = false;         ///< its function has returned or thrown
    bool failed = false;        ///< it has thrown, or had no thread
    bool before_ready = false;  ///< it ended before readiness was first 200
};

/// What the parts, and what has failed without being one, leave behind.
struct ends {
    std::vector<part_end> parts = {};
    bool failure = false;               ///< stop_channel::fail: a thread has died, or a part is not up
    bool failure_before_ready = false;  ///< the first of these came before readiness, or is a mistake in the program
};

/// The exit code of the process, from how its parts ended and what the stop has cut or lost. Without thread, clock or
/// I/O.
int exit_code_of(const ends& ends, const shutdown_report& report);

/// The last lines of the log: what is still running, as errors; a summary in one sentence; and the report.
void write_last_lines(const shutdown_report& report, spdlog::logger& log);

}  // namespace lifecycle
