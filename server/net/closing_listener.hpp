#pragma once

#include <chrono>

#include "lifecycle/context.hpp"

namespace server {

/// The slowest round trip of those accepted within the last five to ten seconds. Only on one thread.
class round_trips {
public:
    void add(std::chrono::microseconds microseconds, lifecycle::clock::time_point now) noexcept;
    /// None: no client has come for that long.
    bool any(lifecycle::clock::time_point now) const noexcept { return now - last_ < 2 * window; }
    std::chrono::microseconds slowest(lifecycle::clock::time_point now) const noexcept;

private:
    static constexpr std::chrono::seconds window{5};

    std::chrono::microseconds now_{0}, before_{0};  ///< in this window, and in the one before
    lifecycle::clock::time_point began_{};          ///< this window
    lifecycle::clock::time_point last_{};
};

/// How a listening socket closes without losing a client that had sent a SYN before: without I/O or clock.
///
///     let_in ──half a round trip──▶ turned_away ──a round trip──▶ over
///                                        ▲    └─with others─▶ watched ─▶ over
///                                        └──somebody came────────┘
///
/// A SYN that is on its way arrives within half of the slowest round trip, and is let in; then new ones are turned
/// away, and clients in a handshake finish it within one round trip (RFC 9293 section 3.5). Where others listen on the
/// same port the kernel numbers the sockets, and does not say which is ours: newcomers are sent to the last. If they
/// keep coming here that is ours, and they are sent to the last but one.
class closing_listener {
public:
    enum class step {
        wait,
        turn_away,        ///< newcomers
        turn_away_again,  ///< ... to another socket
        over
    };

    /// `slowest`: of the round trips seen lately. It takes `patience` at most.
    closing_listener(std::chrono::microseconds slowest, std::chrono::milliseconds patience, bool others,
                     lifecycle::clock::time_point now) noexcept;

    /// To be asked about every millisecond. `somebody_came`: since it was asked last.
    step next(bool somebody_came, lifecycle::clock::time_point now) noexcept;

private:
    enum class phase { let_in, turned_away, watched };

    void go(phase to, lifecycle::clock::duration lasts, lifecycle::clock::time_point now) noexcept;

    lifecycle::clock::duration round_trip_;
    lifecycle::clock::time_point end_;  ///< of all
    bool others_;
    bool came_ = false;
    bool again_ = false;
    phase phase_ = phase::let_in;
    lifecycle::clock::time_point until_{};  ///< the phase ends
};

}  // namespace server
