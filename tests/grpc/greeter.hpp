#pragma once

#include "server/router.hpp"

/// Adds the calls of greeter.v1.Greeter (proto/greeter.proto).
void add_greeter(server::router& routes);
