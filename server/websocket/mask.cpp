#include "server/websocket/mask.hpp"

#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace server::websocket {

void unmask(std::span<char> bytes, const masking_key& key, std::size_t offset) noexcept {
    std::array<char, 3 * std::tuple_size_v<masking_key>> repeated;
    for (std::size_t nth = 0; nth < repeated.size(); nth += key.size())
        std::memcpy(repeated.data() + nth, key.data(), key.size());
    std::array<char, 8> turned;  // the key as it stands at the first of these bytes, twice
    std::memcpy(turned.data(), repeated.data() + offset % key.size(), turned.size());
    char* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t word = 0;
    std::memcpy(&word, turned.data(), sizeof word);
#ifdef __SSE2__
    const auto sixteen = _mm_set1_epi64x(static_cast<long long>(word));
    for (; left >= 16; left -= 16, at += 16) {
        auto* const place = reinterpret_cast<__m128i*>(at);
        _mm_storeu_si128(place, _mm_xor_si128(_mm_loadu_si128(place), sixteen));
    }
#endif
    for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        std::uint64_t some = 0;
        std::memcpy(&some, at, sizeof some);
        some ^= word;
        std::memcpy(at, &some, sizeof some);
    }
    for (std::size_t nth = 0; nth < left; ++nth) at[nth] = static_cast<char>(at[nth] ^ turned[nth]);
}

}  // namespace server::websocket
