#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/decision.hpp"
#include "server/websocket/reader.hpp"
#include "server/websocket/standing.hpp"

namespace server::websocket {

/// A message of the peer; its data lives until the handler that was given it has returned.
struct message {
    bool text = false;  ///< then it is UTF-8; else binary
    std::string_view data;
};

/// When a stop tells the peer of one that was opened then: at a moment of its own within the first half of the idle
/// grace, for clients come back at once.
lifecycle::clock::time_point told_at(lifecycle::clock::time_point opened, const drain_view& drain) noexcept;

/// One WebSocket (RFC 6455), from the first byte after the handshake to its end, without socket, clock, thread and
/// log: events in, steps out, as with http1_machine.
///
///     open ──Close of ours──▶ closing ──Close of the peer, or 1 s──▶ parting ──FIN──▶ lingering ─▶ over
///       └──── Close of the peer, a fault ───────────────────────────▶┘
///
/// A stop comes to an open one by `tick`: what has arrived is read once more and answered, then 1001 is sent; a message
/// whose handler works is answered first. Messages of ours are whole frames, so a Close never stands between fragments.
/// A peer that never closes is closed.
///
/// Only on one thread. While nothing is under way it owns no more than the memory of short messages.
class machine : public standing {
public:
    enum class step : std::uint8_t {
        wait,        ///< see `waits_for`
        say_open,    ///< tell the handler that it is open, then `returned`
        deliver,     ///< give `current()` to the handler, then `returned`
        say_closed,  ///< tell the handler that it has ended: `end()`; then `returned`
        write,       ///< `to_write()`, once: `wrote`, `blocked` or `lost`
        look,        ///< read once, without waiting: `received`, or nothing
        half_close,  ///< FIN
        discard,     ///< read and forget what has come
        close,
        reset
    };
    enum class waiting : std::uint8_t { bytes, room, handler };
    /// All that has to be known of one with nothing under way: an idle connection keeps this, and no machine.
    struct resting {
        lifecycle::clock::time_point next_ping{};
        std::uint8_t unanswered = 0;  ///< pings
    };

    machine(const machine_limits& limits, compression* inflates, lifecycle::clock::time_point now) noexcept;
    /// One that has rested. `since`: when it was opened.
    machine(const machine_limits& limits, compression* inflates, lifecycle::clock::time_point since,
            const resting& from) noexcept;
    /// It is open, waits for bytes, and has none.
    bool is_quiet() const noexcept;
    resting rest() const noexcept;
    /// One that is quiet goes on as one that has rested, perhaps another: if it has been made with the same two.
    bool fits(const machine_limits& limits, const compression* inflates) const noexcept {
        return &limits == &limits_ && inflates == reader_.inflates();
    }
    void resume(lifecycle::clock::time_point since, const resting& from) noexcept;

    step next(lifecycle::clock::time_point now);

    /// Bytes, which are changed in place, and looked at before the next `wait`.
    void received(std::span<char> bytes) noexcept;
    /// It sends no more, or is gone.
    void peer_closed() noexcept;
    void lost() noexcept;
    /// The last call of its handler has returned. `failed`: by an exception; the peer hears 1011.
    void returned(bool failed = false) noexcept;
    const message& current() const noexcept { return handed_.current; }
    /// Sends a Close when what has been sent before it is in front of it, and nothing after it. `code`: one that
    /// `may_be_sent`. Throws std::bad_alloc.
    void close_with(std::uint16_t code, std::string_view reason);
    /// `unacknowledged` is looked at only while it is blocked.
    void tick(const drain_view& drain, lifecycle::clock::time_point now, std::size_t unacknowledged);
    /// Ends, whatever it does; a handler is waited for.
    void cut() noexcept;

    waiting waits_for() const noexcept;

private:
    struct handed {
        message current;
        std::string held;   ///< what that shows, where it is copied
        std::string ahead;  ///< the next one, that has come meanwhile
    };

    bool reads() const noexcept;
    bool read_one(lifecycle::clock::time_point now);
    bool take(const reader::event& found, lifecycle::clock::time_point now);
    bool hand(bool text, std::string_view data);
    bool may_say_close() const noexcept;
    void say_close(lifecycle::clock::time_point now);
    void answer_close(std::uint16_t code, ending how, lifecycle::clock::time_point now);
    void leave(ending how, bool resets) noexcept;
    void keep_rest();
    void keep_alive(lifecycle::clock::time_point now);
    void obey(const drain_view& drain, lifecycle::clock::time_point now);

    reader reader_;
    std::span<char> input_;  ///< that has come and is not looked at
    std::string rest_;       ///< ... and is kept, while a handler works or the peer does not read
    handed handed_;
    lifecycle::clock::time_point next_ping_{};
    std::uint16_t to_say_ = 0;     ///< by the Close that is due
    std::uint8_t unanswered_ = 0;  ///< pings
};

}  // namespace server::websocket
