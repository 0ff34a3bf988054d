#include "server/websocket/frame.hpp"

#include <array>

namespace server::websocket {

std::size_t put_head(char* into, opcode kind, std::size_t size, bool compressed) noexcept {
    constexpr unsigned fin = 0x80, rsv1 = 0x40;
    into[0] = static_cast<char>(fin | (compressed ? rsv1 : 0U) | static_cast<unsigned>(kind));
    const auto put = [&](char first, unsigned bytes) -> std::size_t {
        into[1] = first;
        for (unsigned nth = 0; nth < bytes; ++nth)
            into[2 + nth] = static_cast<char>(std::uint64_t{size} >> (8 * (bytes - 1 - nth)) & 0xffU);
        return 2 + bytes;
    };
    if (size <= largest_control) return put(static_cast<char>(size), 0);
    return size <= 0xffff ? put(126, 2) : put(127, 8);
}

void append_frame(std::string& out, opcode kind, std::string_view payload, bool compressed) {
    std::array<char, largest_head> head;
    const auto size = put_head(head.data(), kind, payload.size(), compressed);
    out.append(head.data(), size).append(payload);
}

/// The last character that fits whole: what is cut must stay UTF-8.
static std::string_view cut(std::string_view text, std::size_t most) {
    if (text.size() <= most) return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
    return text.substr(0, most);
}

void append_close(std::string& out, std::uint16_t code, std::string_view reason) {
    reason = cut(reason, largest_control - 2);
    std::array<char, largest_head> head;
    const auto size = put_head(head.data(), opcode::close, code == no_status ? 0 : 2 + reason.size());
    out.append(head.data(), size);
    if (code == no_status) return;
    out += static_cast<char>(code >> 8U);
    out += static_cast<char>(code & 0xffU);
    out += reason;
}

}  // namespace server::websocket
