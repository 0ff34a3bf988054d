#include "server/field_names.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>  // Beast's string view uses and does not include it
#include <stdexcept>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace server {
namespace {

using boost::beast::http::field;

struct usual_name {
    std::string_view name;  ///< in lower case: letters and '-' alone, at least four
    field known = field::unknown;
};

/// What is in nearly every request, in any order. `unknown` is what Beast's table does not have: looked for in vain
/// each time otherwise.
constexpr std::array usual_names{
    usual_name{.name = "host", .known = field::host},
    usual_name{.name = "user-agent", .known = field::user_agent},
    usual_name{.name = "accept", .known = field::accept},
    usual_name{.name = "accept-charset", .known = field::accept_charset},
    usual_name{.name = "accept-encoding", .known = field::accept_encoding},
    usual_name{.name = "accept-language", .known = field::accept_language},
    usual_name{.name = "authorization", .known = field::authorization},
    usual_name{.name = "cache-control", .known = field::cache_control},
    usual_name{.name = "connection", .known = field::connection},
    usual_name{.name = "content-encoding", .known = field::content_encoding},
    usual_name{.name = "content-length", .known = field::content_length},
    usual_name{.name = "content-type", .known = field::content_type},
    usual_name{.name = "cookie", .known = field::cookie},
    usual_name{.name = "date", .known = field::date},
    usual_name{.name = "expect", .known = field::expect},
    usual_name{.name = "forwarded", .known = field::forwarded},
    usual_name{.name = "from", .known = field::from},
    usual_name{.name = "if-match", .known = field::if_match},
    usual_name{.name = "if-modified-since", .known = field::if_modified_since},
    usual_name{.name = "if-none-match", .known = field::if_none_match},
    usual_name{.name = "keep-alive", .known = field::keep_alive},
    usual_name{.name = "origin", .known = field::origin},
    usual_name{.name = "pragma", .known = field::pragma},
    usual_name{.name = "proxy-connection", .known = field::proxy_connection},
    usual_name{.name = "range", .known = field::range},
    usual_name{.name = "referer", .known = field::referer},
    usual_name{.name = "transfer-encoding", .known = field::transfer_encoding},
    usual_name{.name = "upgrade", .known = field::upgrade},
    usual_name{.name = "idempotency-key"},
    usual_name{.name = "priority", .known = field::priority},
    usual_name{.name = "purpose"},
    usual_name{.name = "sec-ch-ua"},
    usual_name{.name = "sec-ch-ua-mobile"},
    usual_name{.name = "sec-ch-ua-platform"},
    usual_name{.name = "sec-fetch-dest", .known = field::sec_fetch_dest},
    usual_name{.name = "sec-fetch-mode", .known = field::sec_fetch_mode},
    usual_name{.name = "sec-fetch-site", .known = field::sec_fetch_site},
    usual_name{.name = "sec-fetch-user", .known = field::sec_fetch_user},
    usual_name{.name = "sec-gpc"},
    usual_name{.name = "traceparent"},
    usual_name{.name = "tracestate"},
    usual_name{.name = "upgrade-insecure-requests"},
    usual_name{.name = "x-forwarded-for"},
    usual_name{.name = "x-forwarded-host"},
    usual_name{.name = "x-forwarded-port"},
    usual_name{.name = "x-forwarded-proto"},
    usual_name{.name = "x-real-ip"},
    usual_name{.name = "x-request-id"},
    usual_name{.name = "x-request-timeout"},
    usual_name{.name = "x-requested-with"},
};

constexpr std::size_t slots = 256;
constexpr unsigned shift = 24;
constexpr std::size_t shortest = 4;

/// Four bytes, letters in lower case. Only a letter or '-' becomes one by this, of all that a token may hold: where
/// what it is compared with is made of those, equal means the same but for the case.
constexpr std::uint32_t four_lower(const char* from) noexcept {
    std::uint32_t word = 0;
    if (std::is_constant_evaluated()) {
        for (unsigned nth = 0; nth < 4; ++nth)
            word |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[nth])) << (8 * nth);
    } else {
        std::memcpy(&word, from, 4);
    }
    return word | 0x20202020U;
}

constexpr std::size_t slot_of(std::string_view name, std::uint32_t factor) noexcept {
    const auto size = static_cast<std::uint32_t>(name.size());
    return ((four_lower(name.data()) + four_lower(name.data() + size - 4) * 31U + size) * factor) >> shift;
}

struct perfect_table {
    std::uint32_t factor = 0;
    std::array<std::uint8_t, slots> nth{};  ///< of `usual_names`, from 1; 0: none
};

constexpr bool try_factor(std::uint32_t factor, perfect_table& into) {
    into = {.factor = factor, .nth = {}};
    for (std::size_t at = 0; at < usual_names.size(); ++at) {
        auto& slot = into.nth[slot_of(usual_names[at].name, factor)];
        if (slot != 0) return false;
        slot = static_cast<std::uint8_t>(at + 1);
    }
    return true;
}

/// The first factor by which no two of the names share a slot; found by the compiler.
constexpr perfect_table table = [] {
    perfect_table made;
    std::uint32_t factor = 0x9e3779b1U;  // odd, and its bits are spread: any such number is a start
    for (int tries = 0; tries < 20'000; ++tries, factor += 0x3c6ef372U)
        if (try_factor(factor, made)) return made;
    throw std::logic_error("two names share a slot by every factor");
}();

#if defined(__SSE2__)

constexpr std::size_t width = 16;

/// Each name where 16 bytes can be read from its beginning, and up to its end.
constexpr std::size_t longest = 2 * width;
constexpr auto padded_names = [] {
    std::array<std::array<char, longest>, usual_names.size()> made{};
    for (std::size_t nth = 0; nth < usual_names.size(); ++nth)
        for (std::size_t at = 0; at < usual_names[nth].name.size(); ++at) made[nth][at] = usual_names[nth].name[at];
    return made;
}();

/// A bit for each of 16 bytes that differs by more than its case; see `four_lower`.
unsigned differ(const char* name, const char* usual) noexcept {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(name));
    const auto expected = _mm_loadu_si128(reinterpret_cast<const __m128i*>(usual));
    const auto same = _mm_cmpeq_epi8(_mm_or_si128(bytes, _mm_set1_epi8(' ')), expected);
    return static_cast<unsigned>(_mm_movemask_epi8(same)) ^ 0xffffU;
}

#endif

/// The same but for the case, four bytes at a time, the last four once more where they overlap.
bool same_as_usual(std::string_view name, std::string_view usual) noexcept {
    if (name.size() != usual.size()) return false;
    const auto last = name.size() - 4;
    for (std::size_t at = 0; at < last; at += 4)
        if (four_lower(name.data() + at) != four_lower(usual.data() + at)) return false;
    return four_lower(name.data() + last) == four_lower(usual.data() + last);
}

}  // namespace

field known_field(std::string_view name, [[maybe_unused]] const char* end) noexcept {
#if defined(__SSE2__)
    const auto size = name.size();
    if (size >= shortest && end - name.data() >= static_cast<std::ptrdiff_t>(width)) {
        const auto nth = table.nth[slot_of(name, table.factor)];
        if (nth != 0 && size == usual_names[nth - 1U].name.size()) {
            const char* const usual = padded_names[nth - 1U].data();
            const auto first = differ(name.data(), usual);
            const bool same = size <= width ? (first & ((1U << size) - 1)) == 0
                                            : (first | differ(name.data() + size - width, usual + size - width)) == 0;
            if (same) return usual_names[nth - 1U].known;
        }
    }
#endif
    return known_field(name);
}

field known_field(std::string_view name) noexcept {
    if (name.size() >= shortest) {
        const auto nth = table.nth[slot_of(name, table.factor)];
        if (nth != 0 && same_as_usual(name, usual_names[nth - 1U].name)) return usual_names[nth - 1U].known;
    }
    return boost::beast::http::string_to_field({name.data(), name.size()});
}

}  // namespace server
