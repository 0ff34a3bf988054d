#include "configs/values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "tracker/utf8.hpp"

namespace configs {
namespace {

struct unit {
    std::string_view name;
    std::uint64_t factor;
};

// Smallest first: the first that fits a text is the right one, the last that divides a value too.
constexpr std::array<unit, 4> durations{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::array<unit, 4> sizes{{{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}};

std::optional<std::uint64_t> parse_with(std::span<const unit> units, std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto count = parse_number(text.substr(0, digits));
    const auto found = std::ranges::find(units, text.substr(digits), &unit::name);
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    // Compared before the multiplication, which would wrap around.
    if (!count || found == units.end() || *count > most / found->factor) return std::nullopt;
    return *count * found->factor;
}

/// `if_zero`: the unit that a zero is written in, for which any would do.
std::string format_with(std::span<const unit> units, std::uint64_t value, std::string_view if_zero) {
    if (value == 0) return fmt::format("0{}", if_zero);
    auto largest = units.front();
    for (const auto& unit : units)
        if (value % unit.factor == 0) largest = unit;
    return fmt::format("{}{}", value / largest.factor, largest.name);
}

constexpr unsigned byte(char c) { return static_cast<unsigned char>(c); }

bool is_control(char c) { return byte(c) < 0x20 || byte(c) == 0x7F; }

/// Levenshtein's, row by row: for the key that a misspelt one was probably meant to be.
std::size_t edit_distance(std::string_view from, std::string_view to) {
    std::vector<std::size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= from.size(); ++i) {
        auto diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const auto replaced = diagonal + (from[i - 1] == to[j - 1] ? 0U : 1U);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

constexpr std::string_view unix_word = "unix";

/// Bits after the prefix are let go: `127.0.0.1/8` is what `ip address` shows.
std::optional<server::network> parse_network(std::string_view text) {
    const auto slash = text.find('/');
    const std::string literal(text.substr(0, slash));
    server::network made;
    if (!is_address(literal)) return std::nullopt;
    made.v6 = ::inet_pton(AF_INET6, literal.c_str(), made.bits.data()) == 1;
    if (!made.v6 && ::inet_pton(AF_INET, literal.c_str(), made.bits.data()) != 1) return std::nullopt;
    const unsigned most = made.v6 ? 128 : 32;
    const auto length = slash == text.npos ? most : parse_number(text.substr(slash + 1));
    if (!length || *length > most) return std::nullopt;
    made.length = static_cast<std::uint8_t>(*length);
    for (unsigned bit = made.length; bit < 8 * made.bits.size(); ++bit)
        made.bits[bit / 8] = static_cast<std::uint8_t>(made.bits[bit / 8] & ~(0x80U >> bit % 8));
    return made;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const auto value = text == "0" ? std::optional<std::uint64_t>(0) : parse_with(durations, text);
    if (!value) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(*value));
}

std::string format_duration(std::chrono::milliseconds value) {
    return format_with(durations, static_cast<std::uint64_t>(value.count()), "s");
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto bytes = parse_number(text);
    return bytes ? bytes : parse_with(sizes, text);
}

std::string format_size(std::uint64_t bytes) { return format_with(sizes, bytes, "B"); }

bool is_text(std::string_view text) {
    while (!text.empty()) {
        const auto length = tracker::utf8_length(text);
        if (length == 0 || is_control(text[0])) return false;
        text.remove_prefix(length);
    }
    return true;
}

bool is_address(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) return false;  // inet_pton would not see what follows
    const std::string literal(text);
    in6_addr address;  // large enough for either family
    return ::inet_pton(AF_INET, literal.c_str(), &address) == 1 ||
           ::inet_pton(AF_INET6, literal.c_str(), &address) == 1;
}

bool is_listen_address(std::string_view text) {
    constexpr std::string_view scheme = "unix:";
    if (!text.starts_with(scheme)) return is_address(text);
    const auto path = text.substr(scheme.size());
    return !path.empty() && path.size() <= longest_socket_path && !path.starts_with('@') && is_text(path);
}

std::optional<server::trusted_peers> parse_trusted(std::string_view text) {
    server::trusted_peers made;
    for (const auto& word : split_list(text)) {
        if (word == unix_word) {
            made.unix_sockets = true;
            continue;
        }
        const auto network = parse_network(word);
        if (!network) return std::nullopt;
        made.networks.push_back(*network);
    }
    return made;
}

std::string format_trusted(const server::trusted_peers& peers) {
    std::string text(peers.unix_sockets ? unix_word : "");
    for (const auto& network : peers.networks) {
        std::array<char, INET6_ADDRSTRLEN> literal{};
        ::inet_ntop(network.v6 ? AF_INET6 : AF_INET, network.bits.data(), literal.data(), literal.size());
        const bool alone = network.length == (network.v6 ? 128 : 32);
        text += fmt::format("{}{}{}", text.empty() ? "" : ",", literal.data(),
                            alone ? std::string() : fmt::format("/{}", network.length));
    }
    return text;
}

std::optional<unsigned> parse_mode(std::string_view text) {
    if (text.size() == 4 && text[0] == '0') text.remove_prefix(1);
    if (text.size() != 3 || text.find_first_not_of("01234567") != text.npos) return std::nullopt;
    unsigned mode = 0;
    for (const char digit : text) mode = mode * 8 + static_cast<unsigned>(digit - '0');
    return mode;
}

std::string format_mode(unsigned mode) { return fmt::format("{:04o}", mode); }

bool is_host_name(std::string_view text) {
    constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    constexpr std::size_t longest = 253;  // RFC 1035, section 2.3.4, without the root
    return !text.empty() && text.size() <= longest && text.find_first_not_of(allowed) == std::string_view::npos;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    if (text.empty()) return items;
    for (;;) {
        const auto comma = text.find(',');
        items.emplace_back(text.substr(0, comma));
        if (comma == std::string_view::npos) return items;
        text.remove_prefix(comma + 1);
    }
}

std::string in_quotes(std::string_view text) {
    const bool utf8 = is_text(text);
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            result += {'\\', c};
        else if (is_control(c))
            result += fmt::format("\\u{:04x}", byte(c));
        else if (byte(c) >= 0x80 && !utf8)
            result += fmt::format("\\x{:02x}", byte(c));  // only faults have it
        else
            result += c;
    }
    return result += '"';
}

std::string shown(std::string_view text) { return is_text(text) ? std::string(text) : in_quotes(text); }

std::string nearest(std::string_view text, const std::vector<std::string>& candidates) {
    const auto distance = [text](const std::string& candidate) { return edit_distance(text, candidate); };
    const auto found = std::ranges::min_element(candidates, {}, distance);
    return found == candidates.end() ? std::string() : *found;
}

}  // namespace configs
