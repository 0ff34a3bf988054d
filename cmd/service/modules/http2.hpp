#pragma once

#include <memory>
#include <utility>

#include "cmd/service/module.hpp"
#include "server/http2/health.hpp"
#include "server/http2/session.hpp"

/// Connections of the app port may speak HTTP/2, and the health service of gRPC is among its routes.
class http2_module final : public service_module {
public:
    explicit http2_module(const module_start& start) : on_(start.settings.values.app.http2), stop_(start.stop) {}

    void add_routes(server::router& app) override { app = server::http2::with_grpc_health(std::move(app), stop_); }
    void equip(std::string_view name, server::http_server& server) override {
        if (on_ && name == "app") server.speak_http2(std::make_shared<server::http2::source>());
    }

private:
    const bool on_;
    const lifecycle::stop_channel& stop_;
};
