#pragma once

#include <optional>
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

/// An answer of a unary call, and of one that has failed. `code`: as gRPC numbers them.
response grpc_answer(std::string_view message);
response grpc_error(int code, std::string_view message);
/// The one message of a unary request; none when the body is not one.
std::optional<std::string_view> grpc_message(const request& asked) noexcept;

}  // namespace server::http2
