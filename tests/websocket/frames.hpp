// Frames as a client sends them, and what a server's bytes are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace frames {

constexpr unsigned fin = 0x80, rsv1 = 0x40;

/// A masked frame; `first` is its first byte.
inline std::string masked(unsigned first, std::string_view payload, std::string_view key = "\x01\x02\x03\x04") {
    std::string made(1, static_cast<char>(first));
    const auto put = [&](unsigned code, int bytes) {
        made += static_cast<char>(0x80U | code);
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
            made += static_cast<char>(std::uint64_t{payload.size()} >> shift & 0xffU);
    };
    if (payload.size() < 126)
        put(static_cast<unsigned>(payload.size()), 0);
    else if (payload.size() <= 0xffff)
        put(126, 2);
    else
        put(127, 8);
    made += key;
    for (std::size_t nth = 0; nth < payload.size(); ++nth) made += static_cast<char>(payload[nth] ^ key[nth % 4]);
    return made;
}
inline std::string text(std::string_view payload) { return masked(fin | 1, payload); }
inline std::string binary(std::string_view payload) { return masked(fin | 2, payload); }
inline std::string ping(std::string_view payload = {}) { return masked(fin | 9, payload); }
inline std::string pong(std::string_view payload = {}) { return masked(fin | 10, payload); }
inline std::string close(unsigned code, std::string_view reason = {}) {
    std::string payload{static_cast<char>(code >> 8U), static_cast<char>(code & 0xffU)};
    return masked(fin | 8, payload.append(reason));
}

/// A frame of the server.
struct frame {
    unsigned first = 0;
    std::string payload;
    unsigned kind() const { return first & 0x0fU; }
    unsigned code() const {
        if (payload.size() < 2) return 1005;
        return static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8U |
               static_cast<unsigned char>(payload[1]);
    }
};

/// All of them; what is no frame, or masked, ends in one whose first byte is 0.
inline std::vector<frame> parse(std::string_view bytes) {
    std::vector<frame> all;
    while (!bytes.empty()) {
        const auto at = [&](std::size_t nth) {
            return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[nth]));
        };
        std::uint64_t size = bytes.size() < 2 ? 128 : at(1);
        std::size_t head = 2;
        if (size == 126 || size == 127) {
            const std::size_t end = size == 126 ? 4 : 10;
            for (size = 0; head < end && head < bytes.size(); ++head) size = size << 8U | at(head);
        }
        if (bytes.size() < head || size > bytes.size() - head || (at(1) & 0x80U) != 0) return all.push_back({}), all;
        all.push_back({.first = static_cast<unsigned>(at(0)), .payload = std::string(bytes.substr(head, size))});
        bytes.remove_prefix(head + static_cast<std::size_t>(size));
    }
    return all;
}

}  // namespace frames
