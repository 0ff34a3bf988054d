#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace server {

/// Copies `text` to where there is room for it, and returns the place after it. Of what a head or a line of a log is
/// made of most has less than 33 bytes: then both ends of it are copied, as many bytes as a register holds, and where
/// they overlap twice, for a call of memcpy(3) costs more than that.
inline char* copy_text(char* to, std::string_view text) noexcept {
    const auto size = text.size();
    const auto both_ends = [&]<std::size_t Bytes>() {
        std::memcpy(to, text.data(), Bytes);
        std::memcpy(to + size - Bytes, text.data() + size - Bytes, Bytes);
    };
    if (size > 32)
        std::memcpy(to, text.data(), size);
    else if (size >= 16)
        both_ends.operator()<16>();
    else if (size >= 8)
        both_ends.operator()<8>();
    else if (size >= 4)
        both_ends.operator()<4>();
    else
        for (std::size_t nth = 0; nth < size; ++nth) to[nth] = text[nth];
    return to + size;
}

}  // namespace server
