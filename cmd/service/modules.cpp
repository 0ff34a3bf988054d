#include "cmd/service/modules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "configs/load.hpp"
#include "server/metrics.hpp"
#include "tracker/sink.hpp"

// The only #ifdefs. The build defines the name of each module that the program has, see CMakeLists.txt.
#ifdef HTTP2
#include "cmd/service/modules/http2.hpp"
#endif
#ifdef HTTP_CLIENT
#include "cmd/service/modules/http_client.hpp"
#endif
#ifdef HEAP
#include "cmd/service/modules/heap.hpp"
#endif
#ifdef HTTP_SINK
#include "tracker/http/http_sink.hpp"
#endif
#ifdef KAFKA
#include "tracker/kafka/kafka_sink.hpp"
#endif
#ifdef LAST_RUN
#include "cmd/service/modules/last_run.hpp"
#endif
#ifdef NATS
#include "tracker/nats/nats_sink.hpp"
#endif
#ifdef PAGE
#include "cmd/service/modules/page.hpp"
#endif
#ifdef PPROF
#include "cmd/service/modules/pprof.hpp"
#endif
#ifdef SYSTEMD
#include "cmd/service/modules/systemd.hpp"
#endif
#ifdef TELEMETRY
#include "cmd/service/modules/telemetry.hpp"
#endif
#ifdef TLS
#include "cmd/service/modules/tls.hpp"
#endif
#ifdef TRACE
#include "cmd/service/modules/trace.hpp"
#endif
#ifdef UPGRADE
#include "cmd/service/modules/upgrade.hpp"
#endif
#ifdef WEBSOCKET
#include "cmd/service/modules/websocket.hpp"
#endif

namespace {

struct row {
    std::unique_ptr<service_module> (*make)(const module_start&);
    void (*check)(const configs::loaded&);
};

template <class Module>
constexpr row row_of{
    [](const module_start& start) -> std::unique_ptr<service_module> { return std::make_unique<Module>(start); },
    Module::check};

constexpr bool has_http2 =
#ifdef HTTP2
    true;
#else
    false;
#endif

/// In this order each hook is called: what wraps others comes last.
const std::vector<row> rows = {
#ifdef SYSTEMD
    row_of<systemd_module>,
#endif
#ifdef HTTP_CLIENT
    row_of<http_client_module>,
#endif
#ifdef TLS
    row_of<tls_module>,
#endif
#ifdef WEBSOCKET
    row_of<websocket_module>,
#endif
#ifdef HTTP2
    row_of<http2_module>,
#endif
#ifdef LAST_RUN
    row_of<last_run_module>,
#endif
#ifdef PAGE
    row_of<page_module>,
#endif
#ifdef PPROF
    row_of<pprof_module>,
#endif
#ifdef HEAP
    row_of<heap_module>,
#endif
#ifdef UPGRADE
    row_of<upgrade_module>,
#endif
#ifdef TRACE
    row_of<trace_module>,
#endif
#ifdef TELEMETRY
    row_of<telemetry_module>,
#endif
};

tracker::sink_makers known_sinks(const std::shared_ptr<lifecycle::line_writer>& output) {
    auto known = tracker::own_sinks(output);
#ifdef HTTP_SINK
    known["http"] = tracker::make_http_sink;
#endif
#ifdef KAFKA
    known["kafka"] = tracker::make_kafka_sink;
#endif
#ifdef NATS
    known["nats"] = tracker::make_nats_sink;
#endif
    return known;
}

/// Settings that would be without effect, since the module that reads them is not there.
struct unread {
    const char* module;
    const char* key;
};
const std::vector<unread> settings_of_others = {
// [module tls]
#ifndef TLS
    {"TLS", "app.tls_certificate"},
    {"TLS", "app.tls_client_ca"},
    {"TLS", "app.tls_ticket_key"},
    {"TLS", "debug.tls_certificate"},
    {"TLS", "debug.tls_client_ca"},
    {"TLS", "debug.tls_ticket_key"},
#endif
// [/module tls]
// [module telemetry]
#ifndef TELEMETRY
    {"TELEMETRY", "telemetry.otlp_endpoint"},
#endif
// [/module telemetry]
// [module http2]
#ifndef HTTP2
    {"HTTP2", "app.http2_max_streams"},
#endif
// [/module http2]
// [module websocket]
#ifndef WEBSOCKET
    {"WebSocket", "app.max_websocket_message"},
    {"WebSocket", "app.websocket_ping"},
#endif
    // [/module websocket]
};

void require_built(const configs::loaded& settings) {
// [module http2]
#ifndef HTTP2
    // That the file with the defaults has the default asks for nothing.
    const auto& place = settings.origin.find("app.http2")->second;
    if (settings.values.app.http2 && place != "built-in" && place.find(':') == place.npos)
        throw std::runtime_error(configs::shown(settings, "app.http2") +
                                 ": this program is built without HTTP2: allowed is false");
#endif
    // [/module http2]
    for (const auto& [name, key] : settings_of_others)
        if (!configs::is_default(settings, key))
            throw std::runtime_error(fmt::format("{}: this program is built without {}: allowed is none",
                                                 configs::shown(settings, key), name));
}

}  // namespace

modules::modules(const module_start& start)
    : start_{start.settings, start.stop, start.workers, start.log, has_http2, follows_another()} {
    require_built(start_.settings);
    for (const auto& row : rows) all_.push_back(row.make(start_));
    for (const auto& extra : all_)
        if (auto observer = extra->call_observer())
            // After all are made: which of them makes calls is not known to the one that looks at them.
            for (const auto& other : all_) other->show_calls_to(observer);
}

modules::~modules() = default;

void modules::check(const configs::loaded& settings, spdlog::logger& log) {
    const auto& options = settings.values.tracker;
    const auto known = known_sinks(nullptr), own = tracker::own_sinks(nullptr);  // only asked for their names
    tracker::require_known(options, known);
    for (const auto& name : options.sinks)  // but for those of the tracker itself, which open files
        if (!own.contains(name)) known.at(name)(options, log, [] { return lifecycle::clock::time_point::max(); });
    require_built(settings);
    // So that --check-config finds what the start would.
    for (const auto& row : rows) row.check(settings);
}

ask_through modules::asking([[maybe_unused]] const configs::config& config) {
#ifdef TLS
    return tls_module::asking(config);
#else
    return nullptr;
#endif
}

bool modules::follows_another() {
#ifdef UPGRADE
    return in_place_upgrade::follows_another();
#else
    return false;
#endif
}

tracker::sinks modules::sinks(const lifecycle::part& tracker) {
    auto known = known_sinks(start_.log.output);
    for (const auto& extra : all_) extra->wrap_sinks(known);
    return tracker::make_sinks(start_.settings.values.tracker, *start_.log.logger, tracker, known);
}

server::options modules::inherit(std::string_view server, server::options own) {
    for (const auto& extra : all_) own = extra->inherit(server, std::move(own));
    return own;
}

server::router modules::around(server::router app) {
    for (const auto& extra : all_) extra->add_routes(app);
    return app;
}

server::router modules::debug_routes(server::debug_sources from) {
    for (const auto& extra : all_) extra->look_at(from);
    auto routes = server::debug_routes(from);
    for (const auto& extra : all_) extra->add_debug_routes(routes, from);
    return routes;
}

void modules::equip(std::string_view name, server::http_server& server) {
    for (const auto& extra : all_) extra->equip(name, server);
}

// [module http_client]
server::http_client& modules::client() {
    for (const auto& extra : all_)
        if (auto* const found = extra->client()) return *found;
    throw std::logic_error("this program is built without HTTP_CLIENT");
}

// [/module http_client]
void modules::made(const service_parts& parts) {
    for (const auto& extra : all_) extra->made(parts);
}

void modules::run_parts(lifecycle::done_collector& done) {
    for (const auto& extra : all_) extra->run_parts(done);
}

std::vector<std::shared_ptr<void>> modules::watch() {
    std::vector<std::shared_ptr<void>> watching;
    for (const auto& extra : all_) watching.push_back(extra->watch());
    return watching;
}

std::vector<std::shared_ptr<void>> modules::reloading() {
    std::vector<std::shared_ptr<void>> notes;
    for (const auto& extra : all_) notes.push_back(extra->reloading());
    return notes;
}

void modules::write_metrics(server::metrics_text& out) const {
    for (const auto& extra : all_) extra->write_metrics(out);
    out.family("previous_exit", "gauge", "How the run before this one ended.");
    out.sample(server::label("kind", previous_exit()), 1);
}

std::string modules::previous_exit() const {
    for (const auto& extra : all_)
        if (auto kind = extra->previous_exit(); !kind.empty()) return kind;
    return "unknown";
}

void modules::reload() {
    for (const auto& extra : all_) extra->reload();
}

void modules::upgrade() {
    bool done = false;
    for (const auto& extra : all_) done = extra->upgrade() || done;
    if (!done) start_.log.logger->info("SIGUSR2 ignored: this program is built without UPGRADE");
}

void modules::ready() {
    for (const auto& extra : all_) extra->ready();
}

bool modules::handed_over() const {
    return std::ranges::any_of(all_, [](const auto& extra) { return extra->handed_over(); });
}

void modules::progress(const lifecycle::stop_channel::status& status) {
    for (const auto& extra : all_) extra->progress(status);
}

void modules::ended(const lifecycle::shutdown_report& report) {
    for (const auto& extra : all_) extra->ended(report);
}
