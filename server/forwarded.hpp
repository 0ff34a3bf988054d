#pragma once

#include <optional>
#include <string_view>

#include "server/net/socket_address.hpp"
#include "server/options.hpp"
#include "server/request.hpp"

namespace server {

/// What a trusted peer says of the client of a request.
struct forwarded {
    std::optional<socket_address> client;  ///< none: it is the peer
    std::string_view scheme;               ///< "http", "https", or empty; has static lifetime
};

/// Reads the one field that is chosen, all its lines as one list, from the right to the first address that is not
/// trusted: that is the client; if all are trusted, the leftmost. What is no address (`unknown`, `_hidden`, anything
/// broken) ends the walk, and what stands to the left of that is not believed. Forwarded is that of RFC 7239, with
/// quoted values, "[2001:db8::1]:80" and obfuscated names; the others are lists of addresses, with or without a port.
///
/// The scheme is the last value of X-Forwarded-Proto; of Forwarded the `proto` beside the client's address if there is
/// one. No other field is looked at. Only for a request of a peer that is trusted. Never throws or allocates.
forwarded read_forwarded(const request& of, const trusted_peers& trusted, forwarded_field by) noexcept;

}  // namespace server
