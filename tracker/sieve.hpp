#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "lifecycle/context.hpp"
#include "tracker/event.hpp"

namespace tracker {

/// Which part of a batch is tried next, and what a refusal speaks of: a bad event, or a bad moment of the sink.
///
/// A batch goes whole; refused, its first half goes, and so on until the first event stands alone: as many tries as the
/// batch can be halved. What is taken is the front, so that how far it has got can be noted at every moment; after
/// that twice as much goes as was taken last.
///
/// What is said of an event that was alone (`of_the_event`) settles it. Any other answer to an event that was alone is
/// compared with what others of the batch hear. It is the event's when it was refused before one of them was taken and
/// after, in `tries` tries of its own, with no pause in between. When none of them is taken it is the sink's. For an
/// event that has nothing to be compared with there are two more ways, or it waits for others:
/// * others were taken before each of `tries` rounds, a round being what is tried between two pauses;
/// * it is what is left of a batch whose others were taken, and still is three seconds later.
///
/// No I/O, no clock. For one thread.
class sieve {
public:
    using time_point = lifecycle::clock::time_point;
    using events = std::span<const event>;  ///< what is left of the batch, in its order

    struct part {
        std::size_t first = 0, count = 0;
    };
    enum class step : std::uint8_t {
        go_on,  ///< with `next`, at once
        bury,   ///< the first event
        pause   ///< it is the sink: later, and with others if there are any
    };

    explicit sieve(std::size_t tries) : tries_(tries) {}

    /// A batch has been taken from the backlog: another one, or what was given back, with more or not.
    void begin(events left);
    part next(events left) const;

    // What has come of the part that `next` named, with the same `left`.
    void taken(const part& tried);
    step refused(const part& tried, events left, bool of_the_event, time_point now);
    /// The first event is a dead letter.
    void buried();
    /// Nothing is tried for a while, whatever the reason.
    void paused();

private:
    /// An event that was refused alone, by an answer that does not say that the event is at fault.
    struct suspect {
        std::string id;
        std::size_t among = 0;        ///< this many were left of its batch, with it
        bool others_before = false;   ///< others of its batch were taken
        bool others_since = false;    ///< since it was refused, in this round
        bool others_between = false;  ///< since it was refused, in whatever batch
        std::size_t tries = 0;        ///< in this round
        std::size_t rounds = 0;       ///< before which others were taken
    };

    step judge(events left, time_point now);
    step without_comparison(std::size_t left, time_point now);

    std::size_t tries_;
    std::size_t width_ = std::numeric_limits<std::size_t>::max();  ///< of a try while nothing is known
    std::size_t refused_ = 0;    ///< this many from the front were refused together; 0: not known
    bool others_taken_ = false;  ///< of those, since then
    bool some_taken_ = false;    ///< of the batch
    bool comparing_ = false;
    std::size_t compared_ = 0;                     ///< others that were refused after the first event was
    std::size_t shift_ = 0;                        ///< so that other rounds compare with other events
    std::optional<time_point> all_refused_since_;  ///< that are left of the batch
    bool suspected_ = false;                       ///< the first event of the batch is `suspect_`
    suspect suspect_;                              ///< no id: none
};

}  // namespace tracker
