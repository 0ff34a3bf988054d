#include "cmd/service/log_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "tracker/utf8.hpp"

namespace {

constexpr std::string_view digits = "0123456789abcdef";

bool is_plain(char one) { return one >= 0x20 && one < 0x7f && one != '"' && one != '\\'; }

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
        const char one = text[at];
        const auto byte = static_cast<unsigned char>(one);
        // U+0080 to U+009F are two bytes in UTF-8, and control codes to a terminal all the same (U+009B: CSI).
        if (byte < 0x20 || byte == 0x7f || (byte > 0x7f && !utf8) || c1(at) || (at > 0 && c1(at - 1))) {
            append_hex(out, one, json);
        } else {
            if (json && (one == '"' || one == '\\')) out += '\\';
            out += one;
        }
    }
}

void append_printable(std::string& out, std::string_view text, bool json) {
    std::all_of(text.begin(), text.end(), is_plain) ? static_cast<void>(out += text) : append_escaped(out, text, json);
}

/// "2026-11-28T09:05:07.250Z". By hand: fmt's chrono costs more than the rest of an access line.
void append_time(std::string& out, std::chrono::system_clock::time_point time) {
    const auto millis = std::chrono::floor<std::chrono::milliseconds>(time);
    const auto day = std::chrono::floor<std::chrono::days>(millis);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(millis - day);
    std::array<char, 24> stamp;
    auto* at = stamp.data();
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
    put(static_cast<unsigned>(clock.subseconds().count()), 3, 'Z');
    out.append(stamp.data(), stamp.size());
}

}  // namespace

void log_format::append(std::string& out, std::chrono::system_clock::time_point time, std::string_view level,
                        std::string_view text) const {
    if (json_) {
        out += R"({"time":")";
        append_time(out, time);
        out += R"(","level":")";
        out += level;
        out += R"(","message":")";
        append_printable(out, text, true);
        out += "\"}\n";
        return;
    }
    constexpr std::size_t column = 8;
    append_time(out, time);
    out += ' ';
    out += level;
    out.append(column - std::min(column, level.size()) + 1, ' ');
    append_printable(out, text, false);
    out += '\n';
}
