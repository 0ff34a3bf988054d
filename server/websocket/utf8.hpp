#pragma once

#include <cstdint>
#include <string_view>

namespace server::websocket {

/// Looks at a text as it arrives, in pieces of any size: UTF-8 as RFC 3629 has it, without surrogates and longer forms.
/// A byte with which no text can continue is a fault at once, not at the end.
class utf8_check {
public:
    /// False: this is not UTF-8, and never will be.
    bool add(std::string_view piece) noexcept;
    /// The text may end here.
    bool whole() const noexcept { return missing_ == 0; }
    void reset() noexcept { *this = {}; }

private:
    std::uint8_t missing_ = 0;              ///< bytes of the character that has begun
    std::uint8_t least_ = 0, most_ = 0xff;  ///< of the next of them
};

}  // namespace server::websocket
