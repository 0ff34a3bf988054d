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
    tracker::durability durability = tracker::durability::process;
    std::string directory = "var/events";

    /// With durability above memory: what waits for delivery on disk, in files of up to `segment_bytes`
    /// (a quarter of it at most; a 32nd at least, since each has a descriptor). Full: `drop_oldest` drops
    /// the oldest file, the others refuse.
    std::size_t spool_bytes = std::size_t{1} << 30U;
    std::size_t segment_bytes = 32 * 1024 * 1024;
    /// How often what other processes have left is looked for.
    std::chrono::milliseconds adopt_interval{60'000};
    std::size_t replay_rate = 10'000;  ///< events of earlier runs that are delivered a second; 0: no limit
    std::size_t rejected_tries = 3;    ///< of an event that the sink will never take; then it is a dead letter

    /// With durability memory only: the spool has one.
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
