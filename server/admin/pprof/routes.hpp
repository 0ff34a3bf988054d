#pragma once

#include <string_view>

#include "server/admin/debug.hpp"
#include "server/router.hpp"

namespace server::pprof {

/// What they add to the list at `/debug/`.
extern const std::string_view index_lines;

/// Adds `/debug/pprof/` to the routes of the debug port: what Go's net/http/pprof has there, under the same names, so
/// that `go tool pprof http://127.0.0.1:8001/debug/pprof/profile` works; and `/debug/requests`, `connections`, `loops`.
/// `from` as for `debug_routes`.
void add_routes(router& routes, const debug_sources& from);

}  // namespace server::pprof
