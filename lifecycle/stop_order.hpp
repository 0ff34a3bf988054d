#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace lifecycle {

/// The parts of a process and the order in which they stop: the reverse of their start, but that all that serve clients
/// have their turn together, with the last of them. Without clock, thread or I/O; a part is its index.
class stop_order {
public:
    using duration = std::chrono::milliseconds;

    struct part {
        std::string name;
        duration reserved{0};                  ///< of the budget, out of reach for the turns before
        bool serves = false;                   ///< clients
        std::optional<duration> awaited = {};  ///< readiness waits for it, for this long
        bool up = false;
        bool told_not_up = false;
        bool ended = false;
        bool asked = false;
    };

    std::vector<part> parts;

    bool all_up() const;         ///< that are waited for
    bool all_ended() const;      ///< of all parts
    bool nobody_serves() const;  ///< of those that serve clients each has ended
    std::vector<std::string> running() const;

    /// The part with which this one stops: itself, or the last that serves clients.
    std::size_t turn_of(std::size_t part) const;
    bool has_a_turn(std::size_t part) const { return turn_of(part) == part; }
    std::string name_of_turn(std::size_t turn) const;  ///< "app", or "app+admin"
    bool turn_has_ended(std::size_t part) const;       ///< of all that stop together with it

    std::size_t turns() const;
    std::size_t turns_after(std::size_t part) const;
    duration reserved_after(std::size_t part) const;
    duration reserved() const;  ///< by all parts
};

}  // namespace lifecycle
