#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace configs {

/// The text of a file as toml++ can be given it. Version 3.3 asks of letters beyond ASCII whether they are blanks, and
/// runs into what it holds for unreachable; so it meets them only where it does not ask.
struct toml_text {
    std::string text;            ///< says the same, line by line; ends before `stray_line`'s letter, if there is one
    std::size_t stray_line = 0;  ///< where a letter beyond ASCII stands outside of strings and comments, which is not
                                 ///< TOML; from 1, and 0 when there is none
};

/// Never throws but for want of memory. What is wrong in another way is left for the parser to find.
toml_text for_parser(std::string_view text);

}  // namespace configs
