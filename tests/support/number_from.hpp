#pragma once

#include <cstdint>
#include <cstdlib>

namespace support {

/// What the environment asks of a test that can do more than it usually does: how many lives, from which seed.
inline std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace support
