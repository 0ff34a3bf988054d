#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lifecycle/stop_channel.hpp"
#include "server/exchange.hpp"
#include "server/router.hpp"

namespace server::http2 {

/// `grpc.health.v1.Health` (gRPC health checking protocol): Check and Watch, for the empty name and for `services`.
/// Both say NOT_SERVING from the first moment of a stop, a Watch at once; a Watch ends with UNAVAILABLE when the idle
/// grace does. `stop` outlives the router.
router with_grpc_health(router routes, const lifecycle::stop_channel& stop, std::vector<std::string> services = {});

/// Whether it is one of a Watch: that has no deadline, and is told when the stop begins, not when the drain does.
bool is_watch(const route* to) noexcept;
void serve_without_end(exchange& exchange);

}  // namespace server::http2
