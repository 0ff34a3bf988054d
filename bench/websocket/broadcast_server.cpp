// The service for the broadcast of bench/websocket/run: a message by GET /all goes to all of /all. Without settings and
// debug port; prints its port.

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "lifecycle/done_collector.hpp"
#include "server/http_server.hpp"
#include "server/websocket/route.hpp"

int main() {
    namespace websocket = server::websocket;
    lifecycle::signals signals;
    spdlog::logger log("broadcast", std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cerr));
    lifecycle::workers workers;
    lifecycle::stop_channel stop(lifecycle::shutdown_options{});
    const auto part = stop.add_part("app", lifecycle::serves_clients);

    server::router routes;
    websocket::callbacks does;
    does.on_message = [](const lifecycle::context&, websocket::socket& socket, const websocket::message& message) {
        socket.broadcast(message.text ? websocket::opcode::text : websocket::opcode::binary, message.data);
    };
    websocket::route(routes, "/all", does);
    server::options where;
    where.address = "127.0.0.1";
    where.port = 0;
    where.threads = 1;
    where.max_connections = 20'000;
    server::http_server app(where, std::move(routes), part, workers, log);

    lifecycle::done_collector done(stop, signals, workers, log);
    done.run(part, [&](std::stop_token token) { app.run(token); });
    const auto say_port = [&app] {
        const auto address = app.address();
        std::printf("%s\n", address.c_str() + address.rfind(':') + 1);
        std::fflush(stdout);
    };
    return done.wait({.ready = say_port, .account = {}});
}
