#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "server/request.hpp"
#include "server/rule.hpp"

namespace server {

/// The grammar of a request's head (RFC 9112 sections 3 and 5), in one pass and without a copy. `head` is whole:
/// from the first byte of the method to the empty line, which is the only one in it.
///
/// Leaves method, target, version and fields as views in `into`. What it refuses: none, or the rule by which. What the
/// fields mean is not looked at here. A folded line (section 5.2) is refused.
std::optional<rule> parse_head(std::string_view head, std::size_t max_fields, request& into);

/// The same a byte at a time: what machines without SSE2 do, and what tests hold the other against.
std::optional<rule> parse_head_bytewise(std::string_view head, std::size_t max_fields, request& into);

/// What `try_head` has found.
struct found_head {
    std::size_t size = 0;       ///< 0: the head is not whole or would be refused, it is not known which
    bool fields_known = false;  ///< they are the bytes of `known`, and have not been read
};
/// Looks for a head at the front of `bytes`, whether there is a whole one or not, in the same one pass. `into` is of no
/// use when none is found. `known`: the fields and the empty line that the last head of HTTP/1.1 in `into` has had;
/// where this one has the same, byte for byte, those that are in `into` stay.
found_head try_head(std::string_view bytes, std::size_t max_fields, request& into, std::string_view known = {});

/// RFC 9110 section 5.6.2: what a method or the name of a field is made of.
bool is_token(char byte) noexcept;
/// Whether a field may be sent with that name, and with that value: no CR, LF or NUL.
bool is_field_name(std::string_view name) noexcept;
bool is_field_value(std::string_view value) noexcept;
/// 0 to 15, or -1 for what is no hexadecimal digit.
int hex_digit(char byte) noexcept;

}  // namespace server
