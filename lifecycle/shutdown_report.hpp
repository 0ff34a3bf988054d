#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/stop_sequence.hpp"

namespace lifecycle {

/// What a stop did, for people and for checks: one JSON object. What parts have to say of it are sections, which this
/// folder knows nothing of; what in them makes the exit code, they say.
struct shutdown_report {
    struct section {
        std::string name;
        std::string json;
    };
    struct straggler {
        std::string name, kind;
        std::chrono::milliseconds age;
        std::string where;
    };

    std::string cause;
    int exit_code = 0;
    std::chrono::system_clock::time_point started;
    std::chrono::milliseconds duration{0};
    std::vector<stop_sequence::phase_record> phases;
    std::vector<section> sections;  ///< in the order in which they are shown
    /// Of the sections, for the line that people read.
    std::uint64_t work_answered = 0, work_cut = 0, events_left = 0;
    bool cut = false;      ///< work that had begun was cut short
    bool lost = false;     ///< what was accepted, and no policy has asked for it
    bool balanced = true;  ///< the accounts in the sections do
    std::vector<straggler> stragglers;
    std::uint64_t workers_left = 0;
    std::optional<int> threads_left;  ///< none without /proc

    std::string to_json() const;
};

}  // namespace lifecycle
