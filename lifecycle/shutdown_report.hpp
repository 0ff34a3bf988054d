#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/stop_sequence.hpp"

namespace lifecycle {

/// What a stop did, for people and for checks: one JSON object.
///
/// open_at_stop + accepted_after = closed_idle + finished + forced,
/// in_flight_at_stop + begun_after = finished + cut + gone, and
/// accepted + recovered = delivered + spooled + dropped.
struct shutdown_report {
    struct connections_account {
        std::uint64_t open_at_stop = 0, accepted_after = 0, closed_idle = 0, finished = 0, forced = 0;
    };
    struct requests_account {
        std::uint64_t in_flight_at_stop = 0, begun_after = 0, finished = 0, cut = 0;
        std::uint64_t gone = 0;  ///< their clients left before the answer
    };
    /// Of requests: streams that were told of the drain. What is in none of the others had its client leave.
    struct streams_account {
        std::uint64_t told = 0, ended = 0, ended_by_us = 0, cut = 0;
    };
    struct events_account {
        std::uint64_t accepted = 0, recovered = 0, delivered = 0, spooled = 0;
        std::map<std::string, std::uint64_t> dropped;
        std::uint64_t stranded = 0;  ///< of earlier runs, and not this one's to deliver; in no other number
        bool balanced = true;
        bool lost = false;  ///< dropped at the deadline or by a disk: no policy has asked for it
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
    connections_account connections;
    requests_account requests;
    streams_account streams;
    events_account events;
    std::vector<straggler> stragglers;
    std::uint64_t workers_left = 0;
    std::optional<int> threads_left;  ///< none without /proc

    std::string to_json() const;
};

}  // namespace lifecycle
