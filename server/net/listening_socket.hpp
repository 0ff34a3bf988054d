#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <string>

#include "server/net/unix_socket.hpp"
#include "server/options.hpp"

namespace server {

/// A listening socket, TCP or UNIX, from bind to close. Owns the descriptor; binds in its constructor,
/// so that a busy port is known before anything starts, or takes the one that was inherited. Of a UNIX socket that it
/// has bound it owns the path too.
class listening_socket {
public:
    /// Throws std::runtime_error with one line that names the address and what to do.
    explicit listening_socket(const options& options);
    ~listening_socket();
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;

    int descriptor() const noexcept { return descriptor_; }
    /// The address that it is bound to: "192.0.2.1:80", "[::1]:80" or "unix:PATH".
    std::string local() const;
    bool is_unix() const noexcept { return unix_; }
    /// No other process has it, or is to remove its path.
    bool is_owned() const noexcept { return unix_ ? file_.is_ours() : !shared_; }
    int backlog() const noexcept { return backlog_; }
    /// Another process listens on it too, or will: clients still in the queue when it is closed are not lost.
    bool shared() const noexcept { return shared_; }
    /// "::" was asked for, and the kernel has no IPv6: it listens on 0.0.0.0.
    bool without_ipv6() const noexcept { return without_ipv6_; }

    /// From now on no new client enters the queue, and clients in a handshake still do. A new SYN is refused at once,
    /// or goes to another socket that listens on the same port (SO_REUSEPORT): to the `nth` from the last of them. Only
    /// for a socket that this process alone owns.
    void turn_away_newcomers(unsigned nth = 0) noexcept;
    /// Others listen on the same address and port with sockets of their own.
    bool has_others() const;
    /// The others get all new clients. To be called once no handshake is under way; then comes `close`.
    void leave_others() noexcept;
    /// It is this process's from here on, a UNIX socket with its path: its former owner has handed it over.
    void take() noexcept;
    /// ... and another's.
    void leave_path() noexcept { file_.leave(); }
    void close() noexcept;

private:
    boost::asio::ip::tcp::endpoint bound() const;
    void listen_on_tcp(const options& options);
    void open(boost::asio::ip::tcp::endpoint& endpoint);
    unsigned listeners() const;
    void drop_newcomers() noexcept;

    int descriptor_ = -1;
    int backlog_ = 0;
    bool shared_ = false;
    bool without_ipv6_ = false;
    bool reuses_port_ = false;
    bool unix_ = false;
    socket_file file_;      ///< of a UNIX socket that is ours alone
    bool directs_ = false;  ///< where newcomers go, of all the sockets on its port
};

}  // namespace server
