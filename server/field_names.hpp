#pragma once

#include <boost/beast/http/field.hpp>
#include <string_view>

namespace server {

/// `http::string_to_field`, upper or lower case, for a `name` that is a token (see head.hpp); quicker for what
/// browsers, proxies and monitors send.
boost::beast::http::field known_field(std::string_view name) noexcept;
/// The same for a name in a buffer that can be read up to `end`, at least to that of the name.
boost::beast::http::field known_field(std::string_view name, const char* end) noexcept;

}  // namespace server
