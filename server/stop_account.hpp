#pragma once

#include <cstdint>
#include <vector>

#include "lifecycle/shutdown_report.hpp"

namespace server {

/// What a stop has done to connections and requests, summed over all servers that add to it: open_at_stop +
/// accepted_after = closed_idle + finished + forced, in_flight_at_stop + begun_after = finished + cut + gone.
struct stop_account {
    struct connections_account {
        std::uint64_t open_at_stop = 0, accepted_after = 0, closed_idle = 0, finished = 0, forced = 0;
    };
    struct requests_account {
        std::uint64_t in_flight_at_stop = 0, begun_after = 0, finished = 0, cut = 0;
        std::uint64_t gone = 0;  ///< their clients left before the answer
        /// Of `cut`: those that the server would still answer, if it ran on.
        std::uint64_t under_way = 0;
    };
    /// Of requests: streams that were told of the drain. What is in none of the others had its client leave.
    struct streams_account {
        std::uint64_t told = 0, ended = 0, ended_by_us = 0, cut = 0;
    };

    connections_account connections;
    requests_account requests;
    streams_account streams;
    std::vector<lifecycle::shutdown_report::straggler> stragglers;

    /// As sections `connections`, `requests` and `streams`; a request that was cut makes the exit code 3.
    void add_to(lifecycle::shutdown_report& report) const;
};

}  // namespace server
