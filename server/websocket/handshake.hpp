#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/request.hpp"
#include "server/response.hpp"

namespace server::websocket {

/// The answer to a handshake (RFC 6455 section 4.2, over HTTP/2 RFC 8441): 101, or 426 or 400 that say what is missing.
/// `protocols`: those that are spoken. `compresses`: permessage-deflate is agreed on with clients that offer it.
response shake_hands(const request& asked, const std::vector<std::string>& protocols, bool compresses);

/// The first of those that the client offers, in its order, that is spoken; empty: none.
std::string_view choose_protocol(const request& asked, const std::vector<std::string>& spoken);

/// All lines of a field as one list.
std::string joined(const request& asked, std::string_view name);

}  // namespace server::websocket
