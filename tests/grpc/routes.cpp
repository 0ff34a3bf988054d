// The routes of a service that answers calls of gRPC: what tests/all/grpc_clients restarts.

#include "cmd/service/routes.hpp"

#include "greeter.hpp"

namespace http = server::http;
using lifecycle::context;
using server::request;
using server::response;

server::router app_routes(tracker::event_tracker& events, const lifecycle::stop_channel& stop) {
    server::router routes;
    routes.get("/", [](const context&, const request&) { return response(http::status::ok, "Hello, QCon!\n"); });
    routes.post("/echo", [](const context&, const request& asked) {
        return response(http::status::ok, std::string(asked.body), "application/octet-stream");
    });
    routes.probe("/livez", [&stop](const context&, const request&) {
        return stop.failed() ? server::problem(http::status::service_unavailable) : response(http::status::ok, "ok\n");
    });
    routes.probe("/readyz", [&stop, &events](const context&, const request&) {
        const bool ready = stop.is_ready() && events.writable() && events.readable();
        return ready ? response(http::status::ok, "ok\n") : server::problem(http::status::service_unavailable);
    });
    add_greeter(routes);
    return routes;
}
