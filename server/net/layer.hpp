#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace server {

enum class transfer_end : std::uint8_t {
    done,         ///< `count` bytes have been read or written, at least one; of what moves none: it is done
    would_block,  ///< not now
    ended         ///< reading: the peer has said that it sends no more, or is gone; writing: it is gone
};

struct transfer {
    transfer_end how = transfer_end::would_block;
    std::size_t count = 0;
};

/// What is between a connection and its socket where bytes are not sent as they are: TLS. It is opened by a handshake,
/// and sends a farewell before a FIN. Never waits, and never closes the socket, which is its transport's.
///
/// Only on the thread of its loop. Nothing is thrown: running out of memory is a failure of the layer.
class layer {
public:
    enum class stage : std::uint8_t {
        quiet,    ///< no whole hello has come yet: what comes next may be what it has to compute for
        shaking,  ///< a handshake is under way, and the hello is answered
        open,
        failed,  ///< by a handshake or a record; the peer has been told, and what still comes is read and dropped
        clear,   ///< what came first is HTTP in clear: there will be no handshake
        gone     ///< the peer has left before the handshake was done
    };

    virtual ~layer() = default;

    /// Goes on with the handshake, up to `open`. `ended`: see `now_in`.
    virtual transfer_end shake(int socket) noexcept = 0;
    /// `from_socket` false: only what it `holds` already.
    virtual transfer read(int socket, std::span<char> into, bool from_socket) noexcept = 0;
    /// What would block is to be written again, with the same bytes first. `last`: a farewell comes next.
    virtual transfer write(int socket, std::string_view bytes, bool last) noexcept = 0;
    /// Tells the peer that nothing more is sent. Done when it has been told before, or cannot be.
    virtual transfer_end farewell(int socket) noexcept = 0;

    /// Why it has failed, in words; lives as long as the process.
    virtual std::string_view why() const noexcept = 0;
    /// The name in the peer's certificate, which has been verified; empty when it has not shown one.
    virtual std::string_view subject() const noexcept = 0;

    stage now_in() const noexcept { return stage_; }
    /// They have agreed on HTTP/2 (RFC 7301).
    bool speaks_http2() const noexcept { return speaks_http2_; }
    bool shakes() const noexcept { return stage_ <= stage::shaking; }
    /// A read would return something, be it the end, that the socket no longer knows of.
    bool holds() const noexcept { return holds_; }
    /// The last call has taken all that the socket had.
    bool drained() const noexcept { return drained_; }
    /// Something has come that a read does not return yet, since it is not whole.
    bool stirs() const noexcept { return stirs_; }
    /// What it reads waits until the socket has room for what it has to say itself.
    bool wants_room() const noexcept { return wants_room_; }

protected:
    stage stage_ = stage::quiet;
    bool holds_ = false;
    bool drained_ = false;
    bool stirs_ = false;
    bool wants_room_ = false;
    bool speaks_http2_ = false;
};

/// Makes one for each connection. Lives as long as the server that has it; safe from any thread.
class layer_source {
public:
    virtual ~layer_source() = default;
    /// Throws std::bad_alloc.
    virtual std::unique_ptr<layer> make() = 0;
    /// Bytes as they go over the wire to a client for which not even a layer can be made; live as long as the process.
    virtual std::string_view refusal() const noexcept = 0;
};

}  // namespace server
