#pragma once

#include <memory>

#include "server/admin/debug.hpp"
#include "server/router.hpp"
#include "tracker/sink.hpp"

namespace trace {
class session;
}

/// Notes what happens when, while a client asks `/debug/trace` for it: requests and their handlers, loops that stand
/// still, deliveries to the sinks, the phases of a stop. Main puts it around what it is to look at; without a trace
/// that is one load for each. What it returns keeps what it needs.
class tracing {
public:
    tracing();

    tracker::sink_makers around(tracker::sink_makers makers) const;
    server::router around(server::router of_app) const;
    /// `GET /debug/trace?seconds=N` for ui.perfetto.dev; one at a time: 409. A stop does not end it before the tracker
    /// has ended, so that its phases are shown. `from` as for `server::debug_routes`.
    server::router around(server::router of_debug, const server::debug_sources& from) const;

private:
    std::shared_ptr<trace::session> session_;
};
