#pragma once

#include "cmd/service/module.hpp"
#include "server/client/http_client.hpp"

/// Handlers call other servers, and GET /aggregate does.
class http_client_module final : public service_module {
public:
    explicit http_client_module(const module_start& start)
        : client_(start.settings.values.client, start.stop, start.workers, *start.log.logger) {}

    server::http_client* client() override { return &client_; }
    void add_routes(server::router& app) override { app = client_.routes(std::move(app)); }
    void run_parts(lifecycle::done_collector& done) override { client_.start(done); }
    void show_calls_to(std::shared_ptr<server::call_observer> observer) override {
        client_.observe_by(std::move(observer));
    }
    void reload() override { client_.reload(); }

private:
    server::http_client client_;
};
