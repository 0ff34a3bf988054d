#include "server/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace server {
namespace {

using state = std::array<std::uint32_t, 8>;

/// FIPS 180-4 section 4.2.2.
alignas(16) constexpr std::array<std::uint32_t, 64> constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t word_at(const char* bytes) noexcept {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
}

/// Section 6.2.2.
void add_blocks_portably(state& sum, const char* bytes, std::size_t blocks) noexcept {
    for (; blocks > 0; --blocks, bytes += 64) {
        std::array<std::uint32_t, 64> words;
        for (std::size_t nth = 0; nth < 16; ++nth) words[nth] = word_at(bytes + 4 * nth);
        for (std::size_t nth = 16; nth < 64; ++nth) {
            const auto old = words[nth - 15], late = words[nth - 2];
            words[nth] = words[nth - 16] + (std::rotr(old, 7) ^ std::rotr(old, 18) ^ old >> 3) + words[nth - 7] +
                         (std::rotr(late, 17) ^ std::rotr(late, 19) ^ late >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = sum;
        for (std::size_t nth = 0; nth < 64; ++nth) {
            const auto first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) +
                               constants[nth] + words[nth];
            const auto second = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + first;
            d = c;
            c = b;
            b = a;
            a = first + second;
        }
        const state made{a, b, c, d, e, f, g, h};
        for (std::size_t nth = 0; nth < sum.size(); ++nth) sum[nth] += made[nth];
    }
}

#ifdef __x86_64__

/// Two rounds an instruction, four words of the schedule at a time (Intel's SHA extensions).
__attribute__((target("sha,sse4.1"))) void add_blocks_fast(state& sum, const char* bytes, std::size_t blocks) noexcept {
    const auto swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    const auto* const from = reinterpret_cast<const __m128i*>(sum.data());
    auto low = _mm_shuffle_epi32(_mm_loadu_si128(from), 0xb1);       // b a d c
    auto high = _mm_shuffle_epi32(_mm_loadu_si128(from + 1), 0x1b);  // h g f e
    auto abef = _mm_alignr_epi8(low, high, 8);
    auto cdgh = _mm_blend_epi16(high, low, 0xf0);
    for (; blocks > 0; --blocks, bytes += 64) {
        const auto abef_before = abef, cdgh_before = cdgh;
        __m128i words[4];
        for (int nth = 0; nth < 4; ++nth)
            words[nth] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + nth), swap);
#pragma GCC unroll 16
        for (int four = 0; four < 16; ++four) {
            auto& now = words[four % 4];
            if (four >= 4) {
                const auto &last = words[(four + 3) % 4], &before = words[(four + 2) % 4],
                           &next = words[(four + 1) % 4];
                now = _mm_sha256msg1_epu32(now, next);
                now = _mm_add_epi32(now, _mm_alignr_epi8(last, before, 4));
                now = _mm_sha256msg2_epu32(now, last);
            }
            const auto* const of_round = reinterpret_cast<const __m128i*>(constants.data()) + four;
            auto added = _mm_add_epi32(now, _mm_load_si128(of_round));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
            added = _mm_shuffle_epi32(added, 0x0e);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, added);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1b);   // f e b a → a b e f
    high = _mm_shuffle_epi32(cdgh, 0xb1);  // → g h c d
    auto* const to = reinterpret_cast<__m128i*>(sum.data());
    _mm_storeu_si128(to, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128(to + 1, _mm_alignr_epi8(high, low, 8));
}

bool has_instructions() noexcept {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned sha = 1U << 29U;  // leaf 7, EBX
    return __builtin_cpu_supports("sse4.1") != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

#else

constexpr auto add_blocks_fast = add_blocks_portably;
constexpr bool has_instructions() noexcept { return false; }

#endif

}  // namespace

bool sha256::is_fast() noexcept {
    static const bool has = has_instructions();
    return has;
}

sha256::sha256() noexcept
    : state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      add_blocks_(is_fast() ? add_blocks_fast : add_blocks_portably) {}

void sha256::be_portable() noexcept { add_blocks_ = add_blocks_portably; }

void sha256::add(std::span<const char> piece) noexcept {
    const auto had = static_cast<std::size_t>(size_ % block);
    size_ += piece.size();
    if (had > 0) {
        const auto count = std::min(block - had, piece.size());
        std::copy_n(piece.begin(), count, rest_.begin() + static_cast<std::ptrdiff_t>(had));
        piece = piece.subspan(count);
        if (had + count < block) return;
        add_blocks_(state_, rest_.data(), 1);
    }
    add_blocks_(state_, piece.data(), piece.size() / block);
    const auto left = piece.last(piece.size() % block);
    std::ranges::copy(left, rest_.begin());
}

std::string sha256::hex() {
    const std::uint64_t bits = size_ * 8;
    std::array<char, 8> length;
    for (std::size_t nth = 0; nth < length.size(); ++nth)
        length[nth] = static_cast<char>(bits >> (56 - 8 * nth) & 0xffU);
    constexpr std::array<char, block> padding{'\x80'};
    const auto zeros = (block + 55 - size_ % block) % block;
    add(std::span(padding).first(zeros + 1));
    add(length);
    std::string text;
    for (const auto word : state_)
        for (int shift = 28; shift >= 0; shift -= 4) text += std::string_view("0123456789abcdef")[word >> shift & 0xfU];
    return text;
}

}  // namespace server
