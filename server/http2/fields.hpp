#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "server/http2/nghttp2.hpp"

namespace server::http2 {

/// The name of a field, in small letters: a literal, which nghttp2 neither copies nor looks at for capitals.
struct own_name {
    template <std::size_t Size>
    consteval own_name(const char (&literal)[Size]) : text(literal, Size - 1) {}  // not explicit: a literal
    std::string_view text;
};

/// A field as nghttp2 takes it, which copies the value.
void add(std::vector<nghttp2_nv>& to, own_name name, std::string_view value);
/// One whose value will not be sent again: in the table of HPACK it would only take the place, and memory, of others.
void add_unique(std::vector<nghttp2_nv>& to, own_name name, std::string_view value);

/// Lines of "Name: value", with names in small letters, into `names`, which has room for them: it must not grow.
void add_lines(std::vector<nghttp2_nv>& to, std::string& names, std::string_view lines);

}  // namespace server::http2
