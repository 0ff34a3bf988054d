#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "server/options.hpp"

namespace server {

/// One end of a connection: an IP address with a port, or a UNIX socket, which does not say who is there (unix(7)). An
/// IPv4 address is one, also where a socket of both families has it mapped into IPv6 (RFC 4291 section 2.5.5.2). A
/// plain value; safe from any thread.
class socket_address {
public:
    socket_address() noexcept = default;  ///< a UNIX socket
    socket_address(const boost::asio::ip::tcp::endpoint& ip) noexcept;

    bool is_unix() const noexcept { return unix_; }
    /// Unspecified of a UNIX socket, and 0.
    boost::asio::ip::address address() const noexcept { return ip_.address(); }
    std::uint16_t port() const noexcept { return ip_.port(); }
    const boost::asio::ip::tcp::endpoint& ip() const noexcept { return ip_; }

    /// "192.0.2.1:80", "[2001:db8::1]:80", "unix".
    std::string text() const;
    /// "192.0.2.1", "2001:db8::1", "unix".
    std::string host() const;

    bool operator==(const socket_address&) const = default;

private:
    boost::asio::ip::tcp::endpoint ip_;
    bool unix_ = true;
};

/// An IPv6 prefix holds no IPv4 address, not even ::/0.
bool is_among(const socket_address& address, const trusted_peers& peers) noexcept;

/// An IPv4 or IPv6 literal as inet_pton(3) takes it, so without brackets, port or zone. Never throws or allocates.
std::optional<boost::asio::ip::address> read_ip(std::string_view text) noexcept;

}  // namespace server
