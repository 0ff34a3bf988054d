#include "server/target.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#include "server/head.hpp"
#include "server/request.hpp"
#include "server/scan.hpp"

namespace server {
namespace {

using byte_set = std::array<bool, 256>;

/// What may stand in a path or query as it is sent: RFC 3986 pchar, '/', '?' and '%'.
constexpr auto uri_bytes = [] {
    byte_set allowed{};
    for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                         "-._~!$&'()*+,;=:@/?%"))
        allowed[static_cast<unsigned char>(c)] = true;
    return allowed;
}();

/// All visible ASCII but what the percent-encode sets of the URL Standard (section 1.3) name: what browsers send.
constexpr byte_set visible_but(std::string_view escaped) {
    byte_set allowed{};
    for (std::size_t c = 0x21; c < 0x7f; ++c) allowed[c] = escaped.find(static_cast<char>(c)) == escaped.npos;
    return allowed;
}

constexpr auto browser_query = visible_but("\"<>#");
constexpr auto browser_path = visible_but("\"<>#?`{}");

/// What a byte of a path is, in one look: where it may stand, and what makes more looks necessary.
enum : std::uint8_t { strict_path = 1, any_path = 2, path_ends = 4, to_be_decoded = 8 };
constexpr auto path_bytes = [] {
    std::array<std::uint8_t, 256> kinds{};
    for (std::size_t c = 0; c < kinds.size(); ++c) {
        if (uri_bytes[c]) kinds[c] |= strict_path;
        if (browser_path[c]) kinds[c] |= any_path;
    }
    kinds['?'] = path_ends;
    kinds['%'] |= to_be_decoded;
    kinds['.'] |= to_be_decoded;
    return kinds;
}();

/// RFC 3986 section 3.2.2: what may stand in a host that is a name, escapes included.
enum : std::uint8_t { host_byte = 1, escape = 2 };
constexpr auto host_bytes = [] {
    std::array<std::uint8_t, 256> kinds{};
    for (std::size_t c = 0; c < kinds.size(); ++c) kinds[c] = uri_bytes[c] ? host_byte : 0;
    for (const char c : std::string_view(":/?@")) kinds[static_cast<unsigned char>(c)] = 0;
    kinds['%'] |= escape;
    return kinds;
}();

// Lambdas, which algorithms inline.
constexpr auto kind_in_path = [](char c) noexcept { return path_bytes[static_cast<unsigned char>(c)]; };
constexpr auto is_digit = [](char c) noexcept { return c >= '0' && c <= '9'; };

bool only(const byte_set& allowed, std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [&](char c) { return allowed[static_cast<unsigned char>(c)]; });
}

/// Decodes once. An escaped slash stays escaped: decoded it would change the segments.
bool percent_decode(std::string_view from, std::string& to) {
    to.clear();
    for (std::size_t at = 0; at < from.size(); ++at) {
        if (from[at] != '%') {
            to += from[at];
            continue;
        }
        if (at + 2 >= from.size()) return false;
        const int high = hex_digit(from[at + 1]);
        const int low = hex_digit(from[at + 2]);
        // Not %00: what takes the path for a C string would see another path.
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return false;
        const char decoded = static_cast<char>(high * 16 + low);
        if (decoded == '/')
            to += "%2F";
        else
            to += decoded;
        at += 2;
    }
    return true;
}

/// RFC 3986 section 5.2.4; a path that climbs above its root stays at the root.
void remove_dot_segments(std::string& path) {
    std::string out;
    for (std::size_t at = 0; at < path.size();) {
        const auto next = std::min(path.find('/', at + 1), path.size());
        const std::string_view segment(path.data() + at, next - at);  // with its leading slash
        const bool last = next == path.size();
        if (segment == "/." || segment == "/..") {
            if (segment == "/..") out.resize(std::min(out.rfind('/'), out.size()));
            if (last) out += '/';
        } else {
            out += segment;
        }
        at = next;
    }
    path = std::move(out);
}

bool valid_escapes(std::string_view text) noexcept {
    for (auto at = text.find('%'); at != text.npos; at = text.find('%', at + 1))
        if (at + 2 >= text.size() || hex_digit(text[at + 1]) < 0 || hex_digit(text[at + 2]) < 0) return false;
    return true;
}

/// "http://authority/…": cuts the scheme and the authority off; false when it is no such thing.
bool cut_absolute(std::string_view& rest, std::string_view& authority) {
    const auto colon = rest.find("://");
    if (colon == rest.npos) return false;
    const auto scheme = rest.substr(0, colon);
    if (!same_name(scheme, "http") && !same_name(scheme, "https")) return false;
    rest.remove_prefix(colon + 3);
    const auto end = std::min(rest.find_first_of("/?"), rest.size());
    authority = rest.substr(0, end);
    rest.remove_prefix(end);
    return !authority.empty() && is_authority(authority);
}

}  // namespace

/// Nothing, or a colon and at most five digits.
static bool is_port(std::string_view text) noexcept {
    if (text.empty()) return true;
    if (text.front() != ':' || text.size() > 6) return false;
    text.remove_prefix(1);
    for (const char letter : text)
        if (!is_digit(letter)) return false;
    return true;
}

/// Without what may be a port: a colon and at most five digits.
static std::string_view without_port(std::string_view text) noexcept {
    constexpr std::size_t most_digits = 5;
    const char* at = text.data() + text.size();
    const char* const first = at - std::min(text.size(), most_digits);
    while (at != first && is_digit(at[-1])) --at;
    return at != text.data() && at[-1] == ':' ? std::string_view(text.data(), at - 1) : text;
}

/// Not in line, and neither is `split_unusual_target`: the usual ones need none of the registers that these save.
[[gnu::noinline]] static bool is_unusual_authority(std::string_view text) noexcept {
    if (text.empty()) return true;  // RFC 9112 section 3.2: an empty Host is a valid Host
    if (text.front() == '[') {
        const auto end = text.find(']');
        if (end == text.npos || end < 3) return false;
        if (text.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.vV") != text.npos) return false;
        return is_port(text.substr(end + 1));
    }
    unsigned some = 0;
    std::size_t end = 0;
    for (const char letter : text) {
        const auto kind = host_bytes[static_cast<unsigned char>(letter)];
        if (kind == 0) break;
        some |= kind;
        ++end;
    }
    return end > 0 && is_port(text.substr(end)) && ((some & escape) == 0 || valid_escapes(text.substr(0, end)));
}

bool is_authority(std::string_view text) noexcept {
    const auto usual = without_port(text);
    return (!usual.empty() && scan::wide::is_all<byte_kind::host>(usual)) || is_unusual_authority(text);
}

[[gnu::noinline]] static bool split_unusual_target(std::string_view target, const target_rules& rules,
                                                   std::string& storage, target_parts& parts) {
    if (target.empty()) return false;
    if (rules.connect) {
        parts.authority = target;
        const auto colon = target.rfind(':');
        return colon != target.npos && colon + 1 < target.size() && is_authority(target);
    }
    if (target == "*") {
        parts.path = target;
        return rules.options;
    }
    auto rest = target;
    if (target.front() != '/' && !cut_absolute(rest, parts.authority)) return false;

    std::size_t end = 0;
    unsigned all = strict_path | any_path, some = 0;
    for (; end < rest.size() && kind_in_path(rest[end]) != path_ends; ++end) {
        all &= kind_in_path(rest[end]);
        some |= kind_in_path(rest[end]);
    }
    const bool asks = end < rest.size();
    if (asks) {
        parts.query = rest.substr(end + 1);
        rest = rest.substr(0, end);
        if (!only(rules.strict ? uri_bytes : browser_query, parts.query) || !valid_escapes(parts.query)) return false;
    }
    if ((all & (rules.strict ? strict_path : any_path)) == 0) return false;
    if (rest.empty()) {  // RFC 9112 section 3.2.2: an empty path is "/"; OPTIONS of a whole server is "*"
        parts.path = rules.options && !asks ? "*" : "/";
        return true;
    }
    parts.path = rest;
    if ((some & to_be_decoded) == 0 || (rest.find('%') == rest.npos && rest.find("/.") == rest.npos)) return true;
    if (!percent_decode(rest, storage)) return false;
    remove_dot_segments(storage);
    assert(storage.starts_with('/') && "no path leads out of its root");
    parts.path = storage;
    return true;
}

bool split_target(std::string_view target, const target_rules& rules, std::string& storage, target_parts& parts) {
    parts = {};
    if (target.starts_with('/') && !rules.connect && scan::wide::is_all<byte_kind::path>(target)) {
        parts.path = target;
        return true;
    }
    return split_unusual_target(target, rules, storage, parts);
}

std::string query_reference(std::string_view query) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string reference = "?";
    reference.reserve(query.size() + 1);
    for (const char c : query) {
        const auto byte = static_cast<unsigned char>(c);
        if (uri_bytes[byte])
            reference += c;
        else
            reference.append({'%', digits[byte / 16], digits[byte % 16]});
    }
    return reference;
}

}  // namespace server
