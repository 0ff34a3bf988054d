#include "server/head.hpp"

#include <algorithm>
#include <cstring>
#include <ostream>  // Beast's string view uses and does not include it

#include "server/field_names.hpp"
#include "server/scan.hpp"

namespace server {
namespace {

/// What stands at the front of `bytes`, piece by piece, by the scanner `Scan`; reads nothing beyond them.
template <class Scan>
class reader {
public:
    explicit reader(std::string_view bytes) noexcept : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

    /// As many bytes of that kind as there are.
    template <byte_kind Kind>
    [[gnu::always_inline]] std::string_view take() noexcept {
        const char* const first = at_;
        at_ = Scan::template end_of<Kind>(begin_, at_, end_);
        return {first, at_};
    }
    /// True, and past it, when `expected` comes next.
    template <std::size_t Size>
    bool skip(const char (&expected)[Size]) noexcept {
        constexpr std::size_t length = Size - 1;  // without the NUL
        if (left() < length || std::memcmp(at_, expected, length) != 0) return false;
        at_ += length;
        return true;
    }
    /// The same; how long it takes does not say in which byte they differ.
    bool skip(std::string_view expected) noexcept {
        if (left() < expected.size() || !Scan::are_same(at_, expected)) return false;
        at_ += expected.size();
        return true;
    }
    bool at_blank() const noexcept { return at_ != end_ && (*at_ == ' ' || *at_ == '\t'); }
    void skip_blanks() noexcept {
        while (at_blank()) ++at_;
    }
    const char* at() const noexcept { return at_; }
    const char* end() const noexcept { return end_; }
    std::size_t taken() const noexcept { return static_cast<std::size_t>(at_ - begin_); }

private:
    std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

    const char* const begin_;
    const char* at_;
    const char* const end_;
};

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

void drop_blanks_behind(std::string_view& value) noexcept {
    while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
}

/// RFC 9110 section 2.5: a higher minor version is the highest that we know; another major is not ours.
template <class Scan>
std::optional<rule> read_version(reader<Scan>& from, request& into) {
    if (from.skip(" HTTP/1.1\r\n")) {
        into.version = 11;
        return std::nullopt;
    }
    if (!from.skip(" HTTP/")) return rule::request_line;
    const auto version = from.template take<byte_kind::token>();
    if (version.size() != 3 || !is_digit(version[0]) || version[1] != '.' || !is_digit(version[2]) ||
        !from.skip("\r\n"))
        return rule::request_line;
    if (version[0] != '1') return rule::http_version;
    into.version = version[2] == '0' ? 10 : 11;
    return std::nullopt;
}

/// Most methods are one of two, and then there is nothing to be looked for.
template <class Scan>
bool read_method(reader<Scan>& from, request& into) {
    const char* const first = from.at();
    const bool get = from.skip("GET ");
    if (get || from.skip("POST ")) {
        into.method_name = {first, get ? std::size_t{3} : std::size_t{4}};
        into.method = get ? http::verb::get : http::verb::post;
        return true;
    }
    into.method_name = from.template take<byte_kind::token>();
    into.method = http::string_to_verb({into.method_name.data(), into.method_name.size()});
    return !into.method_name.empty() && from.skip(" ");
}

/// All that it calls is put in line, so that the place of the reader is in a register: in memory it would be written,
/// and read again, at each step. `found`: a head that has no fault. `known`: see try_head.
template <class Scan>
[[gnu::flatten]] std::optional<rule> read_head(std::string_view bytes, std::size_t max_fields, request& into,
                                               found_head& found, std::string_view known = {}) {
    reader<Scan> from(bytes);
    if (!read_method(from, into)) return rule::request_line;
    into.target = from.template take<byte_kind::target>();
    if (into.target.empty()) return rule::request_line;
    if (const auto fault = read_version(from, into)) return fault;
    if (!known.empty() && into.version == 11 && from.skip(known)) {
        found = {.size = from.taken(), .fields_known = true};
        return std::nullopt;
    }
    into.fields.clear();
    while (!from.skip("\r\n")) {
        const auto name = from.template take<byte_kind::token>();
        if (name.empty() || !from.skip(":")) return rule::field;
        from.skip_blanks();
        auto value = from.template take<byte_kind::text>();
        if (!value.empty() && is_blank(value.back())) [[unlikely]]
            drop_blanks_behind(value);
        if (!from.skip("\r\n") || from.at_blank()) return rule::field;
        if (into.fields.size() >= max_fields) return rule::max_headers;
        into.fields.push_back({known_field(name, from.end()), name, value});
    }
    found.size = from.taken();
    return std::nullopt;
}

}  // namespace

bool is_token(char byte) noexcept { return scan::is<byte_kind::token>(byte); }

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

std::optional<rule> parse_head(std::string_view head, std::size_t max_fields, request& into) {
    found_head found;
    return read_head<scan::wide>(head, max_fields, into, found);
}

std::optional<rule> parse_head_bytewise(std::string_view head, std::size_t max_fields, request& into) {
    found_head found;
    return read_head<scan::bytewise>(head, max_fields, into, found);
}

found_head try_head(std::string_view bytes, std::size_t max_fields, request& into, std::string_view known) {
    found_head found;
    return read_head<scan::wide>(bytes, max_fields, into, found, known) ? found_head() : found;
}

}  // namespace server
