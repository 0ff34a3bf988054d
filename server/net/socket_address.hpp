#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <concepts>
#include <cstdint>
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
    socket_address(const boost::asio::ip::address& address, std::uint16_t port) noexcept;
    /// An endpoint of Asio's.
    template <class Endpoint>
    requires requires(const Endpoint& of) {
        { of.address() } -> std::same_as<boost::asio::ip::address>;
        typename Endpoint::protocol_type;
    }
    socket_address(const Endpoint& of) noexcept : socket_address(of.address(), of.port()) {}

    bool is_unix() const noexcept { return family_ == family::of_unix; }
    /// Unspecified of a UNIX socket, and 0.
    boost::asio::ip::address address() const noexcept;
    std::uint16_t port() const noexcept { return port_; }

    /// "192.0.2.1:80", "[2001:db8::1]:80", "unix".
    std::string text() const;
    /// "192.0.2.1", "2001:db8::1", "unix".
    std::string host() const;

    bool operator==(const socket_address&) const = default;

private:
    enum class family : std::uint8_t { of_unix, v4, v6 };

    // Not an endpoint of Asio's: it is larger, and what includes this would include the sockets of Asio
    // too.
    std::array<std::uint8_t, 16> bytes_{};  ///< the first four of IPv4
    std::uint32_t scope_ = 0;               ///< of a link-local address (RFC 4007)
    std::uint16_t port_ = 0;
    family family_ = family::of_unix;
};

/// An IPv6 prefix holds no IPv4 address, not even ::/0.
bool is_among(const socket_address& address, const trusted_peers& peers) noexcept;

/// An IPv4 or IPv6 literal as inet_pton(3) takes it, so without brackets, port or zone. Never throws or allocates.
std::optional<boost::asio::ip::address> read_ip(std::string_view text) noexcept;

}  // namespace server
