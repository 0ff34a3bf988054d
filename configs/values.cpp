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
    if (!count || found == units.end() || *count > most / found->factor) return std::nullopt;
    return *count * found->factor;
}

/// `if_zero`: the unit that a zero is written in, for which any would do.
std::string format_with(std::span<const unit> units, std::uint64_t value, std::string_view if_zero) {
    if (value == 0) return fmt::format("0{}", if_zero);
    auto largest = units.front();
    for (const auto& one : units)
        if (value % one.factor == 0) largest = one;
    return fmt::format("{}{}", value / largest.factor, largest.name);
}

constexpr unsigned byte(char c) { return static_cast<unsigned char>(c); }

bool is_control(char c) { return byte(c) < 0x20 || byte(c) == 0x7F; }

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
