#pragma once

#include <mutex>
#include <stop_token>
#include <string>

#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "tracker/account.hpp"

/// A note beside the events that says how far this run has come, so that the next one can say how it ended:
/// it is overwritten at each change of phase and survives SIGKILL. Two of its notes survive a loss of power too: that
/// the service serves, and how it ended.
///
/// A directory that does not exist or cannot be written is no fault: then there is no note. Safe from any thread; all
/// but what was found at the start blocks on the disk.
class run_marker {
public:
    /// `follows`: a run that still serves, or that has handed over to a third by now. It has no other before it.
    run_marker(const std::string& directory, bool follows);
    ~run_marker();
    run_marker(const run_marker&) = delete;
    run_marker& operator=(const run_marker&) = delete;

    /// How the run before this one ended: "none" (there was none, or it still serves), "clean", "exit_2" …, "killed",
    /// or "unknown" (its note is damaged).
    const std::string& previous_kind() const noexcept { return previous_kind_; }
    /// One line for the log; empty when there is nothing worth saying.
    const std::string& previous_story() const noexcept { return previous_story_; }
    /// Its last note, JSON; empty when there is none that can be read.
    const std::string& previous_note() const noexcept { return previous_note_; }

    void phase(const lifecycle::stop_channel::status& status, const tracker::account& events) noexcept;
    void ended(const lifecycle::shutdown_report& report) noexcept;

    /// Another process has the note: the one that this one follows. `take_over` is to be called.
    bool waits() const noexcept { return waits_; }
    /// Writes how far this run has come as soon as that process has ended, or else it would not be known should it be
    /// killed. Returns then, or when `token` says so.
    void take_over(const std::stop_token& token) noexcept;

private:
    bool lock() noexcept;
    void read_previous();
    void write(const std::string& text, bool synced);
    void put(const std::string& text, bool synced) noexcept;

    const std::string directory_;
    int descriptor_ = -1;
    bool waits_ = false;
    std::mutex writing_;
    std::string last_;      ///< of the notes, while another process has the file
    bool entered_ = false;  ///< the file is in its directory, after a loss of power too
    std::string previous_kind_ = "none";
    std::string previous_story_;
    std::string previous_note_;
};
