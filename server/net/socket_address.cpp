#include "server/net/socket_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace server {

namespace ip = boost::asio::ip;

namespace {

ip::address by_its_own_name(const ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
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

socket_address::socket_address(const ip::address& address, std::uint16_t port) noexcept : port_(port) {
    const auto its = by_its_own_name(address);
    if (its.is_v4()) {
        family_ = family::v4;
        std::ranges::copy(its.to_v4().to_bytes(), bytes_.begin());
    } else {
        family_ = family::v6;
        bytes_ = its.to_v6().to_bytes();
        scope_ = static_cast<std::uint32_t>(its.to_v6().scope_id());
    }
}

ip::address socket_address::address() const noexcept {
    if (family_ == family::v6) return ip::address_v6(bytes_, scope_);
    ip::address_v4::bytes_type v4;
    std::copy_n(bytes_.begin(), v4.size(), v4.begin());
    return ip::address_v4(v4);
}

std::string socket_address::text() const {
    if (is_unix()) return "unix";
    return family_ == family::v6 ? fmt::format("[{}]:{}", host(), port_) : fmt::format("{}:{}", host(), port_);
}

std::string socket_address::host() const { return is_unix() ? "unix" : address().to_string(); }

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
