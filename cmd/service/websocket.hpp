#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "configs/load.hpp"
#include "server/router.hpp"
#ifdef WEBSOCKET
#include <utility>
#include <vector>

#include "server/websocket/route.hpp"

/// The routes that speak WebSocket: the part of the routes that needs the module, edited as routes.cpp is.
class websocket_routes {
public:
    explicit websocket_routes(const configs::loaded&) {}
    static void check(const configs::loaded&) {}

    server::router routes(server::router own) {
        // [examples]
        const auto echo = [](const lifecycle::context&, server::websocket::socket& socket,
                             const server::websocket::message& message) { socket.send(message); };
        all_.push_back(server::websocket::route(own, "/ws", {.on_open = {}, .on_message = echo, .on_close = {}}));
        // [/examples]
        return own;
    }
    void write_metrics(server::metrics_text& out) const {
        for (const auto& one : all_) one.write_metrics(out);
    }

private:
    std::vector<server::websocket::sockets> all_;
};

#else

/// Without the module nobody is upgraded, and it does not start where one of its settings is set.
struct websocket_routes {
    explicit websocket_routes(const configs::loaded& settings) { check(settings); }
    static void check(const configs::loaded& settings) {
        const configs::config usual;
        const auto wants = [&](std::string_view key, bool set) {
            if (set)
                throw std::runtime_error(std::string(key) + " = " + configs::find_setting(key)->toml(settings.values) +
                                         ": this program is built without WebSocket: allowed is the default");
        };
        const auto& app = settings.values.app;
        wants("app.max_websocket_message", app.max_websocket_message != usual.app.max_websocket_message);
        wants("app.websocket_ping", app.websocket_ping != usual.app.websocket_ping);
    }
    server::router routes(server::router own) const { return own; }
    void write_metrics(const auto&) const {}
};

#endif
