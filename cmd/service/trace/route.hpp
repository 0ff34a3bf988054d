#pragma once

#include <memory>

#include "cmd/service/trace/session.hpp"
#include "server/admin/debug.hpp"
#include "server/router.hpp"

namespace trace {

/// `GET /debug/trace?seconds=N`. `from` as for `server::debug_routes`.
server::handler route(std::shared_ptr<session> takes, const server::debug_sources& from);

}  // namespace trace
