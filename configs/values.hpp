#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/options.hpp"

namespace configs {

// How values are written, the same in every place that can carry one. What cannot be read gives
// nothing; spaces, signs and fractions cannot. Pure functions, safe from any thread.

/// Decimal digits only.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// `250ms`, `5s`, `2m`, `1h`, and `0`, which needs no unit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// In the largest unit that loses nothing. `value` is not negative.
std::string format_duration(std::chrono::milliseconds value);

/// `512B`, `16KiB`, `1MiB`, `1GiB`; digits alone are bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

/// Valid UTF-8 (RFC 3629) without control characters: what a log line, JSON and TOML can all carry.
bool is_text(std::string_view text);

/// An IPv4 or IPv6 literal without brackets or zone, as inet_pton(3) takes it.
bool is_address(std::string_view text);

/// The same, or `unix:PATH` where PATH fits sockaddr_un (unix(7)): 107 bytes. A name of the abstract namespace,
/// `@name`, is not allowed: no mode would protect it.
inline constexpr std::size_t longest_socket_path = 107;
bool is_listen_address(std::string_view text);

/// `10.0.0.0/8`, `2001:db8::/32`, an address alone, and the word `unix`, separated by commas.
std::optional<server::trusted_peers> parse_trusted(std::string_view text);
std::string format_trusted(const server::trusted_peers& peers);

/// Permissions as chmod(1) takes them: three octal digits, or four of which the first is 0.
std::optional<unsigned> parse_mode(std::string_view text);
std::string format_mode(unsigned mode);

/// A name as it can stand in `Host`, without port.
bool is_host_name(std::string_view text);

/// The parts between commas; none for an empty text.
std::vector<std::string> split_list(std::string_view text);

/// In double quotes with what TOML wants escaped; one line whatever comes in.
std::string in_quotes(std::string_view text);

/// As it is when it is text, else in quotes: for a fault, which is one line.
std::string shown(std::string_view text);

/// The candidate with the smallest edit distance to `text`, the first of equals.
std::string nearest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace configs
