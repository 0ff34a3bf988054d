#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace server::websocket {

/// RFC 6455 section 11.8.
enum class opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Why a connection ends (RFC 6455 section 7.4), and those that a server sends.
enum close_code : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    no_status = 1005,  ///< never sent: the peer has given no code
    lost = 1006,       ///< never sent: it went without a Close
    not_utf8 = 1007,
    too_large = 1009,
    internal_error = 1011,
    try_again_later = 1013
};

/// Codes that may stand in a Close (RFC 6455 section 7.4.2, and the registry of IANA).
constexpr bool may_be_sent(unsigned code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

constexpr std::size_t largest_control = 125;  ///< payload of a control frame (RFC 6455 section 5.5)
constexpr std::size_t largest_head = 10;      ///< of a frame of ours: a server does not mask

/// Writes the head of a frame of `size` bytes to `into`, which has room for `largest_head`; returns how many it took.
std::size_t put_head(char* into, opcode kind, std::size_t size, bool compressed = false) noexcept;

/// A whole frame, FIN set: messages of ours are never in fragments, so that nothing can come between these.
void append_frame(std::string& out, opcode kind, std::string_view payload, bool compressed = false);

/// `reason` is UTF-8, and cut to what fits into a control frame.
void append_close(std::string& out, std::uint16_t code, std::string_view reason = {});

}  // namespace server::websocket
