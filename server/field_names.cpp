#include "server/field_names.hpp"

#include <ostream>  // Beast's string view uses and does not include it
#include <stdexcept>

namespace server {
namespace usual_names {
namespace {

using boost::beast::http::field;

struct usual_name {
    std::string_view name;
    field known = field::unknown;
};

/// In any order. `unknown` is what Beast's table does not have: looked for in vain each time otherwise.
constexpr std::array names{
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

struct perfect_table {
    std::uint32_t factor = 0;
    std::array<std::uint8_t, slots> nth{};  ///< of `names`, from 1; 0: none
};

constexpr bool try_factor(std::uint32_t factor, perfect_table& into) {
    into = {.factor = factor, .nth = {}};
    for (std::size_t at = 0; at < names.size(); ++at) {
        auto& slot = into.nth[slot_of(names[at].name, factor)];
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

/// The same but for the case, four bytes at a time, the last four once more where they overlap.
bool same_as_usual(std::string_view name, const entry& usual) noexcept {
    if (name.size() != usual.size) return false;
    const auto last = name.size() - 4;
    for (std::size_t at = 0; at < last; at += 4)
        if (four_lower(name.data() + at) != four_lower(usual.name.data() + at)) return false;
    return four_lower(name.data() + last) == four_lower(usual.name.data() + last);
}

}  // namespace

constexpr std::uint32_t factor = table.factor;
constexpr std::array<std::uint8_t, slots> nth = table.nth;
constexpr std::array<entry, names.size() + 1> all = [] {
    std::array<entry, names.size() + 1> made{};
    for (std::size_t at = 0; at < names.size(); ++at) {
        auto& [name, size, known] = made[at + 1];
        size = static_cast<std::uint8_t>(names[at].name.size());
        known = names[at].known;
        for (std::size_t byte = 0; byte < size; ++byte) name[byte] = names[at].name[byte];
    }
    return made;
}();

}  // namespace usual_names

boost::beast::http::field known_field(std::string_view name) noexcept {
    using namespace usual_names;
    if (name.size() >= shortest) {
        const auto& usual = all[nth[slot_of(name, factor)]];
        if (same_as_usual(name, usual)) return usual.known;
    }
    return boost::beast::http::string_to_field({name.data(), name.size()});
}

}  // namespace server
