#include "server/net/socket_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace server {

namespace ip = boost::asio::ip;

namespace {

ip::tcp::endpoint by_its_own_name(const ip::tcp::endpoint& one) {
    if (!one.address().is_v6() || !one.address().to_v6().is_v4_mapped()) return one;
    return {ip::make_address_v4(ip::v4_mapped, one.address().to_v6()), one.port()};
}

}  // namespace

socket_address::socket_address(const ip::tcp::endpoint& ip) noexcept : ip_(by_its_own_name(ip)), unix_(false) {}

socket_address socket_address::of_peer(int descriptor) noexcept {
    ip::tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    if (::getpeername(descriptor, peer.data(), &size) != 0) return {};
    const auto family = peer.data()->sa_family;
    if (family != AF_INET && family != AF_INET6) return {};
    peer.resize(size);
    return peer;
}

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
