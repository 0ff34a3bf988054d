#include "server/head.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>  // Beast's string view uses and does not include it

namespace server {
namespace {

enum kind : std::uint8_t {
    token = 1,   ///< RFC 9110 section 5.6.2
    target = 2,  ///< what can be looked at as a target: see target.hpp
    text = 4     ///< of a field's value: anything but controls; a tab is none
};

/// No kind holds CR, with which every line of a whole head ends: what reads one kind needs no other bound.
constexpr auto kinds = [] {
    std::array<std::uint8_t, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte) {
        const bool control = byte < ' ' || byte == 127;
        if (!control && byte != ' ') table[byte] |= target;
        if (!control || byte == '\t') table[byte] |= text;
    }
    for (const char c :
         std::string_view("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
        table[static_cast<unsigned char>(c)] |= token;
    return table;
}();

class reader {
public:
    explicit reader(std::string_view head) noexcept : at_(head.data()) {}

    /// As many bytes of that kind as there are.
    std::string_view take(kind wanted) noexcept {
        const char* const first = at_;
        while ((kinds[static_cast<unsigned char>(*at_)] & wanted) != 0) ++at_;
        return {first, at_};
    }
    /// True, and behind it, when `expected` comes next.
    bool skip(std::string_view expected) noexcept {
        const char* ahead = at_;
        for (const char c : expected)
            if (*ahead++ != c) return false;
        at_ = ahead;
        return true;
    }
    char peek() const noexcept { return *at_; }

private:
    const char* at_;
};

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string_view without_blanks(std::string_view value) noexcept {
    while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
    while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
    return value;
}

/// RFC 9110 section 2.5: a higher minor version is the highest that we know; another major is not ours.
std::optional<http::status> read_version(reader& from, request& into) {
    if (!from.skip(" HTTP/")) return http::status::bad_request;
    const auto version = from.take(token);
    if (version.size() != 3 || !is_digit(version[0]) || version[1] != '.' || !is_digit(version[2]) ||
        !from.skip("\r\n"))
        return http::status::bad_request;
    if (version[0] != '1') return http::status::http_version_not_supported;
    into.version = version[2] == '0' ? 10 : 11;
    return std::nullopt;
}

}  // namespace

bool is_token(char byte) noexcept { return (kinds[static_cast<unsigned char>(byte)] & token) != 0; }

bool is_field_name(std::string_view name) noexcept { return !name.empty() && std::ranges::all_of(name, is_token); }

bool is_field_value(std::string_view value) noexcept {
    return value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos;
}

int hex_digit(char byte) noexcept {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

std::optional<http::status> parse_head(std::string_view head, std::size_t max_fields, request& into) {
    reader from(head);
    into.method_name = from.take(token);
    if (into.method_name.empty() || !from.skip(" ")) return http::status::bad_request;
    into.target = from.take(target);
    if (into.target.empty()) return http::status::bad_request;
    if (const auto fault = read_version(from, into)) return fault;
    into.method = http::string_to_verb({into.method_name.data(), into.method_name.size()});
    into.fields.clear();
    while (!from.skip("\r\n")) {
        const auto name = from.take(token);
        if (name.empty() || !from.skip(":")) return http::status::bad_request;
        const auto value = without_blanks(from.take(text));
        if (!from.skip("\r\n") || is_blank(from.peek())) return http::status::bad_request;
        if (into.fields.size() >= max_fields) return http::status::request_header_fields_too_large;
        into.fields.push_back({http::string_to_field({name.data(), name.size()}), name, value});
    }
    return std::nullopt;
}

}  // namespace server
