#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/note_file.hpp"
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
    /// What notes of this end are to survive, by the time that is left of the budget: a second at least is for a disk
    /// that is slow. With less they are in their place all the same, and on the disk when the kernel writes them.
    note_file::durability notes = note_file::durability::synced;
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
