#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace server {

/// The kinds of bytes that the grammar of a head (RFC 9112) is made of. No kind holds CR, with which its lines end.
enum class byte_kind : std::uint8_t {
    token = 1,   ///< of a method or the name of a field: RFC 9110 section 5.6.2
    target = 2,  ///< what can be looked at as a target: neither a control nor a space; see target.hpp
    text = 4,    ///< of a field's value: anything but controls; a tab does not count as one
    plain = 8,   ///< ASCII that a line of a log, or of JSON, shows as it is
    host = 16,   ///< of most hosts: a letter, a digit, '-', '.' or '_'
    path = 32    ///< of most paths: a letter, a digit, '-', '_' or '/', none of which is decoded
};

namespace scan {

inline constexpr auto kinds = [] {
    std::array<std::uint8_t, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte) {
        const bool control = byte < ' ' || byte == 127;
        if (!control && byte != ' ') table[byte] |= static_cast<std::uint8_t>(byte_kind::target);
        if (!control || byte == '\t') table[byte] |= static_cast<std::uint8_t>(byte_kind::text);
        if (!control && byte < 127 && byte != '"' && byte != '\\')
            table[byte] |= static_cast<std::uint8_t>(byte_kind::plain);
    }
    const auto add = [&](byte_kind kind, std::string_view bytes) {
        for (const char c : bytes) table[static_cast<unsigned char>(c)] |= static_cast<std::uint8_t>(kind);
    };
    for (const auto kind : {byte_kind::token, byte_kind::host, byte_kind::path})
        add(kind, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    add(byte_kind::token, "!#$%&'*+-.^_`|~");
    add(byte_kind::host, "-._");
    add(byte_kind::path, "-_/");
    return table;
}();

template <byte_kind Kind>
constexpr bool is(char byte) noexcept {
    return (kinds[static_cast<unsigned char>(byte)] & static_cast<std::uint8_t>(Kind)) != 0;
}

/// Finds where a run of bytes of one kind ends, a byte at a time: what every machine can, and what tests hold `wide`
/// against. `at` to `end` is what is looked at; nothing else of the buffer, which begins at `begin`, is read.
struct bytewise {
    template <byte_kind Kind>
    static const char* end_of(const char* /*begin*/, const char* at, const char* end) noexcept {
        while (at != end && is<Kind>(*at)) ++at;
        return at;
    }
    /// Whether all of `text` is of that kind.
    template <byte_kind Kind>
    static bool is_all(std::string_view text) noexcept {
        const char* const end = text.data() + text.size();
        return end_of<Kind>(text.data(), text.data(), end) == end;
    }
    /// Whether the bytes at `at` are those of `text`, in a time that depends on its size alone.
    static bool are_same(const char* at, std::string_view text) noexcept {
        unsigned different = 0;
        for (std::size_t nth = 0; nth < text.size(); ++nth)
            different |= static_cast<unsigned char>(at[nth]) ^ static_cast<unsigned char>(text[nth]);
        return different == 0;
    }
};

#if defined(__SSE2__)

/// The same, 16 bytes at a time by SSE2, which each x86-64 has. Reads between `begin` and `end`, also what stands
/// before `at`, and nothing beyond either.
struct wide {
    template <byte_kind Kind>
    [[gnu::always_inline]] static const char* end_of(const char* begin, const char* at, const char* end) noexcept {
        const char* found = first_stop<Kind>(begin, at, end);
        if constexpr (Kind == byte_kind::token)  // `stops` knows the usual ones alone
            while (found != end && is<Kind>(*found)) found = first_stop<Kind>(begin, found + 1, end);
        return found;
    }
    /// Reads nothing beside `text`: where that is no multiple of 16, some of its bytes are looked at twice.
    template <byte_kind Kind>
    static bool is_all(std::string_view text) noexcept {
        static_assert(Kind != byte_kind::token, "`stops` knows the usual ones alone");
        const char* at = text.data();
        const char* const end = at + text.size();
        if (end - at < width / 4) return bytewise::is_all<Kind>(text);
        if (end - at < width / 2) return stops<Kind>(twice(_mm_unpacklo_epi32(load_4(at), load_4(end - 4)))) == 0;
        if (end - at < width) return stops<Kind>(_mm_unpacklo_epi64(load_8(at), load_8(end - 8))) == 0;
        for (; end - at > width; at += width)
            if (stops<Kind>(load(at)) != 0) return false;
        return stops<Kind>(load(end - width)) == 0;
    }
    static bool are_same(const char* at, std::string_view text) noexcept {
        const char* other = text.data();
        const char* const end = other + text.size();
        if (end - other < width) return bytewise::are_same(at, text);
        auto different = _mm_xor_si128(load(at + text.size() - width), load(end - width));
        for (; end - other > width; at += width, other += width)
            different = _mm_or_si128(different, _mm_xor_si128(load(at), load(other)));
        return _mm_movemask_epi8(_mm_cmpeq_epi8(different, _mm_setzero_si128())) == 0xffff;
    }

private:
    static constexpr std::ptrdiff_t width = 16;

    static __m128i load(const char* from) noexcept { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
    static __m128i load_8(const char* from) noexcept { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)); }
    static __m128i load_4(const char* from) noexcept {
        int word = 0;
        std::memcpy(&word, from, sizeof word);
        return _mm_cvtsi32_si128(word);
    }
    static __m128i twice(__m128i lower_half) noexcept { return _mm_unpacklo_epi64(lower_half, lower_half); }
    static __m128i each(char byte) noexcept { return _mm_set1_epi8(byte); }
    static __m128i at_most(__m128i bytes, char most) noexcept {
        return _mm_cmpeq_epi8(_mm_min_epu8(bytes, each(most)), bytes);
    }

    /// A bit for each byte that is not of the kind; for tokens, for each that is neither a letter nor '-'.
    template <byte_kind Kind>
    static unsigned stops(__m128i bytes) noexcept {
        if constexpr (Kind == byte_kind::token) {
            const auto lower = _mm_or_si128(bytes, each(' '));
            const auto letter = at_most(_mm_sub_epi8(lower, each('a')), 'z' - 'a');
            const auto usual = _mm_or_si128(letter, _mm_cmpeq_epi8(bytes, each('-')));
            return static_cast<unsigned>(_mm_movemask_epi8(usual)) ^ 0xffffU;
        } else if constexpr (Kind == byte_kind::host || Kind == byte_kind::path) {
            const auto letter = at_most(_mm_sub_epi8(_mm_or_si128(bytes, each(' ')), each('a')), 'z' - 'a');
            const auto digit = at_most(_mm_sub_epi8(bytes, each('0')), '9' - '0');
            const auto joint = _mm_or_si128(_mm_cmpeq_epi8(bytes, each('-')), _mm_cmpeq_epi8(bytes, each('_')));
            const auto parts = _mm_cmpeq_epi8(bytes, each(Kind == byte_kind::host ? '.' : '/'));
            const auto all = _mm_or_si128(_mm_or_si128(letter, digit), _mm_or_si128(joint, parts));
            return static_cast<unsigned>(_mm_movemask_epi8(all)) ^ 0xffffU;
        } else if constexpr (Kind == byte_kind::plain) {
            const auto shown = at_most(_mm_sub_epi8(bytes, each(' ')), '~' - ' ');
            const auto quoted = _mm_or_si128(_mm_cmpeq_epi8(bytes, each('"')), _mm_cmpeq_epi8(bytes, each('\\')));
            return static_cast<unsigned>(_mm_movemask_epi8(_mm_andnot_si128(quoted, shown))) ^ 0xffffU;
        } else {
            const auto del = _mm_cmpeq_epi8(bytes, each(127));
            if constexpr (Kind == byte_kind::target)
                return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(at_most(bytes, ' '), del)));
            const auto tab = _mm_cmpeq_epi8(bytes, each('\t'));
            const auto control = _mm_andnot_si128(tab, at_most(bytes, ' ' - 1));
            return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(control, del)));
        }
    }

    template <byte_kind Kind>
    [[gnu::always_inline]] static const char* first_stop(const char* begin, const char* at, const char* end) noexcept {
        for (; end - at >= width; at += width)
            if (const auto found = stops<Kind>(load(at)); found != 0) return at + std::countr_zero(found);
        if (end - begin < width) return bytewise::end_of<Kind>(begin, at, end);
        // Fewer than 16 are left: the last 16 of the buffer, without those that stand before `at`.
        const auto found = stops<Kind>(load(end - width)) >> (width - (end - at));
        return found != 0 ? at + std::countr_zero(found) : end;
    }
};

#else
using wide = bytewise;
#endif

}  // namespace scan
}  // namespace server
