#pragma once

#include <spdlog/logger.h>

#include <string>

#include "configs/config.hpp"
#include "lifecycle/note_file.hpp"

/// Says that the service answers: `ready_file`, if the settings name one, for as long as it does. A file that cannot be
/// written is an error line, not the end. On one thread at a time; what it is given outlives it.
class announcement {
public:
    /// Removes the file of an earlier run, so that nothing that waits for this run finds that file; unless the process
    /// whose file it is still serves. Blocks on the disk, as do the others.
    announcement(const configs::config& config, spdlog::logger& log, bool keep_what_is_there = false);

    void write(const std::string& app, const std::string& debug);
    void remove() noexcept { file_.remove(); }

private:
    const configs::config& config_;
    spdlog::logger& log_;
    lifecycle::note_file file_;
};

/// The line in the log. Never blocks.
void log_ready(const configs::config& config, const std::string& app, const std::string& debug, spdlog::logger& log);
