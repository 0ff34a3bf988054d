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
    struct events_account {
        std::uint64_t accepted = 0, recovered = 0, delivered = 0, spooled = 0;
        std::map<std::string, std::uint64_t> dropped;
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
    events_account events;
    std::vector<straggler> stragglers;
    std::uint64_t workers_left = 0;
    std::optional<int> threads_left;  ///< none without /proc

    std::string to_json() const;
};

/// The file of a report: opened when the stop begins, so that a full disk or a lack of descriptors
/// is known while there is time to say so; written and renamed at the end. Only on main's thread.
class report_file {
public:
    /// Opens a temporary file beside `path`; an empty path is no file. Returns why it could not.
    std::string open(const std::string& path);
    /// Writes, syncs nothing, renames. Returns why it could not.
    std::string write(const std::string& json);
    ~report_file();

    report_file() = default;
    report_file(const report_file&) = delete;
    report_file& operator=(const report_file&) = delete;

private:
    std::string path_, temporary_;
    int descriptor_ = -1;
};

}  // namespace lifecycle
