#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cmd/service/log.hpp"
#include "configs/load.hpp"
#include "lifecycle/done_collector.hpp"
#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"
#include "server/admin/debug.hpp"
#include "server/call_observer.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

// [module http_client]
namespace server {
class http_client;
}

// [/module http_client]
/// What a module is made from, at the start, before the servers and the tracker are. All of it outlives the module.
struct module_start {
    const configs::loaded& settings;
    lifecycle::stop_channel& stop;
    lifecycle::workers& workers;
    process_log& log;
    bool has_http2 = false;        ///< this program has the module of that name
    bool follows_another = false;  ///< another process serves until this one is ready
};

/// What main has made, before any of it runs. All of it outlives the parts, but not the modules.
struct service_parts {
    server::http_server& app;
    server::http_server& debug;
    tracker::event_tracker& events;
};

/// What a build may leave out, as main sees it: hooks in the order in which a process comes to them, of which a module
/// overrides those that it needs. A module adds its parts (stop_channel::add_part) in its constructor: they start after
/// the tracker and before the app, and stop in between. What a constructor or `made` throws is a failed start.
///
/// To add one: a class in cmd/service/modules, and a row in cmd/service/modules.cpp.
/// docs/adr/0074-parts-and-modules.md.
class service_module {
public:
    service_module() = default;
    virtual ~service_module() = default;
    service_module(const service_module&) = delete;
    service_module& operator=(const service_module&) = delete;

    /// Throws what a start with these settings would, for `--check-config`; hidden by a class that has something to
    /// say.
    static void check(const configs::loaded&) {}

    // On main's thread, before the parts run.
    virtual void wrap_sinks(tracker::sink_makers&) {}  ///< of all that the program knows
    virtual server::options inherit(std::string_view, server::options own) {
        return own;
    }                                                              ///< listener of "app", "debug"
    virtual void add_routes(server::router&) {}                    ///< to the app's
    virtual void equip(std::string_view, server::http_server&) {}  ///< "app" and "debug", before they run
    virtual void look_at(server::debug_sources&) {}                ///< what the debug port shows
    virtual void add_debug_routes(server::router&, const server::debug_sources&) {}
    /// The observer of the calls that handlers make to other servers; nullptr: this module has none.
    virtual std::shared_ptr<server::call_observer> call_observer() { return nullptr; }
    virtual void show_calls_to(std::shared_ptr<server::call_observer>) {}
    // [module http_client]
    virtual server::http_client* client() { return nullptr; }  ///< for handlers that call others, if it is one
    // [/module http_client]
    virtual void made(const service_parts&) {}             ///< everything is
    virtual void run_parts(lifecycle::done_collector&) {}  ///< those of its own

    /// What is to live as long as the debug part runs; on its thread.
    virtual std::shared_ptr<void> watch() { return nullptr; }
    virtual void write_metrics(server::metrics_text&) const {}  ///< any thread
    virtual std::string previous_exit() const { return {}; }    ///< how the run before this one ended, if it knows

    // Each on a worker that may block, one at a time.
    virtual std::shared_ptr<void> reloading() { return nullptr; }  ///< what is to live as long as a reload by SIGHUP
    virtual void reload() {}                                       ///< beside the settings
    virtual bool upgrade() { return false; }                       ///< SIGUSR2; whether it has done something about it
    virtual void ready() {}  ///< the service answers; again after a stop that was withdrawn
    /// Another process has the listeners for good: this one does not say any more that it answers. Safe from any
    /// thread.
    virtual bool handed_over() const { return false; }
    virtual void progress(const lifecycle::stop_channel::status&) {}
    virtual void ended(const lifecycle::shutdown_report&) {}
};
