#include "server/websocket/utf8.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace server::websocket {
namespace {

/// Beyond ASCII, as long as it is looked at in whole blocks: up to the one that has another byte, or is the end's.
const char* skip_ascii(const char* at, const char* end) noexcept {
#ifdef __SSE2__
    while (end - at >= 16 && _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))) == 0) at += 16;
#else
    for (std::uint64_t block = 0; end - at >= 8; at += sizeof block) {
        std::memcpy(&block, at, sizeof block);
        if ((block & 0x8080808080808080U) != 0) break;
    }
#endif
    return at;
}

}  // namespace

bool utf8_check::add(std::string_view piece) noexcept {
    const char* at = piece.data();
    const char* const end = at + piece.size();
    while (at != end) {
        if (missing_ == 0) at = skip_ascii(at, end);
        if (at == end) break;
        const auto byte = static_cast<unsigned char>(*at++);
        if (missing_ > 0) {
            if (byte < least_ || byte > most_) return false;
            --missing_;
            least_ = 0x80;
            most_ = 0xbf;
            continue;
        }
        if (byte < 0x80) continue;
        if (byte < 0xc2 || byte > 0xf4) return false;
        missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        // RFC 3629 section 4: what is shorter in another form, surrogates, and what is beyond U+10FFFF.
        least_ = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
        most_ = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    }
    return true;
}

}  // namespace server::websocket
