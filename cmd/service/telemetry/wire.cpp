#include "cmd/service/telemetry/wire.hpp"

#include <algorithm>

namespace telemetry {
namespace {

/// Eight bytes at a time: it is asked of a field of each request.
bool is_ascii(std::string_view text) noexcept {
    std::uint64_t seen = 0;
    for (; text.size() >= sizeof seen; text.remove_prefix(sizeof seen)) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data(), sizeof word);
        seen |= word;
    }
    for (const char c : text) seen |= static_cast<unsigned char>(c);
    return (seen & 0x8080'8080'8080'8080) == 0;
}

}  // namespace

std::string_view sound_text(std::string_view text, std::string& room, std::size_t longest) {
    if (text.size() <= longest && (is_ascii(text) || tracker::is_utf8(text))) return text;
    room.clear();
    while (!text.empty()) {
        const auto length = tracker::utf8_length(text);
        const auto next = length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
        if (room.size() + next.size() > longest) break;
        room += next;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return room;
}

}  // namespace telemetry
