#include "cmd/service/telemetry/names.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>

#include "tracker/descriptor.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;

constexpr std::uint16_t type_a = 1, type_aaaa = 28;
constexpr std::size_t header_size = 12;
constexpr std::chrono::milliseconds look_again{20};

std::string literal_of(int family, const void* bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family, bytes, text.data(), text.size());
    return text.data();
}

bool is_literal(const std::string& text) {
    in6_addr room;
    return ::inet_pton(AF_INET, text.c_str(), &room) == 1 || ::inet_pton(AF_INET6, text.c_str(), &room) == 1;
}

std::vector<std::string> from_hosts(const std::string& host, const std::string& path) {
    std::vector<std::string> all;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string address, name;
        words >> address;
        while (words >> name)
            if (::strcasecmp(name.c_str(), host.c_str()) == 0 && is_literal(address)) all.push_back(address);
    }
    return all;
}

struct resolver {
    std::vector<std::string> servers, search;
    std::size_t dots = 1;  ///< a name with so many is tried as it is before the others
};

resolver read_resolver(const std::string& path) {
    resolver made;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string key, value;
        words >> key;
        if (key == "search") made.search.clear();
        while (words >> value) {
            if (key == "nameserver") made.servers.push_back(value);
            if (key == "search") made.search.push_back(value);
            if (key == "options" && value.starts_with("ndots:"))
                made.dots = std::min<std::size_t>(15, std::strtoul(value.c_str() + 6, nullptr, 10));
        }
    }
    if (made.servers.empty()) made.servers.emplace_back("127.0.0.1");
    if (made.servers.size() > 3) made.servers.resize(3);  // resolv.conf(5)
    return made;
}

std::vector<std::string> candidates(const std::string& host, const resolver& by) {
    if (host.ends_with('.')) return {host};
    std::vector<std::string> all;
    for (const auto& domain : by.search) all.push_back(host + '.' + domain);
    const auto dots = static_cast<std::size_t>(std::ranges::count(host, '.'));
    all.insert(dots >= by.dots ? all.begin() : all.end(), host);
    return all;
}

std::uint16_t read16(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                      static_cast<unsigned char>(bytes[at + 1]));
}

void put16(std::string& to, std::uint16_t value) {
    to += static_cast<char>(value >> 8);
    to += static_cast<char>(value & 0xFF);
}

/// After a name, which may end in a pointer; `npos`: it does not end.
std::size_t behind_name(std::string_view message, std::size_t at) {
    while (at < message.size()) {
        const auto length = static_cast<unsigned char>(message[at]);
        if (length == 0) return at + 1;
        if (length >= 0xC0) return at + 2;
        at += 1U + length;
    }
    return message.npos;
}

std::uint16_t random_id() { return static_cast<std::uint16_t>(std::random_device()()); }

/// Asks one server; empty: it has not answered in time.
std::string ask(const std::string& server, std::uint16_t port, const std::string& question, std::uint16_t id,
                clock::time_point most, const tracker::deadline_function& until) {
    sockaddr_storage to{};
    socklen_t size = 0;
    auto& four = reinterpret_cast<sockaddr_in&>(to);
    auto& six = reinterpret_cast<sockaddr_in6&>(to);
    if (::inet_pton(AF_INET, server.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        size = sizeof four;
    } else if (::inet_pton(AF_INET6, server.c_str(), &six.sin6_addr) == 1) {
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(port);
        size = sizeof six;
    } else {
        return {};
    }
    const tracker::descriptor socket(::socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.get() < 0 || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), size) != 0 ||
        ::send(socket.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0)
        return {};
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min(most, until()) - clock::now());
        pollfd waits{.fd = socket.get(), .events = POLLIN, .revents = 0};
        if (left.count() <= 0) return {};
        if (::poll(&waits, 1, static_cast<int>(std::min(left, look_again).count())) <= 0) continue;
        std::array<char, 4096> room;
        const auto got = ::recv(socket.get(), room.data(), room.size(), 0);
        if (got < 0) return {};  // no server listens there
        const std::string_view answer(room.data(), static_cast<std::size_t>(got));
        if (answer.size() >= header_size && read16(answer, 0) == id) return std::string(answer);
    }
}

std::vector<std::string> from_servers(const std::string& name, std::uint16_t type, const resolver& by,
                                      const tracker::deadline_function& until, const name_sources& from) {
    const auto id = random_id();
    const auto question = dns_question(name, type, id);
    if (question.empty()) return {};
    for (int time = 0; time < 2; ++time)
        for (const auto& server : by.servers) {
            const auto answer = ask(server, from.port, question, id, clock::now() + from.patience, until);
            if (!answer.empty()) return dns_addresses(answer, type, id);
        }
    return {};
}

}  // namespace

std::string dns_question(std::string_view name, std::uint16_t type, std::uint16_t id) {
    constexpr std::size_t longest_label = 63, longest_name = 253;
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.size() > longest_name) return {};
    std::string made;
    put16(made, id);
    put16(made, 0x0100);  // recursion is desired
    put16(made, 1);
    for (int none = 0; none < 3; ++none) put16(made, 0);
    while (!name.empty()) {
        const auto dot = std::min(name.find('.'), name.size());
        if (dot == 0 || dot > longest_label) return {};
        made += static_cast<char>(dot);
        made += name.substr(0, dot);
        name.remove_prefix(std::min(dot + 1, name.size()));
    }
    made += '\0';
    put16(made, type);
    put16(made, 1);  // IN
    return made;
}

std::vector<std::string> dns_addresses(std::string_view answer, std::uint16_t type, std::uint16_t id) {
    std::vector<std::string> all;
    if (answer.size() < header_size || read16(answer, 0) != id || (read16(answer, 2) & 0x8000U) == 0) return all;
    std::size_t at = header_size;
    for (int left = read16(answer, 4); left > 0; --left) {
        at = behind_name(answer, at);
        if (at > answer.size() - std::min<std::size_t>(4, answer.size())) return all;
        at += 4;
    }
    for (int left = read16(answer, 6); left > 0; --left) {
        at = behind_name(answer, at);
        if (at == answer.npos || at + 10 > answer.size()) return all;
        const auto its_type = read16(answer, at);
        const std::size_t size = read16(answer, at + 8);
        at += 10;
        if (at + size > answer.size()) return all;
        if (its_type == type && size == (type == type_a ? 4U : 16U))  // a CNAME in front is of no interest
            all.push_back(literal_of(type == type_a ? AF_INET : AF_INET6, answer.data() + at));
        at += size;
    }
    return all;
}

std::vector<std::string> look_up(const std::string& host, const tracker::deadline_function& until,
                                 const name_sources& from) {
    if (is_literal(host)) return {host};
    if (auto known = from_hosts(host, from.hosts); !known.empty()) return known;
    if (host == "localhost" || host.ends_with(".localhost")) return {"127.0.0.1", "::1"};  // RFC 6761, section 6.3
    const auto by = read_resolver(from.resolver);
    for (const auto& name : candidates(host, by)) {
        auto all = from_servers(name, type_a, by, until, from);
        const auto six = from_servers(name, type_aaaa, by, until, from);
        all.insert(all.end(), six.begin(), six.end());
        if (!all.empty()) return all;
        if (clock::now() >= until()) break;
    }
    throw std::runtime_error(fmt::format("look up {}: no address", host));
}

}  // namespace telemetry
