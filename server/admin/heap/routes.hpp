#pragma once

#include <string_view>

#include "server/router.hpp"

namespace server::heap {

/// For `/debug/`, which lists what there is.
inline constexpr std::string_view index_lines = "/debug/pprof/heap    what holds the memory\n";

/// Adds what Go's net/http/pprof has of memory, under the same names, and begins to sample:
///   /debug/pprof/heap    what is in use now, by stack; POST ?rate=BYTES samples one in this many bytes, 0: none
///   /debug/pprof/allocs  the same, with what has been allocated since the start shown first
void add_routes(router& routes);

}  // namespace server::heap
