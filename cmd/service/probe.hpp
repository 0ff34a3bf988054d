#pragma once

#include <string_view>

#include "server/options.hpp"

/// Asks the debug port of a running service for /livez or /readyz, for health checks without a shell or
/// curl in the image. True when it says 200 within a second. Blocks for that long at most.
bool probe(const server::options& debug, std::string_view what);
