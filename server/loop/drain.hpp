#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "lifecycle/stop_channel.hpp"
#include "server/decision.hpp"
#include "server/metrics.hpp"

namespace server {

/// How far a loop has come in its end: it drains, nothing more is adopted, everything is closed, and when its last
/// connection has gone it is over. No clock, no I/O.
///
/// Only on the loop's thread; what it is given outlives it. Throws nothing itself.
class loop_drain {
public:
    using time_point = lifecycle::clock::time_point;

    /// `deadline` says when the app gives up (empty: never), `grace` for how long an idle connection may still bring a
    /// request. `over` is called once, when the loop drains, nothing more is adopted and none is `open`.
    loop_drain(const lifecycle::stop_channel::deadline_function& deadline, std::chrono::milliseconds grace,
               const counter& open, std::function<void()> over)
        : deadline_(deadline), grace_(grace), open_(open), over_(std::move(over)) {}

    // None of these is taken back.

    /// No listener feeds the loop any more, or one that is late.
    void begin(time_point now) noexcept;
    /// Nothing more is adopted.
    void seal() noexcept { sealed_ = true; }
    /// Whatever is open is being closed.
    void close() noexcept { draining_ = closing_ = true; }

    /// Whether it still takes clients, be it in a drain.
    bool takes() const noexcept { return !closing_ && !ended_; }
    bool closing() const noexcept { return closing_; }
    /// The loop has nothing to wait for any more.
    bool ended() const noexcept { return ended_; }
    /// To be called when a connection has gone, or something has been asked of the loop.
    void end_if_empty();

    /// For the tick.
    drain_view view() const;
    /// True once, when those that the drain waits for are to be named: at 80 % of its share of the budget, late enough
    /// to mean something, early enough to help.
    bool is_late(const drain_view& at, time_point now) noexcept;

private:
    const lifecycle::stop_channel::deadline_function& deadline_;
    const std::chrono::milliseconds grace_;
    const counter& open_;
    const std::function<void()> over_;
    bool draining_ = false, sealed_ = false, closing_ = false, ended_ = false, was_late_ = false;
    time_point began_{}, idle_until_{};
};

}  // namespace server
