#pragma once

#include <array>
#include <boost/beast/http/field.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace server {

/// `http::string_to_field`, upper or lower case, for a `name` that is a token (see head.hpp); quicker for what
/// browsers, proxies and monitors send.
boost::beast::http::field known_field(std::string_view name) noexcept;

/// What is in nearly every request, in a table in which each name has a slot of its own.
namespace usual_names {

struct entry {
    std::array<char, 32> name{};  ///< in lower case: letters and '-' alone, at least four; then NULs
    std::uint8_t size = 0;
    boost::beast::http::field known{};
};

inline constexpr std::size_t slots = 256, shortest = 4;
extern const std::uint32_t factor;
extern const std::array<std::uint8_t, slots> nth;  ///< of `all`; the first of that is none
extern const std::array<entry, 51> all;

/// Four bytes, letters in lower case. Only a letter or '-' becomes one by this, of all that a token may hold: where
/// what it is compared with is made of those, equal means the same but for the case.
constexpr std::uint32_t four_lower(const char* from) noexcept {
    std::uint32_t word = 0;
    if (std::is_constant_evaluated()) {
        for (unsigned byte = 0; byte < 4; ++byte)
            word |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[byte])) << (8 * byte);
    } else {
        std::memcpy(&word, from, 4);
    }
    return word | 0x20202020U;
}

constexpr std::size_t slot_of(std::string_view name, std::uint32_t by) noexcept {
    const auto size = static_cast<std::uint32_t>(name.size());
    return ((four_lower(name.data()) + four_lower(name.data() + size - 4) * 31U + size) * by) >> 24;
}

#if defined(__SSE2__)
/// A bit for each of 16 bytes that differs by more than its case; see `four_lower`.
inline unsigned differ(const char* name, const char* usual) noexcept {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(name));
    const auto expected = _mm_loadu_si128(reinterpret_cast<const __m128i*>(usual));
    const auto same = _mm_cmpeq_epi8(_mm_or_si128(bytes, _mm_set1_epi8(' ')), expected);
    return static_cast<unsigned>(_mm_movemask_epi8(same)) ^ 0xffffU;
}
#endif

}  // namespace usual_names

/// The same for a name in a buffer that can be read up to `end`, at least to that of the name.
[[gnu::always_inline]] inline boost::beast::http::field known_field(std::string_view name,
                                                                    [[maybe_unused]] const char* end) noexcept {
#if defined(__SSE2__)
    constexpr std::size_t width = 16;
    const auto size = name.size();
    if (size >= usual_names::shortest && end - name.data() >= static_cast<std::ptrdiff_t>(width)) {
        const auto& usual = usual_names::all[usual_names::nth[usual_names::slot_of(name, usual_names::factor)]];
        if (size == usual.size) {
            const auto first = usual_names::differ(name.data(), usual.name.data());
            const bool same =
                size <= width
                    ? (first & ((1U << size) - 1)) == 0
                    : (first | usual_names::differ(name.data() + size - width, usual.name.data() + size - width)) == 0;
            if (same) return usual.known;
        }
    }
#endif
    return known_field(name);
}

}  // namespace server
