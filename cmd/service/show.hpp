#pragma once

#include <spdlog/logger.h>

#include "configs/command_line.hpp"
#include "configs/load.hpp"

/// What the command line asks for instead of a service: --help, --version, --check-config, --probe, --spool-dump. The
/// exit code. Blocks. Throws what a start with these settings would.
int show(const configs::command& line, const configs::loaded& settings, spdlog::logger& log);
