#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace server {

/// The bytes of one connected stream socket, TCP or UNIX, which it owns. The one place of a connection that receives,
/// sends, shuts down and closes. Never waits: whoever wants to is told by its poll_set. Knows nothing of what the bytes
/// mean.
///
/// Only on the thread of its loop.
class transport {
public:
    enum class outcome : std::uint8_t {
        done,         ///< `count` bytes have been read or written, at least one
        would_block,  ///< not now
        ended         ///< reading: the peer has said that it sends no more, or is gone; writing: it is gone
    };
    struct result {
        outcome how = outcome::would_block;
        std::size_t count = 0;
    };

    explicit transport(int descriptor) noexcept : descriptor_(descriptor) {}
    transport(transport&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    transport& operator=(transport&&) = delete;
    ~transport() { close(); }

    int descriptor() const noexcept { return descriptor_; }

    /// `into` is not empty.
    result read(std::span<char> into) noexcept;
    /// What is in front of all that `read` gives, on the socket itself: a look at it, which leaves it there …
    result peek(std::span<char> into) noexcept;
    /// … and `into.size()` bytes of it that have been seen.
    void skip(std::span<char> into) noexcept;
    /// As much as the socket takes; `bytes` is not empty.
    result write(std::string_view bytes) noexcept;
    /// Nothing more is sent: FIN behind what has been written.
    void finish() noexcept;
    /// Reads and forgets what has come, some of it at least.
    void discard(std::span<char> scratch) noexcept;
    /// What has come is acknowledged at once, and not with an answer that may take its time.
    void acknowledge() noexcept;
    /// Bytes that have been written and the peer's kernel has not acknowledged.
    std::size_t unacknowledged() noexcept;
    /// Whether the close is a reset, also the one that the end of the process is. A UNIX socket has none.
    void reset_at_close(bool reset) noexcept;
    void close() noexcept;

private:
    int descriptor_;
};

}  // namespace server
