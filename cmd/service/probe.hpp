#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lifecycle/context.hpp"
#include "server/options.hpp"

/// Asks the debug port of a running service for /livez or /readyz, for health checks without a shell or
/// curl in the image. True when it says 200 within a second. Blocks for that long at most.
/// `through`, if not empty, is how a request is sent and answered over a connected socket where that port speaks TLS.
using ask_through =
    std::function<std::string(int socket, std::string_view request, lifecycle::clock::time_point until)>;
bool probe(const server::options& debug, std::string_view what, const ask_through& through);
