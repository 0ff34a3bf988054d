#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <exception>
#include <span>
#include <string_view>

#include "server/exchange.hpp"
#include "server/handlers.hpp"
#include "server/net/layer.hpp"
#include "server/net/poll_set.hpp"
#include "server/net/socket_address.hpp"
#include "server/workspace.hpp"

namespace server {

class connection;

/// A stream of one session that is the socket of another (RFC 8441); see wire for what each of them does.
class tunnel {
public:
    virtual transfer read(std::span<char> into) = 0;
    virtual bool holds() const noexcept = 0;
    virtual transfer write(std::string_view bytes) = 0;
    virtual void finish() = 0;
    virtual void discard() noexcept = 0;
    virtual std::size_t unacknowledged() const noexcept = 0;
    virtual void watch(poll_set::interest wanted) noexcept = 0;
    virtual void proceed() noexcept = 0;

protected:
    ~tunnel() = default;
};

/// What a session may do with its connection and its loop; see session. Copied freely, valid for as long
/// as the session lives, and only on the loop's thread.
class wire {
public:
    explicit wire(connection& of) noexcept : of_(&of) {}
    /// The same connection and loop, with `stream` for its socket.
    wire through(tunnel& stream) const noexcept {
        auto made = *this;
        made.through_ = &stream;
        return made;
    }

    // The socket; see transport.

    /// `all`: is told whether that was all that the socket had, so that it reports whatever comes after it.
    transfer read(std::span<char> into, bool* all = nullptr);
    /// A read would return something that the socket does not know of, so do not wait for the socket.
    bool holds() const noexcept;
    transfer write(std::string_view bytes, bool last = false);
    transfer_end farewell();
    void finish();
    void discard();
    std::size_t unacknowledged();
    /// What the session is told of by `ready`. Where TLS wants room before it can read, that is waited for first.
    void watch(poll_set::interest wanted);

    // The other end.

    const socket_address& peer() const noexcept;
    /// The client that a header in front of the connection names; else the peer.
    const socket_address& caller() const noexcept;
    std::string_view subject() const noexcept;
    /// Bytes go into its socket as they are, with neither TLS nor a stream of another session in between.
    bool direct() const noexcept;

    // The loop.

    moment now() const;
    /// To post to, from any thread, for as long as the server lives.
    boost::asio::io_context& context() const noexcept;
    host& serving() const noexcept;
    workspace_pool& workspaces() const noexcept;
    /// Valid until anything else has a turn.
    std::span<char> scratch() const noexcept;
    /// Something has happened that no event of the connection has brought: the session proceeds. The last thing that
    /// is done with it, for it may be gone.
    void proceed() noexcept;

    // Its requests; the one in focus is meant.

    /// See handlers::ask. A handler is entered before it is asked, and left when it has returned.
    bool ask(asked what, exchange& of, const request& about, asker& whose);
    void enters(const route& to);
    void leaves(const route& to, http::status status, const moment& at);
    /// An answer stands, and then its request is over.
    void note(const answer_row& row);
    void answered(http::status status);
    void log_failure(const std::exception_ptr& thrown) noexcept;
    /// A handler does not end with its context, or returns after all.
    void straggles();
    void returned_late();
    void account_for(const account_changes& some) noexcept;

private:
    connection* of_;
    tunnel* through_ = nullptr;  ///< its socket, if that is not the connection's
};

}  // namespace server
