#pragma once

#include <cassert>
#include <cstdint>
#include <string>

#include "lifecycle/context.hpp"
#include "server/websocket/frame.hpp"
#include "server/websocket/sender.hpp"

namespace server::websocket {

/// Where a WebSocket stands between its first frame and its end, and what is said of that. The middle layer of
/// `machine`, which moves it on.
class standing : public sender {
public:
    enum class state : std::uint8_t { open, closing, parting, lingering, over };
    /// For the account of a stop: by both ends, by us as its peer did not answer, cut, or gone without a Close.
    enum class ending : std::uint8_t { none, whole, by_us, cut, gone };

    /// What its handler is told at the end.
    struct close {
        std::uint16_t code = close_code::lost;  ///< the peer's, or ours where that came first
        std::string reason;
        bool by_peer = false;
    };

    state now_in() const noexcept { return state_; }
    bool busy() const noexcept { return flags_.busy; }
    /// The stop has told its peer, or will as soon as its handler has returned.
    bool told() const noexcept { return flags_.told; }
    /// Why the context of its handler should end: the peer has gone, or the app gives up.
    lifecycle::cause cancels() const noexcept { return cancels_; }
    ending how() const noexcept { return ending_; }
    const close& end() const noexcept { return end_; }
    lifecycle::clock::time_point since() const noexcept { return since_; }

protected:
    standing(const machine_limits& limits, lifecycle::clock::time_point since) noexcept
        : sender(limits), since_(since) {}

    struct flags {
        bool opened = false;     ///< its handler has been told
        bool busy = false;       ///< a handler works
        bool has_ahead = false;  ///< the next message is there, and its handler works on the last
        bool ahead_text = false;
        bool closes = false;       ///< a Close of ours is due, at once
        bool due = false;          ///< ... as soon as there is nothing to answer
        bool looks = false;        ///< at what has come, before that
        bool told = false;         ///< by the stop
        bool resets = false;       ///< at its end
        bool said_closed = false;  ///< to its handler
        bool discards = false;     ///< before it closes, for unread bytes would turn that into a reset
    };
    /// For as long as `patience`.
    void enter(state next, lifecycle::clock::time_point now, lifecycle::clock::duration patience) noexcept {
        assert(next > state_ && "its states are gone through in their order");
        state_ = next;
        since_ = now;
        deadline_ = now + patience;
    }

    close end_;
    lifecycle::clock::time_point since_;
    lifecycle::clock::time_point deadline_ = lifecycle::clock::time_point::max();  ///< of its state
    state state_ = state::open;
    ending ending_ = ending::none;
    lifecycle::cause cancels_ = lifecycle::cause::none;
    flags flags_;
};

}  // namespace server::websocket
