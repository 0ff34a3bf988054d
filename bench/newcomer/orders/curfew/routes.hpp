#pragma once

#include "cmd/orders/database.hpp"
#include "lifecycle/stop_channel.hpp"
#include "server/router.hpp"

server::router app_routes(database& data, const lifecycle::stop_channel& stop);
