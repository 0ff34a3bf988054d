#pragma once

#include "cmd/links/store.hpp"
#include "lifecycle/stop_channel.hpp"
#include "server/router.hpp"

server::router app_routes(store& links, const lifecycle::stop_channel& stop);
