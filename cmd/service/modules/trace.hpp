#pragma once

#include "cmd/service/module.hpp"
#include "cmd/service/trace/tracing.hpp"

/// Records what happens when, while a client asks /debug/trace for it.
class trace_module final : public service_module {
public:
    explicit trace_module(const module_start&) {}

    void wrap_sinks(tracker::sink_makers& makers) override { makers = trace_.around(std::move(makers)); }
    void add_routes(server::router& app) override { app = trace_.around(std::move(app)); }
    void look_at(server::debug_sources& from) override {
        from.index += "/debug/trace         what happens when, ?seconds=N, for ui.perfetto.dev\n";
    }
    void add_debug_routes(server::router& routes, const server::debug_sources& from) override {
        routes = trace_.around(std::move(routes), from);
    }

private:
    const tracing trace_;
};
