#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/router.hpp"

namespace server {

/// Clients with one of these keys may pass, others are answered 401 with WWW-Authenticate. A key is known here only by
/// its SHA-256 in 64 hexadecimal digits (`printf %s KEY | sha256sum`), so that settings and memory reveal none; what a
/// client sends is compared by its digest too, with all of them, in a time that does not tell how close it was. For
/// random keys of 128 bits and more (`openssl rand -base64 32`): a password needs a slower digest. Throws
/// std::invalid_argument for something that is not a digest.

/// `Authorization: Bearer KEY` (RFC 6750).
middleware require_bearer(std::vector<std::string> digests);

/// A field of its own, such as X-Api-Key.
middleware require_api_key(std::string field, std::vector<std::string> digests);

/// Whether two texts are the same, in a time that depends on their sizes alone.
bool same_in_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace server
