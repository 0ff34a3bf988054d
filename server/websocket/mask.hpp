#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace server::websocket {

/// The key of a frame, as it was sent (RFC 6455 section 5.3).
using masking_key = std::array<char, 4>;

/// Takes the mask from the bytes of a frame, in place. `offset`: how many bytes of that frame came before these.
void unmask(std::span<char> bytes, const masking_key& key, std::size_t offset) noexcept;

}  // namespace server::websocket
