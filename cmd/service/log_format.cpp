#include "cmd/service/log_format.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "server/copy_text.hpp"
#include "server/scan.hpp"
#include "tracker/utf8.hpp"

namespace {

constexpr std::string_view digits = "0123456789abcdef";

bool is_plain(std::string_view text) { return server::scan::wide::is_all<server::byte_kind::plain>(text); }

void append_hex(std::string& out, char byte, bool json) {
    const auto value = static_cast<unsigned char>(byte);
    out += json ? "\\\\x" : "\\x";  // a backslash of the text is itself escaped in JSON
    out += digits[value >> 4];
    out += digits[value & 15];
}

/// What is neither plain ASCII nor to be shown as it is.
void append_escaped(std::string& out, std::string_view text, bool json) {
    const bool utf8 = tracker::is_utf8(text);
    const auto c1 = [&](std::size_t at) {
        return utf8 && at + 1 < text.size() && text[at] == '\xc2' && text[at + 1] < '\xa0';
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char letter = text[at];
        const auto byte = static_cast<unsigned char>(letter);
        // U+0080 to U+009F are two bytes in UTF-8, and control codes to a terminal all the same (U+009B: CSI).
        if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8) || c1(at) || (at > 0 && c1(at - 1))) {
            append_hex(out, letter, json);
        } else {
            if (json && (letter == '"' || letter == '\\')) out += '\\';
            out += letter;
        }
    }
}

void append_printable(std::string& out, std::string_view text, bool json) {
    is_plain(text) ? static_cast<void>(out += text) : append_escaped(out, text, json);
}

/// "2026-11-28T09:05:07." By hand: fmt's chrono costs more than the rest of an access line.
std::array<char, 20> text_of(std::chrono::sys_seconds second) {
    const auto day = std::chrono::floor<std::chrono::days>(second);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(second - day);
    std::array<char, 20> text;
    auto* at = text.data();
    const auto put = [&at](unsigned value, int width, char end) {
        for (int place = width - 1; place >= 0; --place, value /= 10) at[place] = digits[value % 10];
        at[width] = end;
        at += width + 1;
    };
    put(static_cast<unsigned>(static_cast<int>(date.year())), 4, '-');
    put(static_cast<unsigned>(date.month()), 2, '-');
    put(static_cast<unsigned>(date.day()), 2, 'T');
    put(static_cast<unsigned>(clock.hours().count()), 2, ':');
    put(static_cast<unsigned>(clock.minutes().count()), 2, ':');
    put(static_cast<unsigned>(clock.seconds().count()), 2, '.');
    return text;
}

constexpr std::size_t longest_number = 32;

char* put(char* at, std::string_view text) { return server::copy_text(at, text); }

template <std::size_t Size>
char* put(char* at, const char (&literal)[Size]) {
    std::memcpy(at, literal, Size - 1);  // without the NUL
    return at + Size - 1;
}

/// "2026-11-28T09:05:07.250Z". A thread keeps what it has made of the last second.
char* put_time(char* at, std::chrono::system_clock::time_point time) {
    thread_local std::chrono::sys_seconds known{};
    thread_local auto text = text_of(known);
    auto into = time - known;
    if (into < std::chrono::seconds(0) || into >= std::chrono::seconds(1)) {
        known = std::chrono::floor<std::chrono::seconds>(time);
        text = text_of(known);
        into = time - known;
    }
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(into).count();
    const auto fraction = static_cast<unsigned>(millis);
    const std::array end{digits[fraction / 100], digits[fraction / 10 % 10], digits[fraction % 10], 'Z'};
    std::memcpy(at, text.data(), text.size());
    std::memcpy(at + text.size(), end.data(), end.size());
    return at + text.size() + end.size();
}

/// 1.250 milliseconds.
char* put_milliseconds(char* at, std::uint64_t microseconds) {
    at = std::to_chars(at, at + longest_number, microseconds / 1'000).ptr;
    const auto rest = microseconds % 1'000;
    *at++ = '.';
    *at++ = digits[rest / 100];
    *at++ = digits[rest / 10 % 10];
    *at++ = digits[rest % 10];
    return at;
}

char* put_number(char* at, const lifecycle::log_fact& fact) {
    using kind = lifecycle::log_fact::kind;
    switch (fact.what) {
        case kind::integer: return std::to_chars(at, at + longest_number, fact.integer).ptr;
        case kind::count: return std::to_chars(at, at + longest_number, fact.count).ptr;
        case kind::microseconds: return put_milliseconds(at, fact.count);
        case kind::truth: return put(at, fact.integer != 0 ? "true" : "false");
        case kind::real:
            return std::isfinite(fact.real) ? std::to_chars(at, at + longest_number, fact.real).ptr : put(at, "null");
        case kind::text:
        case kind::json: break;
    }
    return at;
}

/// ,"name":value of each. Room is made once for all of them, since an access line has a dozen.
void append_fields(std::string& out, std::span<const lifecycle::log_fact> facts) {
    using kind = lifecycle::log_fact::kind;
    constexpr std::size_t around = 6;  // ,"": and two quotes
    std::size_t most = 0;
    for (const auto& fact : facts) most += fact.name.size() + fact.text.size() + around + longest_number;
    const auto before = out.size();
    out.resize(before + most);
    char* at = out.data() + before;
    for (const auto& fact : facts) {
        if (!fact.is_field()) continue;
        at = put(at, ",\"");
        at = put(at, fact.name);
        if (fact.what != kind::text) {
            at = put(at, "\":");
            at = fact.what == kind::json ? put(at, fact.text) : put_number(at, fact);
            continue;
        }
        at = put(at, "\":\"");
        if (is_plain(fact.text)) [[likely]] {
            at = put(at, fact.text);
        } else {  // it grows: the rest of the room is laid out again after it
            const auto room = out.size() - static_cast<std::size_t>(at - out.data()) - fact.text.size();
            out.resize(static_cast<std::size_t>(at - out.data()));
            append_escaped(out, fact.text, true);
            const auto used = out.size();
            out.resize(used + room);
            at = out.data() + used;
        }
        *at++ = '"';
    }
    out.resize(static_cast<std::size_t>(at - out.data()));
}

/// A sentence that ends with a JSON value has it as a field, so the text is what stands before that.
std::string_view without_json(std::string_view text, std::span<const lifecycle::log_fact> facts) {
    if (facts.empty() || facts.back().what != lifecycle::log_fact::kind::json || !text.ends_with(facts.back().text))
        return text;
    text.remove_suffix(facts.back().text.size());
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

/// As sd-daemon(3) has them.
char priority_of(std::string_view level) {
    if (level == "critical") return '2';
    if (level == "error") return '3';
    if (level == "warning") return '4';
    return level == "info" ? '6' : '7';
}

}  // namespace

void log_format::append(std::string& out, std::chrono::system_clock::time_point time, std::string_view level,
                        std::string_view text, lifecycle::log_facts facts) const {
    constexpr std::size_t column = 8, usual_text = 384;
    std::array<char, 128 + usual_text> front;  // of each line: put together here, and appended at once
    char* at = front.data();
    assert(level.size() <= column);
    if (how_.journal) {
        *at++ = '<';
        *at++ = priority_of(level);
        *at++ = '>';
    }
    if (how_.json) {
        at = put(at, "{");
        if (!how_.journal) at = put(put_time(put(at, "\"time\":\""), time), "\",");
        at = put(put(put(at, "\"level\":\""), level), "\",\"message\":\"");
        out.append(front.data(), static_cast<std::size_t>(at - front.data()));
        append_printable(out, without_json(text, facts.own), true);
        out += '"';
        append_fields(out, facts.own);
        append_fields(out, facts.of_request);
        out += "}\n";
        return;
    }
    if (!how_.journal) {
        at = put(put(put_time(at, time), " "), level);
        at = std::fill_n(at, column - level.size() + 1, ' ');
    }
    const bool usual = text.size() < usual_text && is_plain(text);
    if (usual) at = put(put(at, text), "\n");
    out.append(front.data(), static_cast<std::size_t>(at - front.data()));
    if (usual) return;
    append_printable(out, text, false);
    out += '\n';
}

bool leads_to_journal(int descriptor, const char* journal_stream) noexcept {
    if (journal_stream == nullptr) return false;
    struct stat file = {};
    if (::fstat(descriptor, &file) != 0) return false;
    std::array<char, 48> text;
    const auto* const end = fmt::format_to_n(text.data(), text.size(), "{}:{}", file.st_dev, file.st_ino).out;
    return std::string_view(text.data(), end) == journal_stream;
}
