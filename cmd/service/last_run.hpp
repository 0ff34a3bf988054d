#pragma once

#ifdef LAST_RUN
#include "cmd/service/last_run/run_marker.hpp"
#else

#include <string>

/// What is known of the run before this one. Without a module that is nothing; cmd/service/last_run has the other one,
/// with the same interface.
class run_marker {
public:
    explicit run_marker(const std::string&) {}
    std::string previous_kind() const { return "unknown"; }
    std::string previous_story() const { return {}; }
    void phase(const auto&...) const {}
    void ended(const auto&) const {}
};

#endif
