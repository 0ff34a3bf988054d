#include "cmd/service/telemetry/wire.hpp"

#include <algorithm>

namespace telemetry {

std::string_view sound_text(std::string_view text, std::string& room, std::size_t longest) {
    const auto plain = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (text.size() <= longest && (std::ranges::all_of(text, plain) || tracker::is_utf8(text))) return text;
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
