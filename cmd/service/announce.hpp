#pragma once

#include <spdlog/logger.h>

#include <string>

#include "configs/command_line.hpp"
#include "configs/load.hpp"
#include "tracker/event_tracker.hpp"

/// Says that the service answers: a log line, and `ready_file` if the settings name one, written whole
/// or not at all. A file that cannot be written is an error line, not the end. Only on main's thread.
void announce_ready(const configs::config& config, const std::string& app, const std::string& debug,
                    spdlog::logger& log);

/// SIGHUP: reads the settings again by the way of the start. On any fault the old ones stay. What can
/// change while running is applied; the rest is named. Opens the sink's files again. Blocks on files:
/// for a worker of its own.
void reload(const configs::loaded& current, const configs::command& line, tracker::event_tracker& events,
            spdlog::logger& log);
