#pragma once

#include <spdlog/logger.h>

#include <string>

#include "configs/config.hpp"

/// Says that the service answers: a log line, and `ready_file` if the settings name one, written whole
/// or not at all. A file that cannot be written is an error line, not the end. Only on main's thread.
void announce_ready(const configs::config& config, const std::string& app, const std::string& debug,
                    spdlog::logger& log);
