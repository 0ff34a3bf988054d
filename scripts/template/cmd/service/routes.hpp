#pragma once

#include "cmd/service/reload.hpp"
#include "lifecycle/stop_channel.hpp"
#include "server/router.hpp"
#include "tracker/event_tracker.hpp"

/// The routes of this service. What is given outlives the server that answers by them.
server::router app_routes(tracker::event_tracker& events, const lifecycle::stop_channel& stop,
                          const settings_in_force& settings);
