#pragma once

#include <string>

#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "tracker/account.hpp"

/// A note beside the events that says how far this run has come, so that the next one can say how it ended:
/// it is overwritten at each change of phase and survives SIGKILL. Two of its notes survive a loss of power too: that
/// the service serves, and how it ended.
///
/// A directory that does not exist or cannot be written is no fault: then there is no note. On one thread at a time;
/// all but what was found at the start blocks on the disk.
class run_marker {
public:
    explicit run_marker(const std::string& directory);
    ~run_marker();
    run_marker(const run_marker&) = delete;
    run_marker& operator=(const run_marker&) = delete;

    /// How the run before this one ended: "none" (there was none), "clean", "exit_2" …, "killed", "unknown" (its note
    /// is damaged), or "upgraded": it was replaced in place, and what became of the last to follow is not known.
    const std::string& previous_kind() const noexcept { return previous_kind_; }
    /// One line for the log; empty when there is nothing worth saying.
    const std::string& previous_story() const noexcept { return previous_story_; }

    void phase(const lifecycle::stop_channel::status& status, const tracker::account& events) noexcept;
    void ended(const lifecycle::shutdown_report& report) noexcept;

private:
    bool lock() noexcept;
    void read_previous();
    void write(const std::string& text, bool synced) noexcept;

    const std::string directory_;
    int descriptor_ = -1;
    bool entered_ = false;  ///< the file is in its directory, after a loss of power too
    std::string previous_kind_ = "none";
    std::string previous_story_;
};
