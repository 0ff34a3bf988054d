#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "configs/layers.hpp"

namespace configs {

/// What the command line asks for. Made once; a reload uses the same one again.
struct command {
    enum class action : std::uint8_t { run, check, help, version, probe, spool_dump };

    action what = action::run;
    std::string argument;             ///< probe: "livez" or "readyz"; spool_dump: the directory
    std::optional<std::string> file;  ///< --config
    layer flags;                      ///< the settings given as flags; its faults are the command line's own
    std::string text;                 ///< what --help prints
};

/// Reads the arguments without the program's name. Never throws for what they say: that is a fault.
/// --help and --version win over everything, faults included.
command read_command_line(const std::vector<std::string>& arguments);

/// The arguments of a process as they may be shown: without secrets, and without users and queries in URLs. The first
/// may be the program's name. A word after a secret is masked too: it may be part of it that was not quoted. Any
/// thread.
std::vector<std::string> shown_arguments(std::vector<std::string> arguments);

/// "CLI11 2.2.0": what reads them. Any thread.
std::string_view command_line_parser() noexcept;

}  // namespace configs
