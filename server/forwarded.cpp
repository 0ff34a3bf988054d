#include "server/forwarded.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace server {
namespace {

constexpr std::string_view blanks = " \t";

std::string_view trimmed(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(blanks);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Takes the last item of a list, whatever separates them; a quoted string (RFC 9110 section 5.6.4) is no place for it.
/// From the right, so that a quote which a client has left open swallows nothing that a proxy has put after it.
std::string_view take_last(std::string_view& list, char separator) noexcept {
    bool quoted = false;
    for (auto at = list.size(); at > 0; --at) {
        const char letter = list[at - 1];
        if (letter == '"') {
            std::size_t escapes = 0;
            while (escapes + 1 < at && list[at - 2 - escapes] == '\\') ++escapes;
            if (!quoted || escapes % 2 == 0) quoted = !quoted;
        }
        if (quoted || letter != separator) continue;
        const auto item = list.substr(at);
        list = list.substr(0, at - 1);
        return trimmed(item);
    }
    return trimmed(std::exchange(list, {}));
}

std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

/// "192.0.2.1", "2001:db8::1", "[2001:db8::1]", and with ":80" after the first and the last. RFC 7239 section 6.2
/// knows ports that say nothing, "_p".
std::optional<socket_address> read_node(std::string_view text) noexcept {
    auto host = text;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos) return std::nullopt;
        host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (host.find(':') == host.npos) return std::nullopt;
    } else if (const auto colon = text.find(':'); colon != text.npos && text.find(':', colon + 1) == text.npos) {
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    const auto address = read_ip(host);
    if (!address) return std::nullopt;
    std::uint16_t number = 0;
    if (!port.empty()) {
        if (port[0] != ':' || port.size() == 1) return std::nullopt;
        if (port[1] != '_') {
            const auto read = read_port(port.substr(1));
            if (!read) return std::nullopt;
            number = *read;
        }
    }
    return socket_address(*address, number);
}

/// A scheme as it is handed on; WebSockets go by those of HTTP.
std::string_view known_scheme(std::string_view text) noexcept {
    if (same_name(text, "https") || same_name(text, "wss")) return "https";
    if (same_name(text, "http") || same_name(text, "ws")) return "http";
    return {};
}

struct hop {
    std::optional<socket_address> from;
    std::string_view scheme;
};

/// A value without its quotes and escapes, in `into` when it has any; as it is when there is no room.
std::string_view unquoted(std::string_view value, std::array<char, 64>& into) noexcept {
    if (value.size() < 2 || value.front() != '"' || value.back() != '"' || value.size() > into.size()) return value;
    std::size_t size = 0;
    for (std::size_t at = 1; at + 1 < value.size(); ++at) {
        if (value[at] == '\\' && at + 2 < value.size()) ++at;
        into[size++] = value[at];
    }
    return {into.data(), size};
}

/// RFC 7239 section 4: for=192.0.2.1;proto=https;by=_me. One parameter of a name.
hop read_element(std::string_view element) noexcept {
    hop made;
    bool has_for = false;
    while (!element.empty()) {
        const auto pair = take_last(element, ';');
        const auto equals = pair.find('=');
        if (pair.empty()) continue;
        if (equals == pair.npos) return {};
        const auto name = pair.substr(0, equals);
        std::array<char, 64> room;
        const auto value = unquoted(pair.substr(equals + 1), room);
        if (same_name(name, "for")) {
            if (std::exchange(has_for, true)) return {};
            made.from = read_node(value);
        } else if (same_name(name, "proto")) {
            made.scheme = known_scheme(value);
        }
    }
    return made;
}

constexpr std::string_view name_of(forwarded_field by) noexcept {
    switch (by) {
        case forwarded_field::x_forwarded_for: return "X-Forwarded-For";
        case forwarded_field::forwarded: return "Forwarded";
        case forwarded_field::x_real_ip: return "X-Real-Ip";
    }
    return {};
}

std::string_view scheme_of(const request& of) noexcept {
    for (auto field = of.fields.rbegin(); field != of.fields.rend(); ++field) {
        if (!same_name(field->name, "X-Forwarded-Proto")) continue;
        auto list = field->value;
        return known_scheme(take_last(list, ','));
    }
    return {};
}

/// The items of all lines, the last first.
template <class See>
void walk(const request& of, forwarded_field by, const See& see) noexcept {
    const auto name = name_of(by);
    for (auto field = of.fields.rbegin(); field != of.fields.rend(); ++field) {
        if (!same_name(field->name, name)) continue;
        for (auto list = field->value; !list.empty();) {
            const auto item = take_last(list, ',');
            if (item.empty()) continue;  // RFC 9110 section 5.6.1.2
            if (!see(item)) return;
        }
    }
}

}  // namespace

forwarded read_forwarded(const request& of, const trusted_peers& trusted, forwarded_field by) noexcept {
    forwarded made{.client = std::nullopt, .scheme = scheme_of(of)};
    walk(of, by, [&](std::string_view item) {
        const auto from = by == forwarded_field::forwarded ? read_element(item) : hop{read_node(item), {}};
        if (!from.from) return false;
        made.client = from.from;
        if (!from.scheme.empty()) made.scheme = from.scheme;
        return is_among(*from.from, trusted);
    });
    return made;
}

}  // namespace server
