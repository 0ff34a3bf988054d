#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lifecycle/task_group.hpp"
#include "server/net/socket_address.hpp"
#include "server/websocket/machine.hpp"

namespace server::websocket {

class remote;

/// A WebSocket as its handlers see it. Belongs to its connection, and is valid in a handler of its own until that has
/// returned; to send later or from elsewhere, keep a `remote`. Only on its loop.
class socket {
public:
    virtual ~socket() = default;

    /// Queues a whole message, and never waits. `dropped`: more than the bound waits for the peer; see
    /// route_options::overflow. Text has to be UTF-8. Throws std::bad_alloc.
    virtual sent send(opcode kind, std::string_view payload) = 0;
    sent send_text(std::string_view text) { return send(opcode::text, text); }
    sent send_binary(std::string_view bytes) { return send(opcode::binary, bytes); }
    /// As it came: text as text, binary as binary.
    sent send(const message& message) { return send(message.text ? opcode::text : opcode::binary, message.data); }

    /// To all sockets of its route, this one too; see sockets::broadcast.
    virtual void broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted = {}) = 0;

    /// Sends a Close after what has been sent; nothing goes after it. `code` is one that `may_be_sent`, and `reason`
    /// UTF-8 of at most 123 bytes: the rest is cut off.
    virtual void close(std::uint16_t code = normal, std::string_view reason = {}) = 0;

    /// Bytes that wait for the peer to read.
    virtual std::size_t backlog() const noexcept = 0;
    /// For a handler that is a coroutine: waits until no more than half of the bound waits for the peer. False: `of`
    /// has ended, or nothing more can be sent.
    virtual lifecycle::awaitable<bool> room(lifecycle::context of) = 0;

    /// To send by from any thread, as long as the server lives.
    virtual remote from_anywhere() = 0;

    /// Of Sec-WebSocket-Protocol, what has been agreed on; empty: nothing.
    virtual std::string_view subprotocol() const noexcept = 0;
    /// The client at the other end of the connection, as a header in front of it says.
    virtual const socket_address& client() const noexcept = 0;

    std::any data;  ///< whatever its handlers keep with it
};

/// A whole message as a frame that any number of sockets may send without a copy.
shared_frame make_frame(opcode kind, std::string_view data);

/// A WebSocket from any thread: what is sent by it goes by its loop, and nowhere once the socket has ended. Copied
/// freely; must not outlive the server.
class remote {
public:
    struct place;
    explicit remote(std::shared_ptr<place> where) noexcept : where_(std::move(where)) {}

    /// Safe from any thread, and never waits. False: nothing was sent, since more than the bound waits already, or the
    /// socket has ended. Throws std::bad_alloc.
    bool send(shared_frame frame) const;
    bool send_text(std::string_view text) const { return send(make_frame(opcode::text, text)); }
    /// Safe from any thread.
    void close(std::uint16_t code = normal, std::string reason = {}) const;
    /// Bytes that are on their way to its loop or wait for its peer. Safe from any thread.
    std::size_t backlog() const noexcept;

private:
    std::shared_ptr<place> where_;
};

}  // namespace server::websocket
