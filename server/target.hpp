#pragma once

#include <string>
#include <string_view>

namespace server {

/// The parts of a request target (RFC 9112 section 3.2), decoded and normalised once, before routing.
struct target_parts {
    std::string_view path;       ///< into the target, or into `storage` when it had to be rewritten
    std::string_view query;      ///< without '?', encoded
    std::string_view authority;  ///< of an absolute or authority form; else empty
};

/// How a target is to be read.
struct target_rules {
    bool connect = false;  ///< of CONNECT: an authority
    bool options = false;  ///< of OPTIONS: may be "*"
    bool strict = false;   ///< RFC 3986 alone; else also what browsers leave unescaped, see docs/limits.md
};

/// False when the target has none of the four forms, or has a byte or an escape that the rules do not allow. `storage`
/// keeps a rewritten path.
bool split_target(std::string_view target, const target_rules& rules, std::string& storage, target_parts& parts);

/// "?" and the query, with the bytes escaped that browsers leave unescaped and RFC 3986 does not know: for Boost.URL.
std::string query_reference(std::string_view query);

/// RFC 9110 section 4.2.1 and RFC 3986 section 3.2: host [ ":" port ], without user information.
bool is_authority(std::string_view text) noexcept;

}  // namespace server
