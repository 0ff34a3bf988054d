#pragma once

#include <string>
#include <string_view>

namespace server::websocket {

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2): a proof that the server has read the request
/// as a handshake, not a secret. SHA-1 (RFC 3174), in base64.
std::string accept_for(std::string_view key);

}  // namespace server::websocket
