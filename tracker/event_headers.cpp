#include "tracker/event_headers.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "tracker/utf8.hpp"

namespace tracker {
namespace {

// Of each: the length of its name, that of its value (little endian), and both.
constexpr std::size_t lengths = 3, longest_name = 20;

constexpr std::array<std::string_view, 4> of_the_event{"id", "time", "specversion", "data"};

bool is_name(std::string_view name) noexcept {
    const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, allowed) &&
           std::ranges::count(of_the_event, name) == 0;
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

}  // namespace

bool event_headers::sound(std::string_view name, std::string_view value) noexcept {
    return is_name(name) && !value.empty() && is_utf8(value) && std::ranges::none_of(value, is_control);
}

std::pair<std::string_view, std::string_view> event_headers::take(std::string_view& rest) noexcept {
    const auto at = [rest](std::size_t place) { return std::size_t{static_cast<unsigned char>(rest[place])}; };
    assert(rest.size() >= lengths && rest.size() >= lengths + at(0) + at(1) + (at(2) << 8U));
    const auto name = rest.substr(lengths, at(0));
    const auto value = rest.substr(lengths + name.size(), at(1) + (at(2) << 8U));
    rest.remove_prefix(lengths + name.size() + value.size());
    return {name, value};
}

bool event_headers::set(std::string_view name, std::string_view value) {
    if (!sound(name, value)) return false;
    const auto before = find(name);
    const auto freed = before.empty() ? 0 : lengths + name.size() + before.size();
    if (bytes() - freed + lengths + name.size() + value.size() > most_bytes) return false;
    auto made = std::make_unique<std::string>();
    made->reserve(bytes() + lengths + name.size() + value.size());
    const auto append = [&](std::string_view each, std::string_view of) {
        *made += static_cast<char>(each.size());
        *made += static_cast<char>(of.size() & 0xFFU);
        *made += static_cast<char>(of.size() >> 8U);
        made->append(each).append(of);
    };
    each([&](std::string_view other, std::string_view of) {
        if (other != name) append(other, of);
    });
    append(name, value);
    encoded_ = std::move(made);
    return true;
}

void event_headers::erase(std::string_view name) {
    event_headers left;
    each([&](std::string_view other, std::string_view of) {
        if (other != name) left.set(other, of);
    });
    *this = std::move(left);
}

std::string_view event_headers::find(std::string_view name) const noexcept { return find_in(encoded(), name); }

std::string_view event_headers::find_in(std::string_view encoded, std::string_view name) noexcept {
    for (auto rest = encoded; !rest.empty();)
        if (const auto [found, value] = take(rest); found == name) return value;
    return {};
}

bool event_headers::is_encoding(std::string_view bytes) noexcept {
    if (bytes.empty() || bytes.size() > most_bytes) return false;
    for (auto rest = bytes; !rest.empty();) {
        const auto at = [rest](std::size_t place) { return std::size_t{static_cast<unsigned char>(rest[place])}; };
        if (rest.size() < lengths || rest.size() < lengths + at(0) + at(1) + (at(2) << 8U)) return false;
        const auto before = bytes.substr(0, bytes.size() - rest.size());
        const auto [name, value] = take(rest);
        if (!sound(name, value) || !find_in(before, name).empty()) return false;
    }
    return true;
}

std::optional<event_headers> event_headers::decode(std::string_view bytes) {
    if (!is_encoding(bytes)) return std::nullopt;
    event_headers made;
    made.encoded_ = std::make_unique<std::string>(bytes);
    return made;
}

}  // namespace tracker
