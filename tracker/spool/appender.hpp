#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tracker/event.hpp"
#include "tracker/failure_log.hpp"
#include "tracker/options.hpp"
#include "tracker/spool/cursor.hpp"
#include "tracker/spool/state.hpp"

namespace tracker {

/// Writes what the spool is given after the last record of the process's own set, a batch whole or not at all.
///
/// Threads: one appends; `writable` is safe from any. What it is given must outlive it.
class appender {
public:
    /// `takers`: the cursors that are told what has come, and asked what may be removed.
    appender(spool_state& of, const std::vector<std::unique_ptr<cursor>>& takers);

    /// Makes the process's own set, or throws std::system_error where no waiting would help. First of all.
    void begin();

    // See spool.

    verdict append(std::span<const event> events);
    void probe();
    void lose(std::uint64_t events, verdict why);
    bool writable() const noexcept { return !writing_.failing(); }

private:
    void write(std::string_view bytes);
    void seal();
    void prepare_segment(std::uint64_t bytes);
    void make_set();
    void renew_vanished_set();
    void new_segment();
    bool make_room(std::uint64_t bytes);
    void note_failure(std::string_view reason);
    void note_success();

    spool_state& state_;
    const std::vector<std::unique_ptr<cursor>>& takers_;
    const std::uint64_t segment_bytes_;
    const bool durable_;  ///< what is appended is on the disk
    std::string text_;
    std::uint64_t next_number_ = 1, next_sequence_ = 1;  ///< of the next segment; of the next record in its segment
    failure_log writing_;
};

}  // namespace tracker
