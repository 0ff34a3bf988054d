#pragma once

#include <vector>

#include "cmd/service/module.hpp"
#include "server/websocket/route.hpp"

/// The routes that speak WebSocket, edited as those of routes.cpp are.
class websocket_module final : public service_module {
public:
    explicit websocket_module(const module_start&) {}

    void add_routes([[maybe_unused]] server::router& app) override {
        // [examples]
        const auto echo = [](const lifecycle::context&, server::websocket::socket& socket,
                             const server::websocket::message& message) { socket.send(message); };
        all_.push_back(server::websocket::route(app, "/ws", {.on_open = {}, .on_message = echo, .on_close = {}}));
        // [/examples]
    }
    void write_metrics(server::metrics_text& out) const override {
        server::websocket::sockets::write_metrics(out, all_);
    }

private:
    std::vector<server::websocket::sockets> all_;
};
