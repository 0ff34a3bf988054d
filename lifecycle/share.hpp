#pragma once

#include <chrono>
#include <optional>

#include "lifecycle/options.hpp"

namespace lifecycle {

/// What a part has of the budget of a stop.
///
///     stop.add_part("debug", lifecycle::last_share);        // a little, and it stops last
///     stop.add_part("tracker", std::chrono::seconds(5));    // this much, which parts that stop earlier cannot use
///     stop.add_part("app", lifecycle::serves_clients);      // what the others leave
///
/// A part that serves clients goes on doing so through the lame duck, answers what has begun, and gives up first when a
/// second signal forces the stop. There may be several: they are asked together, and the stop treats them alike.
class share {
public:
    template <class Number, class Unit>  // any that is a whole number of milliseconds
    constexpr share(std::chrono::duration<Number, Unit> reserved) noexcept : reserved_(reserved) {}

    static constexpr share last() noexcept { return {false, true}; }
    static constexpr share clients() noexcept { return {true, false}; }

    constexpr bool serves() const noexcept { return serves_; }

    /// In milliseconds, under these options.
    std::chrono::milliseconds of(const shutdown_options& options) const noexcept;

private:
    constexpr share(bool serves, bool is_last) noexcept : serves_(serves), is_last_(is_last) {}

    std::chrono::milliseconds reserved_{0};
    bool serves_ = false;
    bool is_last_ = false;
};

/// Of the part that stops last, and of the report: a fiftieth of the budget, 100 ms at most.
inline constexpr share last_share = share::last();
inline constexpr share serves_clients = share::clients();

/// Whether the process is ready before a part has said that it is up. A part that serves clients is always waited for.
struct readiness {
    std::optional<std::chrono::milliseconds> most;  ///< how long it is waited for; then the start has failed

    constexpr readiness within(std::chrono::milliseconds longest) const noexcept { return {longest}; }
};

inline constexpr readiness at_once{};
/// For what the service cannot do without, a database for example: `part::up` says so. `until_up.within(10s)`.
inline constexpr readiness until_up{std::chrono::minutes(1)};

}  // namespace lifecycle
