#pragma once

#include <utility>

#include "server/debug.hpp"
#ifdef PAGE
#include "server/page/page.hpp"
#endif
#ifdef PPROF
#include "server/pprof/routes.hpp"
#endif

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
    return routes;
}
