#pragma once

#include <utility>

#include "server/debug.hpp"
#include "server/heap/routes.hpp"   // [module heap/]
#include "server/page/page.hpp"     // [module page/]
#include "server/pprof/routes.hpp"  // [module pprof/]

/// The routes of the debug port, with those of the modules that are built. `from` as for `server::debug_routes`.
inline server::router debug_routes_of_modules(server::debug_sources from) {
#ifdef PAGE
    from.page = server::live_page;
#endif
#ifdef PPROF
    from.index += server::pprof::index_lines;
#endif
    auto routes = server::debug_routes(from);
#ifdef PPROF
    server::pprof::add_routes(routes, from);
#endif
#ifdef HEAP
    server::heap::add_routes(routes);
#endif
    return routes;
}
