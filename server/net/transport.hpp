#pragma once

#include <sys/socket.h>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "server/net/layer.hpp"

namespace server {

/// The bytes of one connected stream socket, TCP or UNIX, which it owns. The one place of a connection that receives,
/// sends, shuts down and closes. Never waits: an owner that wants to wait is told by its poll_set. Knows nothing of
/// what the bytes mean.
///
/// They go as they are, or through a layer (TLS). Without one that costs a look at a pointer.
///
/// Only on the thread of its loop.
class transport {
public:
    using outcome = transfer_end;
    using result = transfer;

    explicit transport(int descriptor) noexcept : descriptor_(descriptor) {}
    transport(transport&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)), layer_(std::move(other.layer_)) {}
    transport& operator=(transport&&) = delete;
    ~transport() { close(); }

    int descriptor() const noexcept { return descriptor_; }

    /// From here on bytes go through `between`, or, with none, as they are.
    void put(std::unique_ptr<layer> between) noexcept { layer_ = std::move(between); }
    /// nullptr: they go as they are.
    const layer* between() const noexcept { return layer_.get(); }
    /// The handshake of its layer.
    outcome shake() noexcept { return layer_->shake(descriptor_); }

    /// `into` is not empty.
    result read(std::span<char> into) noexcept {
        if (layer_) [[unlikely]]
            return layer_->read(descriptor_, into, true);
        assert(!into.empty() && "nothing read would look like the end");
        return again_when_interrupted([&] { return ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT); });
    }
    /// What is in front of all that `read` gives, on the socket itself: a look at it, which leaves it there …
    result peek(std::span<char> into) noexcept;
    /// … and `into.size()` bytes of it that have been seen.
    void skip(std::span<char> into) noexcept;
    /// Of what its layer holds, without a look at the socket.
    result read_held(std::span<char> into) noexcept { return layer_->read(descriptor_, into, false); }
    /// As much as the socket takes; `bytes` is not empty. `last`: `farewell` comes next, if its layer has one.
    result write(std::string_view bytes, bool last = false) noexcept {
        if (layer_) [[unlikely]]
            return layer_->write(descriptor_, bytes, last);
        assert(!bytes.empty() && "nothing written would look like the end");
        return again_when_interrupted(
            [&] { return ::send(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL); });
    }
    /// Its layer says that nothing more is sent.
    outcome farewell() noexcept { return layer_ ? layer_->farewell(descriptor_) : outcome::done; }
    /// Nothing more is sent: FIN after what has been written, and after the layer's farewell.
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
    template <class Call>
    static result again_when_interrupted(const Call& call) noexcept {
        ssize_t count = call();
        while (count < 0 && errno == EINTR) count = call();
        if (count > 0) return {.how = outcome::done, .count = static_cast<std::size_t>(count)};
        if (count < 0 && errno == EAGAIN) return {};
        // Whatever the error says: nothing more comes of this socket.
        return {.how = outcome::ended};
    }

    int descriptor_;
    bool resets_ = false;
    std::unique_ptr<layer> layer_;
};

}  // namespace server
