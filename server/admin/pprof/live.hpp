#pragma once

#include <memory>

#include "server/admin/debug.hpp"
#include "server/router.hpp"

namespace server::pprof {

/// `/debug/requests`, `connections` and `loops` of the app and `/debug/pprof/threads`, as a table or, with
/// `?format=json`, as JSON. A loop that does not answer within 100 ms has a row with what is known of it.
void add_live_routes(router& routes, const std::shared_ptr<const debug_sources>& from);

}  // namespace server::pprof
