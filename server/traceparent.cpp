#include "server/traceparent.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <ostream>  // Beast's string view uses and does not include it

#include "server/request.hpp"

namespace server {
namespace {

constexpr std::size_t most_members = 32;  // section 3.3.1.1

bool among(char c, std::string_view these) noexcept { return these.find(c) != these.npos; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_hex(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) noexcept { return is_hex(text) && text.find_first_not_of('0') != text.npos; }

/// Section 3.2: VERSION-TRACE-PARENT-FLAGS. Of a higher version than 00 more may follow, after a dash.
bool is_traceparent(std::string_view text) noexcept {
    constexpr std::size_t whole = 55;
    if (text.size() < whole || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
    const auto version = text.substr(0, 2);
    if (!is_hex(version) || version == "ff") return false;
    if (text.size() > whole && (version == "00" || text[whole] != '-')) return false;
    return is_id(text.substr(3, 32)) && is_id(text.substr(36, 16)) && is_hex(text.substr(53, 2));
}

/// Section 3.3.1.3.1: a name of one part, or `tenant@system`.
bool is_key(std::string_view text) noexcept {
    const auto name = [](std::string_view part, std::size_t longest, bool digit_first) {
        return !part.empty() && part.size() <= longest && (is_lower(part[0]) || (digit_first && is_digit(part[0]))) &&
               std::ranges::all_of(part, [](char c) { return is_lower(c) || is_digit(c) || among(c, "_-*/"); });
    };
    const auto at = text.find('@');
    if (at == text.npos) return name(text, 256, false);
    return name(text.substr(0, at), 241, true) && name(text.substr(at + 1), 14, false);
}

/// Section 3.3.1.3.2; a comma or a blank at the end is not part of what comes here.
bool is_value(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 256 &&
           std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '='; });
}

/// Adds the members of one `tracestate` line. False: the list is not one, or too long.
bool add_members(std::string_view line, std::string& list, std::size_t& count) {
    for (std::size_t comma = 0; comma != line.npos; line.remove_prefix(comma == line.npos ? line.size() : comma + 1)) {
        comma = line.find(',');
        auto member = line.substr(0, comma);
        while (!member.empty() && among(member.front(), " \t")) member.remove_prefix(1);
        while (!member.empty() && among(member.back(), " \t")) member.remove_suffix(1);
        if (member.empty()) continue;  // section 3.3.1.2 allows it
        const auto equals = member.find('=');
        if (equals == member.npos || !is_key(member.substr(0, equals)) || !is_value(member.substr(equals + 1)))
            return false;
        if (++count > most_members) return false;
        if (!list.empty()) list += ',';
        list += member;
    }
    return true;
}

}  // namespace

trace_context continue_trace(const request& from, std::string_view span) {
    trace_context trace;
    continue_trace(from, span, trace);
    return trace;
}

std::string_view continue_trace(const request& from, std::string_view span, trace_context& into) {
    into.parent.clear();
    into.state.clear();
    std::string_view parent;
    std::size_t parents = 0, members = 0;
    bool sound = true;
    for (const auto& field : from.fields) {
        if (same_name(field.name, "traceparent")) {
            parent = field.value;
            ++parents;
        } else if (sound && same_name(field.name, "tracestate")) {
            sound = add_members(field.value, into.state, members);
        }
    }
    const bool has_parent = parents == 1 && is_traceparent(parent);
    if (!sound || !has_parent) into.state.clear();  // section 4.3: without a parent the state is of nothing
    if (!has_parent) return {};
    // Level 2 section 3.2.2.5: of the flags the two lowest bits are known, sampled and random, and others are not
    // handed on. The service that made the id at random says so for all that sample by it.
    const bool sampled = among(parent[54], "13579bdf"), random = among(parent[54], "2367abef");
    const std::array flags{'-', '0', static_cast<char>('0' + (random ? 2 : 0) + (sampled ? 1 : 0))};
    into.parent.append("00-").append(parent.substr(3, 32)).append("-").append(span).append(flags.data(), flags.size());
    return parent.substr(36, 16);
}

}  // namespace server
