#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lifecycle {

/// What stands where a secret is not shown.
inline constexpr std::string_view mask = "***";

/// What a text is in which a URL may stand.
enum class url_text : std::uint8_t {
    any,  ///< only what follows a scheme and :// is taken for one
    urls  ///< one URL, or several with commas, even where a scheme is missing
};

/// The text as it may be shown: of each URL in it the user, with a password or a token, is masked, and so are query and
/// fragment. Where a password is not encoded as it should be, more is masked rather than less. What is masked already
/// stays as it is. Pure; any thread.
std::string masked_urls(std::string_view text, url_text is = url_text::any);

}  // namespace lifecycle
