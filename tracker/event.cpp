#include "tracker/event.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <ranges>
#include <span>
#include <string_view>
#include <utility>

namespace tracker {
namespace {

/// RFC 8259 section 7: quotation mark, reverse solidus and U+0000 to U+001F must be escaped.
void append_escape(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    }
}

/// How many of the first bytes are ASCII that needs no escape, in steps of eight, which are looked at together: a byte
/// of the result is marked when it is less than another, or is another (Warren, Hacker's Delight, section 6-1).
std::size_t plain_length(std::string_view text) noexcept {
    constexpr std::uint64_t each = 0x0101'0101'0101'0101, top = 0x80 * each;
    const auto less = [](std::uint64_t bytes, std::uint64_t than) { return (bytes - each * than) & ~bytes; };
    std::size_t at = 0;
    for (std::uint64_t next = 0; at + sizeof next <= text.size(); at += sizeof next) {
        std::memcpy(&next, text.data() + at, sizeof next);
        const auto marked = next | less(next, 0x20) | less(next ^ each * '"', 1) | less(next ^ each * '\\', 1);
        if ((marked & top) != 0) break;
    }
    return at;
}

void append_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t clean = 0;  // where the run begins that is copied as it is
    std::size_t at = plain_length(text);
    while (at < text.size()) {
        const char c = text[at];
        const bool ascii = static_cast<unsigned char>(c) < 0x80;
        const auto length = utf8_length(text.substr(at));
        if (length != 0 && (!ascii || (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20))) {
            at += length;
            continue;
        }
        out.append(text, clean, at - clean);
        // JSON is UTF-8 (RFC 8259 section 8.1). What is not becomes U+FFFD: a line that no reader takes would be worse.
        if (ascii)
            append_escape(out, c);
        else
            out += "\xEF\xBF\xBD";
        clean = ++at;
        at += plain_length(text.substr(at));
    }
    out.append(text, clean);
    out += '"';
}

void append_headers(std::string& out, const event_headers& headers) {
    out += ",\"headers\":";
    char before = '{';
    headers.each([&](std::string_view name, std::string_view value) {
        out += before;
        append_string(out, name);
        out += ':';
        append_string(out, value);
        before = ',';
    });
    out += '}';
}

/// In Crockford's base 32, five bits a character, as many of the lowest as there is room for.
void write_base32(std::span<char> out, std::uint64_t bits) {
    static constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (auto& character : out | std::views::reverse) {
        character = alphabet[bits & 31U];
        bits >>= 5U;
    }
}

/// As many of the lowest digits as there is room for.
void write_decimal(std::span<char> out, unsigned value) {
    for (auto& character : out | std::views::reverse) {
        character = static_cast<char>('0' + value % 10);
        value /= 10;
    }
}

/// The ids of one thread: 48 bits of time, 40 random ones that tell them from those of all others, and a counter of 40
/// that begins anywhere; ten characters, eight and eight. The time comes first, so that ids sort by it, as text too.
/// It is the thread's own, so that making an id takes no lock and no system call.
class id_source {
public:
    id_source() : count_(random_bits()) { write_base32(std::span(id_).subspan<10, 8>(), random_bits()); }

    std::string next(std::chrono::milliseconds time) {
        if (time != std::exchange(time_, time))
            write_base32(std::span(id_).first<10>(), static_cast<std::uint64_t>(time.count()));
        write_base32(std::span(id_).last<8>(), ++count_);
        return {id_.data(), id_.size()};
    }

private:
    static std::uint64_t random_bits() {
        std::random_device random;
        return std::uint64_t{random()} << 32U | random();
    }

    std::array<char, 26> id_{};
    std::chrono::milliseconds time_{-1};  ///< that in `id_`
    std::uint64_t count_;
};

}  // namespace

/// A time_point has years of four digits: it is in nanoseconds, which end in 2262.
void append_time(std::string& out, std::chrono::system_clock::time_point time) {
    const auto micros = std::chrono::floor<std::chrono::microseconds>(time);
    const auto day = std::chrono::floor<std::chrono::days>(micros);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(micros - day);
    const auto before = out.size();
    out += "0000-00-00T00:00:00.000000Z";
    const auto all = std::span(out).subspan(before);
    write_decimal(all.subspan(0, 4), static_cast<unsigned>(static_cast<int>(date.year())));
    write_decimal(all.subspan(5, 2), static_cast<unsigned>(date.month()));
    write_decimal(all.subspan(8, 2), static_cast<unsigned>(date.day()));
    write_decimal(all.subspan(11, 2), static_cast<unsigned>(clock.hours().count()));
    write_decimal(all.subspan(14, 2), static_cast<unsigned>(clock.minutes().count()));
    write_decimal(all.subspan(17, 2), static_cast<unsigned>(clock.seconds().count()));
    write_decimal(all.subspan(20, 6), static_cast<unsigned>(clock.subseconds().count()));
}

void append_json(std::string& out, const event& event) {
    out += "{\"id\":";
    append_string(out, event.id);
    out += ",\"time\":\"";
    append_time(out, event.time);
    out += "\",\"data\":";
    append_string(out, event.data);
    if (!event.headers.empty()) append_headers(out, event.headers);
    out += '}';
}

std::string make_id() {
    thread_local id_source source;
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return source.next(std::chrono::duration_cast<std::chrono::milliseconds>(since));
}

}  // namespace tracker
