#pragma once

#include <memory>

#include "server/admin/debug.hpp"
#include "server/router.hpp"

namespace server::pprof {

/// `GET /debug/pprof/profile?seconds=N&format=proto|collapsed`: where CPU time goes, of all threads. It ends early,
/// with what there is, when a stop begins. One at a time: 409. `from` must outlive what it returns.
handler cpu_profile(std::shared_ptr<const debug_sources> from);

}  // namespace server::pprof
