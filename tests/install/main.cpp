// A service with a main of its own: no settings, one route, one sink, no debug port.
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "lifecycle/done_collector.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

namespace {

namespace http = server::http;
using answer = lifecycle::awaitable<server::response>;

class printing final : public tracker::sink {
public:
    void deliver(std::span<const tracker::event> batch) override {
        for (const auto& each : batch) std::printf("greeted %s\n", each.data.c_str());
        std::fflush(stdout);
    }
    std::string_view name() const noexcept override { return "printing"; }
};

answer greet(tracker::event_tracker& events, lifecycle::context context, const server::request& request) {
    tracker::event greeted{.id = {}, .data = std::string(request.parameter("name"))};
    auto recording = events.record(context, std::move(greeted));
    const auto verdict = co_await std::move(recording);
    if (verdict != tracker::verdict::accepted) co_return server::problem(http::status::service_unavailable);
    // Held back, so that a stop finds it at work.
    const auto until = lifecycle::clock::now() + std::chrono::milliseconds(300);
    auto pause = lifecycle::sleep_until(context, until);  // lint: the handler waits, not the test
    co_await std::move(pause);
    co_return server::response(http::status::ok, "Hello, " + std::string(request.parameter("name")) + "\n");
}

}  // namespace

int main() {
    lifecycle::signals signals;
    spdlog::logger log("greeter", std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cerr));
    lifecycle::workers workers;
    lifecycle::stop_channel stop({.report = "report.json"});

    tracker::options in_memory;
    in_memory.durability = tracker::durability::memory;
    in_memory.sinks = {"printing"};
    const auto tracker_part = stop.add_part("tracker", stop.options().flush);
    const auto app_part = stop.add_part("app", lifecycle::serves_clients);
    tracker::event_tracker events(in_memory, {std::make_shared<printing>()}, workers, log, tracker_part);

    server::router routes;
    routes.get("/greet/{name}", [&events](lifecycle::context context, const server::request& request) {
        return greet(events, std::move(context), request);
    });
    server::options where;
    where.address = "127.0.0.1";
    where.port = 0;
    server::http_server app(where, std::move(routes), app_part, workers, log);

    lifecycle::done_collector done(stop, signals, workers, log);
    done.run(tracker_part, [&](std::stop_token token) { events.run(token); });
    done.run(app_part, [&](std::stop_token token) { app.run(token); });
    return done.wait({
        .ready =
            [&] {
                std::printf("listens %s\n", app.address().c_str());
                std::fflush(stdout);
            },
        .account =
            [&](lifecycle::shutdown_report& report) {
                server::stop_account served;
                app.account(served);
                served.add_to(report);
                const auto account = events.account();
                report.sections.push_back({"events", "{\"accepted\":" + std::to_string(account.accepted) +
                                                         ",\"delivered\":" + std::to_string(account.delivered) + "}"});
                report.balanced = account.balanced();
            },
    });
}
