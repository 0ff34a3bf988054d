#pragma once

#include <string_view>

#include "server/debug.hpp"
#include "server/router.hpp"

namespace server::pprof {

/// Adds `/debug/pprof/` to the routes of the debug port: what Go's net/http/pprof has there, under the same names, so
/// that `go tool pprof http://127.0.0.1:8001/debug/pprof/profile` works. `from` as for `debug_routes`.
void add_routes(router& routes, const debug_sources& from);

/// The lines of the index at `/debug/`.
extern const std::string_view index;

}  // namespace server::pprof
