#include "server/net/socket_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace server {

namespace ip = boost::asio::ip;

namespace {

ip::tcp::endpoint by_its_own_name(const ip::tcp::endpoint& endpoint) {
    if (!endpoint.address().is_v6() || !endpoint.address().to_v6().is_v4_mapped()) return endpoint;
    return {ip::make_address_v4(ip::v4_mapped, endpoint.address().to_v6()), endpoint.port()};
}

bool holds(const network& of, const ip::address& address) noexcept {
    if (of.v6 != address.is_v6()) return false;
    std::array<std::uint8_t, 16> bits{};
    if (address.is_v6())
        bits = address.to_v6().to_bytes();
    else
        std::ranges::copy(address.to_v4().to_bytes(), bits.begin());
    const std::size_t whole = of.length / 8, rest = of.length % 8;
    if (!std::equal(bits.begin(), bits.begin() + static_cast<std::ptrdiff_t>(whole), of.bits.begin())) return false;
    return rest == 0 || ((bits[whole] ^ of.bits[whole]) >> (8 - rest)) == 0;
}

}  // namespace

bool is_among(const socket_address& peer, const trusted_peers& peers) noexcept {
    if (peer.is_unix()) return peers.unix_sockets;
    const auto address = peer.address();
    return std::ranges::any_of(peers.networks, [&](const network& of) { return holds(of, address); });
}

socket_address::socket_address(const ip::tcp::endpoint& ip) noexcept : ip_(by_its_own_name(ip)), unix_(false) {}

std::string socket_address::text() const {
    if (unix_) return "unix";
    const auto host = ip_.address().to_string();
    return ip_.address().is_v6() ? fmt::format("[{}]:{}", host, ip_.port()) : fmt::format("{}:{}", host, ip_.port());
}

std::string socket_address::host() const { return unix_ ? "unix" : ip_.address().to_string(); }

std::optional<ip::address> read_ip(std::string_view text) noexcept {
    std::array<char, INET6_ADDRSTRLEN> literal{};
    if (text.size() >= literal.size() || text.find('\0') != text.npos) return std::nullopt;
    std::ranges::copy(text, literal.begin());
    ip::address_v4::bytes_type v4;
    if (::inet_pton(AF_INET, literal.data(), v4.data()) == 1) return ip::address_v4(v4);
    ip::address_v6::bytes_type v6;
    if (::inet_pton(AF_INET6, literal.data(), v6.data()) == 1) return ip::address_v6(v6);
    return std::nullopt;
}

}  // namespace server
