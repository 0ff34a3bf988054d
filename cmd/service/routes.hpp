#pragma once

#include "lifecycle/stop_channel.hpp"
#include "server/router.hpp"
#include "tracker/event_tracker.hpp"

/// The routes of the service: the first file to edit in a copy of this skeleton. `events` and `stop` must outlive the
/// server that answers by them.
server::router app_routes(tracker::event_tracker& events, const lifecycle::stop_channel& stop);
