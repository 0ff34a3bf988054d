#include "server/admin/debug.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "server/loop.hpp"
#include "server/metrics.hpp"
#include "server/middleware.hpp"
#include "server/stacks.hpp"

namespace server {

namespace json = boost::json;
using lifecycle::clock;
using lifecycle::context;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

using shared_sources = std::shared_ptr<const debug_sources>;
using answer = lifecycle::awaitable<response>;

constexpr std::string_view json_type = "application/json";

constexpr std::string_view index_text =
    "/livez               200 as long as this process can answer\n"
    "/readyz              200 while it serves, 503 from the first moment of a stop\n"
    "/metrics             Prometheus text\n"
    "/debug/vars          counters as JSON\n"
    "/debug/tasks         every live thread, connection and request\n"
    "/debug/config        effective settings and where each comes from\n"
    "/debug/config/reload POST reads the settings again and applies what can be changed now\n"
    "/debug/build         version, compiler, flags, libraries\n"
    "/debug/log           GET the level, POST another (trace debug info warn error critical off)\n"
    "/debug/shutdown      GET what a stop would wait for, POST begins one (?budget=10s: over by then), DELETE leaves "
    "its lame duck\n";

response as_json(const json::value& value, http::status status = http::status::ok) {
    return response(status, json::serialize(value) + '\n', json_type);
}

bool is_ready(const debug_sources& from) { return from.stop.is_ready() && (!from.healthy || from.healthy()); }

json::array phases_of(const lifecycle::stop_channel::status& status) {
    json::array phases;
    for (const auto& phase : status.phases)
        phases.push_back({{"name", phase.name}, {"budget_ms", phase.allowed.count()}, {"used_ms", phase.used.count()}});
    return phases;
}

/// What a stop would cost now, in seconds: the slowest hundredth of requests, and the queue.
double shutdown_eta(const debug_sources& from) {
    const auto app = from.app.now();
    const double requests = app.in_flight > 0 ? app.p99 : 0;
    double queue = 0;
    if (from.backlog) {
        const auto [depth, rate] = from.backlog();
        queue = depth > 0 && rate > 0 ? depth / rate : 0;
    }
    const auto& options = from.stop.options();
    const double waits =
        std::chrono::duration<double>(options.lame_duck + (app.idle > 0 ? options.idle_grace : milliseconds(0)))
            .count();
    return waits + requests + queue;
}

/// The names of the phases of a stop in their order: those so far, and those to come of the parts that have not ended.
json::array steps_of(const lifecycle::stop_channel::status& status) {
    json::array steps{"lame_duck"};
    std::string begun;  // "+app+admin+"
    for (const auto& phase : status.phases) {
        if (phase.name != "lame_duck") steps.emplace_back(phase.name);
        begun += '+' + phase.name + '+';
    }
    for (auto part = status.running.rbegin(); part != status.running.rend(); ++part)
        if (begun.find('+' + *part + '+') == std::string::npos) steps.emplace_back(*part);
    return steps;
}

json::value parsed(const std::string& text) { return text.empty() ? json::value() : json::parse(text); }

json::object state_of_stop(const debug_sources& from) {
    const auto status = from.stop.now();
    const auto app = from.app.now();
    const auto& options = from.stop.options();
    const auto backlog = from.backlog ? from.backlog() : std::pair<double, double>{0, 0};
    return {{"phase", lifecycle::to_string(status.phase)},
            {"cause", status.cause},
            {"forced", status.forced},
            {"budget_ms", options.budget.count()},
            {"left_ms", status.left.count()},
            {"lame_duck_ms", options.lame_duck.count()},
            {"idle_grace_ms", options.idle_grace.count()},
            {"flush_ms", options.flush.count()},
            {"running", json::value_from(status.running)},
            {"phases", phases_of(status)},
            {"steps", steps_of(status)},
            {"so_far", parsed(from.outcome && from.stop.stopping() ? from.outcome(false) : std::string())},
            {"previous_run", parsed(from.previous_run ? from.previous_run() : std::string())},
            {"eta_seconds", shutdown_eta(from)},
            {"waits_for",
             {{"connections", app.open},
              {"idle", app.idle},
              {"requests_in_flight", app.in_flight},
              {"request_seconds", {{"p50", app.p50}, {"p99", app.p99}}},
              {"events_queued", backlog.first},
              {"events_per_second", backlog.second}}}};
}

json::object to_json(const task_row& row) {
    json::object object{{"name", row.name}, {"kind", row.kind}, {"state", row.state}, {"age_ms", row.age.count()}};
    if (!row.where.empty()) object["where"] = row.where;
    if (!row.trace.empty()) object["trace_id"] = row.trace;
    if (!row.client.empty()) object["client"] = row.client;
    if (!row.peer.empty()) object["peer"] = row.peer;
    if (!row.protocol.empty()) object["protocol"] = row.protocol;
    if (!row.target.empty()) {
        object["target"] = row.target;
        object["deadline_ms"] = row.left.count();
    }
    return object;
}

/// Every worker, and what is alive on the app's loops. A loop that does not answer is shown with its stack.
answer tasks(shared_sources from) {
    json::array all;
    for (const auto& worker : from->workers.list())
        all.push_back({{"name", worker.name},
                       {"kind", worker.kind},
                       {"state", "running"},
                       {"age_ms", duration_cast<milliseconds>(clock::now() - worker.born).count()},
                       {"thread", worker.thread}});
    auto inspecting = from->app.inspect(inspection_limit);
    const auto loops = co_await std::move(inspecting);
    for (const auto& loop : loops) {
        for (const auto& row : loop.tasks) all.push_back(to_json(row));
        if (loop.answered) continue;
        const auto stack = stack_of(loop.thread);
        all.push_back({{"name", loop.name},
                       {"kind", "loop"},
                       {"state", "wedged"},
                       {"last_entered", loop.last_entered},
                       {"stack", json::value_from(stack)}});
    }
    co_return as_json(json::object{{"tasks", std::move(all)}});
}

response metrics(const debug_sources& from, const request& asked) {
    metrics_text out(metrics_text::wanted_by(asked.header(http::field::accept)));
    from.app.write_metrics(out);
    if (from.metrics) from.metrics(out);
    const auto phase = from.stop.phase();
    out.family("shutdown_phase", "gauge", "1 for the phase that the process is in.");
    using lifecycle::stop_phase;
    for (const auto each :
         {stop_phase::starting, stop_phase::serving, stop_phase::lame_duck, stop_phase::stopping, stop_phase::stopped})
        out.sample(label("phase", lifecycle::to_string(each)), each == phase ? 1 : 0);
    out.single("shutdown_eta_seconds", "gauge", "How long a stop begun now would take.", shutdown_eta(from));
    out.single("workers", "gauge", "Live threads of the service.", static_cast<double>(from.workers.live()));
    write_process_metrics(out);
    response answer(http::status::ok, {}, out.content_type());
    answer.body = out.take();
    return std::move(answer.set("Vary", "Accept"));
}

response vars(const debug_sources& from) {
    const auto app = from.app.now();
    json::object all{{"phase", lifecycle::to_string(from.stop.phase())},
                     {"connections", {{"open", app.open}, {"idle", app.idle}, {"accepted", app.accepted}}},
                     {"requests",
                      {{"answered", app.requests},
                       {"in_flight", app.in_flight},
                       {"refused", app.refused},
                       {"p50_seconds", app.p50},
                       {"p99_seconds", app.p99}}},
                     {"workers", from.workers.live()}};
    if (from.vars) {
        const auto others = json::parse(from.vars()).as_object();
        for (const auto& [key, value] : others) all[key] = value;
    }
    return as_json(all);
}

response set_level(const debug_sources& from, const request& request) {
    const auto asked = request.query_value("level");
    auto name = asked ? *asked : std::string(request.body);
    if (name.starts_with("level=")) name.erase(0, 6);
    name.erase(name.find_last_not_of(" \r\n\t") + 1);
    const auto level = spdlog::level::from_str(name);
    if (level == spdlog::level::off && name != "off")  // that is how spdlog says that it does not know it
        return response(http::status::bad_request, "one of: trace debug info warn error critical off\n");
    from.log.set_level(level);
    // Loud enough to be written, whatever the new level is.
    from.log.log(std::max(level, spdlog::level::info), "log level set to {}", name);
    return as_json(json::object{{"level", name}});
}

void add_shutdown_routes(router& routes, const shared_sources& from) {
    routes.get("/debug/shutdown", plain([from](const request&) { return as_json(state_of_stop(*from)); }));
    routes.post("/debug/shutdown", plain([from](const request& asked) {
                    const auto text = asked.query_value("budget");
                    const auto budget = text ? parse_duration(*text) : std::nullopt;
                    if (text && (!budget || budget->count() == 0))
                        return response(http::status::bad_request,
                                        "budget: allowed is a duration above 0, as 500ms, 10s or 1m\n");
                    from->stop.request("debug", budget);
                    return as_json(state_of_stop(*from), http::status::accepted);
                }));
    routes.add(http::verb::delete_, "/debug/shutdown", plain([from](const request&) {
                   if (from->stop.withdraw()) return as_json(state_of_stop(*from));
                   return response(http::status::conflict,
                                   "only the lame duck of a stop that a POST began can be left\n");
               }));
}

}  // namespace

std::string shutdown_state(const debug_sources& from) { return json::serialize(state_of_stop(from)); }

router debug_routes(debug_sources sources) {
    const auto from = std::make_shared<const debug_sources>(std::move(sources));
    router routes;
    routes.use(same_site_only(from->allowed_hosts));
    routes.probe("/livez", plain([from](const request&) {
                     // Only what a restart would mend: a dependency that is away would be as far away after it.
                     return from->stop.failed() ? response(http::status::service_unavailable, "a thread has failed\n")
                                                : response(http::status::ok, "ok\n");
                 }));
    routes.probe(
        "/readyz", plain([from](const request&) {
            if (is_ready(*from)) return response(http::status::ok, "ok\n");
            return std::move(response(http::status::service_unavailable, "not ready\n").set("Retry-After", "1"));
        }));
    routes.get("/metrics", plain([from](const request& asked) { return metrics(*from, asked); }));
    routes.get("/debug/", plain([from](const request& request) {
                   const auto index = std::string(index_text) + from->index;
                   const bool browser = request.header(http::field::accept).find("text/html") != std::string_view::npos;
                   if (browser && from->page) return from->page(*from, index);
                   return std::move(response(http::status::ok, index).set("Vary", "Accept"));
               }));
    routes.get("/debug/vars", plain([from](const request&) { return vars(*from); }));
    routes.get("/debug/tasks", [from](context, const request&) -> answer { return tasks(from); });
    routes.get("/debug/config",
               plain([from](const request&) { return response(http::status::ok, from->config(), json_type); }));
    if (from->reload) routes.post("/debug/config/reload", from->reload);
    routes.get("/debug/build",
               plain([from](const request&) { return response(http::status::ok, from->build, json_type); }));
    routes.get("/debug/log", plain([from](const request&) {
                   const auto name = spdlog::level::to_string_view(from->log.level());
                   return as_json(json::object{{"level", std::string(name.data(), name.size())}});
               }));
    for (const auto method : {http::verb::post, http::verb::put})
        routes.add(method, "/debug/log", plain([from](const request& request) { return set_level(*from, request); }));
    add_shutdown_routes(routes, from);
    return routes;
}

}  // namespace server
