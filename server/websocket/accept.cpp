#include "server/websocket/accept.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace server::websocket {
namespace {

using state = std::array<std::uint32_t, 5>;

/// RFC 3174 section 6.1.
void add_block(state& sum, const char* block) {
    std::array<std::uint32_t, 80> words;
    for (std::size_t nth = 0; nth < 16; ++nth)
        words[nth] = std::uint32_t{static_cast<unsigned char>(block[4 * nth])} << 24U |
                     std::uint32_t{static_cast<unsigned char>(block[4 * nth + 1])} << 16U |
                     std::uint32_t{static_cast<unsigned char>(block[4 * nth + 2])} << 8U |
                     std::uint32_t{static_cast<unsigned char>(block[4 * nth + 3])};
    for (std::size_t nth = 16; nth < 80; ++nth)
        words[nth] = std::rotl(words[nth - 3] ^ words[nth - 8] ^ words[nth - 14] ^ words[nth - 16], 1);
    auto [a, b, c, d, e] = sum;
    for (std::size_t nth = 0; nth < 80; ++nth) {
        const auto mixed = nth < 20   ? ((b & c) | (~b & d)) + 0x5a827999U
                           : nth < 40 ? (b ^ c ^ d) + 0x6ed9eba1U
                           : nth < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcU
                                      : (b ^ c ^ d) + 0xca62c1d6U;
        const auto next = std::rotl(a, 5) + mixed + e + words[nth];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    sum = {sum[0] + a, sum[1] + b, sum[2] + c, sum[3] + d, sum[4] + e};
}

std::array<char, 20> sha1(std::string text) {
    const std::uint64_t bits = text.size() * 8;
    text += '\x80';
    while (text.size() % 64 != 56) text += '\0';
    for (int shift = 56; shift >= 0; shift -= 8) text += static_cast<char>(bits >> shift & 0xffU);
    state sum{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
    for (std::size_t at = 0; at < text.size(); at += 64) add_block(sum, text.data() + at);
    std::array<char, 20> digest;
    for (std::size_t nth = 0; nth < digest.size(); ++nth)
        digest[nth] = static_cast<char>(sum[nth / 4] >> (24 - 8 * (nth % 4)) & 0xffU);
    return digest;
}

/// RFC 4648 section 4.
std::string base64(std::string_view bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 3))) {
        std::uint32_t three = 0;
        for (std::size_t nth = 0; nth < 3; ++nth)
            three = three << 8U | (nth < bytes.size() ? static_cast<unsigned char>(bytes[nth]) : 0U);
        for (std::size_t nth = 0; nth < 4; ++nth)
            text += nth <= bytes.size() ? letters[three >> (18 - 6 * nth) & 0x3fU] : '=';
    }
    return text;
}

}  // namespace

std::string accept_for(std::string_view key) {
    const auto digest = sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    return base64(std::string_view(digest.data(), digest.size()));
}

}  // namespace server::websocket
