// The file to edit first: what this service answers. A handler is a plain function, or a coroutine when it waits.

#include "cmd/SERVICE_NAME/routes.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "configs/own_settings.hpp"
#include "tracker/utf8.hpp"

namespace http = server::http;
using lifecycle::context;
using server::problem;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

namespace {

response try_later(http::status status) { return std::move(problem(status).set("Retry-After", "1")); }

/// GET /hello/{name}: with the word of the settings in force, which a reload may change.
response hello(const settings_in_force& settings, const request& request) {
    const auto now = settings.now();
    const auto& word = configs::own<own_settings>(now->values).word;
    return response(http::status::ok, fmt::format("{}, {}!\n", word, request.parameter("name")));
}

/// GET /later/{name}: holds no thread while it waits, and ends early with its context.
answer later(const settings_in_force& settings, context context, const request& request) {
    const auto now = settings.now();
    const auto until = lifecycle::clock::now() + configs::own<own_settings>(now->values).patience;
    auto waiting = lifecycle::sleep_until(context, until);
    const bool waited = co_await std::move(waiting);
    if (!waited) co_return problem(http::status::service_unavailable);
    co_return response(http::status::ok, fmt::format("There you are, {}.\n", request.parameter("name")));
}

/// POST /greetings: the body is one event. 201 once it is as durable as the settings say.
answer record(tracker::event_tracker& events, context context, const request& request) {
    if (!tracker::is_utf8(request.body)) co_return response(http::status::bad_request, "an event is UTF-8 text\n");
    tracker::event event;
    event.id = tracker::make_id();
    event.data = request.body;
    const std::string created = fmt::format("{{\"id\":\"{}\"}}\n", event.id);
    auto recording = events.record(context, std::move(event));
    switch (co_await std::move(recording)) {
        case tracker::verdict::accepted: break;
        case tracker::verdict::deadline: co_return problem(http::status::gateway_timeout);
        default: co_return try_later(http::status::service_unavailable);
    }
    co_return response(http::status::created, created, "application/json");
}

}  // namespace

server::router app_routes(tracker::event_tracker& events, const lifecycle::stop_channel& stop,
                          const settings_in_force& settings) {
    server::router routes;
    routes.get("/hello/{name}",
               [&settings](const context&, const request& request) { return hello(settings, request); });
    routes.get("/later/{name}", [&settings](context context, const request& request) {
        return later(settings, std::move(context), request);
    });
    routes.post("/greetings", [&events](context context, const request& request) {
        return record(events, std::move(context), request);
    });
    routes.probe("/livez", [&stop](const context&, const request&) {
        return stop.failed() ? try_later(http::status::service_unavailable) : response(http::status::ok, "ok\n");
    });
    routes.probe("/readyz", [&stop, &events](const context&, const request&) {
        const bool ready = stop.is_ready() && events.writable() && events.readable();
        return ready ? response(http::status::ok, "ok\n") : try_later(http::status::service_unavailable);
    });
    return routes;
}
