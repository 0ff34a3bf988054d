#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/websocket/frame.hpp"
#include "server/websocket/outbox.hpp"
#include "server/websocket/reader.hpp"

namespace server::websocket {

/// What happens to a message of ours when a peer does not read and as much waits for it as may.
enum class at_bound : std::uint8_t {
    close,  ///< the peer is closed with 1013 (try again later)
    drop    ///< that message is not sent
};

enum class sent : std::uint8_t { queued, dropped, closed };

/// The limits of one WebSocket, which hold to its end.
struct machine_limits {
    reading_limits reading;
    std::chrono::milliseconds ping{20'000};           ///< 0: none is sent
    std::chrono::milliseconds write_timeout{30'000};  ///< a peer that acknowledges nothing in this long is cut
    std::size_t max_backlog = 1024 * 1024;            ///< bytes for a peer that does not read
    at_bound overflow = at_bound::close;
    bool copies = false;  ///< its handler may wait: a message is copied for it, and the peer is read on meanwhile
};

/// What a WebSocket sends: messages in whole frames, how much of them waits, and whether its peer takes any. The lowest
/// layer of `machine`.
class sender {
public:
    /// `limits` must outlive it.
    explicit sender(const machine_limits& limits) noexcept : limits_(limits) {}

    /// Throws std::bad_alloc: nothing is sent.
    sent send(opcode kind, std::string_view data);
    /// `written`: of its bytes, that are in the socket already; there is nothing before it then.
    sent send(const shared_frame& frame, std::size_t written = 0);
    /// `deflated` is a message as `compression::deflate` makes it.
    sent send_compressed(opcode kind, std::string_view deflated);

    std::string_view to_write() const noexcept { return out_.front(); }
    void wrote(std::size_t count) noexcept;
    /// The socket is full. `unacknowledged`: bytes that the peer's kernel has not acknowledged.
    void blocked(std::size_t unacknowledged, lifecycle::clock::time_point now) noexcept;
    void writable() noexcept { blocked_ = false; }

    /// How many bytes wait for the peer to read.
    std::size_t backlog() const noexcept { return out_.size(); }
    bool is_blocked() const noexcept { return blocked_; }
    /// Messages that it has sent.
    std::uint64_t messages_out() const noexcept { return messages_; }

protected:
    /// It is another's, and has sent nothing yet.
    void renew() noexcept { written_ = taken_ = messages_ = 0; }
    bool takes_nothing(lifecycle::clock::time_point now, std::size_t unacknowledged) noexcept;

    const machine_limits& limits_;
    outbox out_;
    bool closed_ = false;     ///< a Close is in it, or it is over: nothing more is sent
    bool overflows_ = false;  ///< more than may wait for the peer was to be sent
    bool blocked_ = false;

private:
    bool has_room(std::size_t size) noexcept;

    lifecycle::clock::time_point read_by_{};  ///< the peer must have taken something of what is blocked by then
    std::uint64_t written_ = 0, taken_ = 0;   ///< bytes given to the socket; acknowledged when `read_by_` was set
    std::uint64_t messages_ = 0;
};

}  // namespace server::websocket
