#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tracker/backlog.hpp"
#include "tracker/spool/adoption.hpp"
#include "tracker/spool/state.hpp"

namespace tracker {

/// How far one sink has got in the spool: what its worker takes from. Its place is noted on disk for each set.
///
/// Threads: its sink's worker; `queued`, `close`, `closed` and `pause_while_open` are safe from any. Part of the
/// spool, whose mutex guards it where it says so.
class cursor final : public backlog {
public:
    cursor(spool_state& of, adoption& adopting, std::size_t sink) : state_(of), adopting_(adopting), sink_(sink) {}

    bool take(batch& into) override;
    void settle(const batch& taken, outcome how) override;
    void settle_part(batch& taken, std::size_t first, std::size_t count) override;
    void give_back(batch& taken) override;
    void bury(batch& taken, std::size_t index) override;
    void close() override { state_.close(); }
    bool closed() const override { return state_.is_closed(); }
    void pause_while_open(lifecycle::clock::time_point when) override;
    std::uint64_t queued() const override;

    /// Events have been appended, and mutex held.
    void arrived(std::uint64_t events);
    bool holds(const segment& segment) const noexcept { return taken_.from.get() == &segment; }  ///< mutex held

private:
    struct in_hand {
        segment_set_ptr set;
        segment_ptr from;
        std::uint64_t first = 0;             ///< its first byte
        std::uint64_t end = 0;               ///< of the segment, when it was looked at
        std::uint64_t behind = 0;            ///< the first byte after it
        std::uint64_t events = 0;            ///< from where the sink is; before it has been read: in the segment
        std::vector<segment::place> places;  ///< of each that is still in the batch: the records before it
        std::vector<std::uint64_t> early;    ///< of segment::early, counted from where the sink is; in order
    };

    bool read_batch(batch& into, const in_hand& next);
    void hold_off(std::string_view reason);
    void put_down(std::string_view reason);
    void give_up_segment(std::string_view reason);
    void move_on(bool lost);
    void note_front();
    // With the mutex held.
    bool choose(lifecycle::clock::time_point now);
    bool fresh_is_due(lifecycle::clock::time_point now) const;
    segment_ptr next_in(const segment_set& set) const;                   ///< null: this sink has all of it
    segment_set_ptr oldest_set(lifecycle::clock::time_point now) const;  ///< null: nothing to replay
    bool held(const segment_set& set, lifecycle::clock::time_point now) const noexcept;
    std::vector<std::uint64_t> early_in(segment& from) const;
    bool nothing_left() const;
    lifecycle::clock::time_point wake_at() const;

    spool_state& state_;
    adoption& adopting_;
    const std::size_t sink_;
    // Guarded by the spool's mutex.
    in_hand taken_;
    bool last_was_fresh_ = false, given_up_ = false;
    lifecycle::clock::time_point fresh_since_{};  ///< no record of the own set that waits is older
    lifecycle::clock::time_point replay_at_{};    ///< no adopted record before this, while there is no stop
};

}  // namespace tracker
