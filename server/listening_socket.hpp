#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "server/options.hpp"

namespace server {

/// A listening socket, from bind to close. Owns the descriptor; binds in its constructor,
/// so that a busy port is known before anything starts, or takes the one that was inherited.
class listening_socket {
public:
    /// Throws std::runtime_error with one line that names the address and what to do.
    explicit listening_socket(const options& options);
    ~listening_socket();
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;

    int descriptor() const noexcept { return descriptor_; }
    boost::asio::ip::tcp::endpoint local() const;
    int backlog() const noexcept { return backlog_; }
    /// Somebody else listens on it too, or will: who is still in the queue when it is closed is not lost.
    bool shared() const noexcept { return shared_; }
    /// "::" was asked for, and the kernel has no IPv6: it listens on 0.0.0.0.
    bool without_ipv6() const noexcept { return without_ipv6_; }

    /// From now on nobody new enters the queue, and who is in a handshake still does. A new SYN is refused at once, or
    /// goes to another socket that listens on the same port (SO_REUSEPORT): to the `nth` from the last of them. Only
    /// for a socket that this process alone owns.
    void turn_away_newcomers(unsigned nth = 0) noexcept;
    /// Others listen on the same address and port with sockets of their own.
    bool has_others() const;
    /// Those take all. To be called once nobody is in a handshake any more; then comes `close`.
    void leave_others() noexcept;
    void close() noexcept;

private:
    void open(boost::asio::ip::tcp::endpoint& endpoint);
    unsigned listeners() const;
    void drop_newcomers() noexcept;

    int descriptor_ = -1;
    int backlog_ = 0;
    bool shared_ = false;
    bool without_ipv6_ = false;
    bool reuses_port_ = false;
    bool directs_ = false;  ///< where newcomers go, of all the sockets on its port
};

}  // namespace server
