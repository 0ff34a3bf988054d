// Headers of the PROXY protocol as their senders write them, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace proxy_headers {

inline constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);

enum : unsigned char { local = 0x20, proxy = 0x21 };
enum : unsigned char { unspecified = 0x00, tcp4 = 0x11, udp4 = 0x12, tcp6 = 0x21, unix_stream = 0x31 };

/// Version 2; `length` is that of `block`, unless another is given.
inline std::string v2(unsigned char command, unsigned char family, std::string_view block,
                      std::size_t length = SIZE_MAX) {
    if (length == SIZE_MAX) length = block.size();
    std::string made(signature);
    made += static_cast<char>(command);
    made += static_cast<char>(family);
    made += static_cast<char>(length >> 8);
    made += static_cast<char>(length & 0xff);
    return made.append(block);
}

inline std::string tlv(unsigned char type, std::string_view value) {
    std::string made(1, static_cast<char>(type));
    made += static_cast<char>(value.size() >> 8);
    made += static_cast<char>(value.size() & 0xff);
    return made.append(value);
}

/// 192.0.2.1:258 to 198.51.100.2:80.
inline const std::string addresses4("\xc0\0\2\1\xc6\x33\x64\2\1\2\0\x50", 12);
/// [2001:db8::1]:258 to [2001:db8::2]:80.
inline const std::string addresses6(
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\1\2\0\x50", 36);

/// The same bytes with their checksum in `header`, where it has a TLV for it that is zero.
inline std::string with_crc32c(std::string header, std::size_t at) {
    std::uint32_t crc = 0xffff'ffff;
    for (const char byte : header) {  // RFC 3720 appendix B.4, bit by bit
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f6'3b78 : crc >> 1;
    }
    for (unsigned nth = 0; nth < 4; ++nth) header[at + nth] = static_cast<char>(~crc >> (24 - 8 * nth));
    return header;
}

}  // namespace proxy_headers
