#pragma once

#include "cmd/service/module.hpp"
#include "server/admin/heap/routes.hpp"

/// Which stacks hold the memory.
class heap_module final : public service_module {
public:
    explicit heap_module(const module_start&) {}

    void look_at(server::debug_sources& from) override { from.index += server::heap::index_lines; }
    void add_debug_routes(server::router& routes, const server::debug_sources&) override {
        server::heap::add_routes(routes);
    }
};
