#pragma once

#include <chrono>
#include <string>

namespace lifecycle {

/// How the process ends. One budget covers the whole stop, from the signal to the exit.
struct shutdown_options {
    /// The whole stop; when it is over the process exits, whatever is still running.
    std::chrono::milliseconds budget{25'000};

    /// Readiness is 503 and everything is still served for at least this long.
    std::chrono::milliseconds lame_duck{0};

    /// How long an idle keep-alive connection may still bring a last request.
    std::chrono::milliseconds idle_grace{1'000};

    /// The share of the budget that only the tracker may use.
    std::chrono::milliseconds flush{5'000};

    /// File that gets the shutdown report; empty: only the log has it.
    std::string report;
};

}  // namespace lifecycle
