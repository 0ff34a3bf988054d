#pragma once

#include <cstddef>
#include <string>

namespace server {

/// Empties a string, and gives its memory back when that is more than `kept` bytes. An assignment of an empty string
/// would not: libstdc++ copies what is short into the room that there is.
inline void forget(std::string& text, std::size_t kept = 4096) noexcept {
    text.clear();
    if (text.capacity() > kept) std::string().swap(text);
}

}  // namespace server
