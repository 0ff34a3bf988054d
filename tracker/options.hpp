#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tracker {

/// What `record` does when the queue is full.
enum class overflow : std::uint8_t {
    block,       ///< waits for room until the request's context ends
    reject,      ///< answers `full` at once
    drop_oldest  ///< makes room by dropping the oldest queued event, counted
};

/// What an accepted event survives.
enum class durability : std::uint8_t {
    memory,   ///< an orderly stop
    process,  ///< SIGKILL
    disk      ///< power loss
};

struct options {
    std::string sink = "file";  ///< file, stdout, none
    std::size_t queue_capacity = 4'096;
    std::size_t queue_bytes = 64 * 1024 * 1024;  ///< of ids and data; a larger event gets in alone
    tracker::overflow overflow = tracker::overflow::block;
    tracker::durability durability = tracker::durability::memory;
    std::string directory = "var/events";

    std::size_t workers = 1;  ///< threads that deliver; above 1 the order of events is not kept

    /// A batch goes to the sink when any of these is reached.
    std::size_t batch_events = 256;
    std::size_t batch_bytes = 256 * 1024;
    std::chrono::milliseconds batch_age{10};

    /// Pause after a failed delivery: doubled each time, with jitter, cut short by a stop.
    std::chrono::milliseconds retry_initial{50};
    std::chrono::milliseconds retry_max{5'000};
};

}  // namespace tracker
