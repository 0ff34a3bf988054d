#pragma once

#include "cmd/service/module.hpp"
#include "server/admin/pprof/routes.hpp"

/// What `go tool pprof` reads, and what is alive now.
class pprof_module final : public service_module {
public:
    explicit pprof_module(const module_start&) {}

    void look_at(server::debug_sources& from) override { from.index += server::pprof::index_lines; }
    void add_debug_routes(server::router& routes, const server::debug_sources& from) override {
        server::pprof::add_routes(routes, from);
    }
};
