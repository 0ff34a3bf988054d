#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/service/module.hpp"
#include "cmd/service/probe.hpp"

/// The modules that this program is built with, in the order of the list in modules.cpp: main calls each hook once,
/// here, for all of them. See module.hpp.
class modules {
public:
    explicit modules(const module_start& start);
    ~modules();

    /// Throws what a start with these settings would: sinks that are not there or cannot be made, settings of modules
    /// that this program is built without.
    static void check(const configs::loaded& settings, spdlog::logger& log);
    /// How the debug port of such settings is asked; empty: in clear.
    static ask_through asking(const configs::config& config);
    /// Another process serves until this one is ready.
    static bool follows_another();

    tracker::sinks sinks(const lifecycle::part& tracker);
    server::options inherit(std::string_view server, server::options own);
    server::router around(server::router app);
    server::router debug_routes(server::debug_sources from);
    void equip(std::string_view name, server::http_server& server);
    // [module http_client]
    /// For handlers that call other servers. Throws std::logic_error where this program is built without HTTP_CLIENT.
    server::http_client& client();
    // [/module http_client]
    void made(const service_parts& parts);
    void run_parts(lifecycle::done_collector& done);

    std::vector<std::shared_ptr<void>> watch();
    std::vector<std::shared_ptr<void>> reloading();
    void write_metrics(server::metrics_text& out) const;
    std::string previous_exit() const;
    void reload();
    void upgrade();
    void ready();
    bool handed_over() const;
    void progress(const lifecycle::stop_channel::status& status);
    void ended(const lifecycle::shutdown_report& report);

private:
    const module_start start_;
    std::vector<std::unique_ptr<service_module>> all_;
};
