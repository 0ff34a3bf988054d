#include "cmd/service/inspection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cmd/service/build_info.hpp"
#include "configs/command_line.hpp"
#include "configs/layers.hpp"
#include "configs/program.hpp"
#include "lifecycle/conclusion.hpp"
#include "lifecycle/lines.hpp"
#include "server/metrics.hpp"
#include "server/stacks.hpp"

namespace {

namespace json = boost::json;
using server::label;

json::object to_json(const tracker::account& account) {
    return {{"accepted", account.accepted},
            {"recovered", account.recovered},
            {"delivered", account.delivered},
            {"spooled", account.spooled},
            {"dropped", json::value_from(account.dropped)},
            {"queued", account.queued},
            {"refused", account.refused},
            {"balanced", account.balanced()}};
}

std::string settings_as_json(const configs::loaded& settings) {
    json::array all;
    for (const auto& row : configs::rows(settings))
        all.push_back({{"key", row.key}, {"value", row.value}, {"place", row.place}});
    return json::serialize(json::object{{"settings", std::move(all)}}) + '\n';
}

std::string build_as_json() {
    const json::object skeleton{{"version", skeleton_info::version()},
                                {"revision", skeleton_info::revision()},
                                {"date", skeleton_info::date()},
                                {"age_days", skeleton_info::age_in_days()}};
    const auto libraries =
        fmt::format("{}, {}, {}", skeleton_info::libraries(), configs::command_line_parser(), configs::file_parser());
    const json::object build{{"name", configs::this_program().name},
                             {"version", build_info::version()},
                             {"revision", build_info::revision()},
                             {"compiler", build_info::compiler()},
                             {"flags", build_info::flags()},
                             {"libraries", libraries},
                             {"skeleton", skeleton}};
    return json::serialize(build) + '\n';
}

void add(lifecycle::shutdown_report& report, const server::stop_account& served, const tracker::event_tracker& events) {
    served.add_to(report);
    const auto account = events.account();
    const json::object of_events{{"accepted", account.accepted},
                                 {"recovered", account.recovered},
                                 {"delivered", account.delivered},
                                 {"spooled", account.spooled},
                                 {"dropped", json::value_from(account.dropped)},
                                 {"stranded", events.stranded()}};
    report.sections.push_back({"events", json::serialize(of_events)});
    report.events_left = account.spooled;
    // At the end nothing may wait: what does is in no column, and would be lost without a trace.
    report.balanced = account.balanced() && account.queued == 0;
    // Those two were asked for: by tracker.overflow, and by a sink that will never take them.
    report.lost = std::ranges::any_of(
        account.dropped, [](const auto& pair) { return pair.first != "overflow" && pair.first != "dead_letter"; });
}

/// By all ports that serve clients.
server::stop_account served_by(const inspected& parts) {
    server::stop_account served;
    parts.app.account(served);
    for (const auto* port : parts.more_ports) port->account(served);
    return served;
}

/// What a stop that is under way has come to. A request that is being answered may still be answered whole; at its end
/// (`over`) it is cut.
std::string outcome(const inspected& parts, bool over) {
    const auto status = parts.stop.now();
    auto served = served_by(parts);
    const auto runs = [&status](const char* part) { return std::ranges::count(status.running, part) > 0; };
    if (!over && runs("app")) {
        // The account counts what is under way as cut, for the case that the process ends now.
        served.requests.cut -= served.requests.under_way;
        served.stragglers.clear();
    }
    lifecycle::shutdown_report report;
    add(report, served, parts.events);
    report.balanced = report.balanced || runs("tracker");
    const lifecycle::ends ends{
        .failure = parts.stop.failed() || status.cause.starts_with("part:"),
        .failure_before_ready = parts.stop.failed_before_ready() || !parts.stop.has_been_ready()};
    int code = lifecycle::exit_code_of(ends, report);
    // As the exit will count them: what has not ended by now is a straggler.
    if (over && (runs("app") || runs("tracker"))) code = std::max<int>(code, lifecycle::exit_code::forced);
    return json::serialize(json::object{{"over", over},
                                        {"cause", status.cause},
                                        {"exit_code", code},
                                        {"answered", report.work_answered},
                                        {"cut", report.work_cut},
                                        {"gone", served.requests.gone},
                                        {"events_left", report.events_left + parts.events.account().queued},
                                        {"running", json::value_from(status.running)}});
}

void write_tracker_metrics(server::metrics_text& out, const tracker::event_tracker& events, std::size_t capacity) {
    const auto recovery_left = events.recovery_bytes_left();  // before the account: 0 of both means that all is through
    const auto account = events.account();
    const auto number = [](std::uint64_t n) { return static_cast<double>(n); };
    out.single("tracker_events_accepted_total", "counter", "Events that were answered 201.", number(account.accepted));
    out.single("tracker_events_recovered_total", "counter", "Events taken over from earlier runs.",
               number(account.recovered));
    out.single("tracker_events_delivered_total", "counter", "Events that all sinks have.", number(account.delivered));
    out.single("tracker_events_spooled_total", "counter", "Events left in the spool.", number(account.spooled));
    out.single("tracker_events_refused_total", "counter", "Events that were never accepted.", number(account.refused));
    out.family("tracker_events_dropped_total", "counter", "Accepted events given up, by reason.");
    for (const auto& [reason, count] : account.dropped) out.sample(label("reason", reason), number(count));
    out.single("tracker_queue_depth", "gauge", "Events in the queue.", number(events.depth()));
    out.single("tracker_queue_capacity", "gauge", "Events that the queue has room for.", number(capacity));
    out.single("tracker_events_waiting", "gauge", "Accepted events that not all sinks have yet.",
               number(account.queued));
    out.single("tracker_spool_writable", "gauge", "0 while the spool takes no events and they are refused.",
               events.writable() ? 1 : 0);
    out.single("tracker_stranded_events", "gauge", "Events of earlier runs that this one does not deliver.",
               number(events.stranded()));
    out.family("tracker_disk_errors_total", "counter", "Calls that the disk of the spool or of a sink has failed.");
    for (const auto& [call, times] : events.disk_errors()) out.sample(label("call", call), number(times));
    out.single("tracker_recovery_bytes_left", "gauge", "Left by earlier runs and not looked at yet.",
               number(recovery_left));
    const auto sinks = events.sink_states();
    out.family("tracker_sink_waiting", "gauge", "Accepted events that this sink does not have yet.");
    for (const auto& sink : sinks) out.sample(label("sink", sink.name), number(sink.waiting));
    out.family("tracker_sink_healthy", "gauge", "0 while deliveries to this sink fail.");
    for (const auto& sink : sinks) out.sample(label("sink", sink.name), sink.healthy ? 1 : 0);
    out.family("tracker_sink_copies", "gauge", "Servers that have what this sink has delivered; 0: not known.");
    for (const auto& sink : sinks) out.sample(label("sink", sink.name), sink.copies);
    out.single("tracker_healthy", "gauge", "0 while deliveries fail.", events.healthy() ? 1 : 0);
}

}  // namespace

server::debug_sources inspection(const inspected& parts) {
    const auto began = lifecycle::clock::now();
    const auto& events = parts.events;
    auto metrics = [&events, &settings = parts.settings, dropped = parts.log.dropped,
                    others = parts.metrics_of_others](server::metrics_text& out) {
        write_tracker_metrics(out, events, settings.now()->values.tracker.queue_capacity);
        settings.write_metrics(out);
        out.single("log_lines_dropped_total", "counter", "Log lines that stderr had no room for.",
                   static_cast<double>(dropped->load()));
        others(out);
        out.family("build_info", "gauge", "What this is.");
        out.sample(label("version", build_info::version()) + ',' + label("revision", build_info::revision()), 1);
        out.family("curfew_build_info", "gauge", "The skeleton that this was made from; the value is its age in days.");
        out.sample(label("version", skeleton_info::version()) + ',' + label("revision", skeleton_info::revision()) +
                       ',' + label("date", skeleton_info::date()),
                   skeleton_info::age_in_days());
    };
    auto backlog = [&events, began] {
        const double age = std::chrono::duration<double>(lifecycle::clock::now() - began).count();
        const auto account = events.account();
        return std::pair(static_cast<double>(account.queued),
                         static_cast<double>(account.delivered) / std::max(age, 1.0));
    };
    return {.app = parts.app,
            .stop = parts.stop,
            .workers = parts.workers,
            .log = *parts.log.logger,
            .allowed_hosts = parts.settings.now()->values.debug.allowed_hosts,
            .healthy = [&events] { return events.writable() && events.readable(); },
            .metrics = std::move(metrics),
            .vars =
                [&events] {
                    return json::serialize(json::object{{"tracker", to_json(events.account())}});
                },
            .config = [&settings = parts.settings] { return settings_as_json(*settings.now()); },
            .reload = [&settings = parts.settings](lifecycle::context context,
                                                   const server::request&) { return settings.post(context); },
            .build = build_as_json(),
            .backlog = std::move(backlog),
            .taken = [&events] { return events.account().accepted; },
            .outcome = [parts](bool over) { return outcome(parts, over); },
            .shown_arguments = configs::shown_arguments};
}

void fill_in(lifecycle::shutdown_report& report, const inspected& parts) {
    add(report, served_by(parts), parts.events);
}

std::string stack_line(pid_t thread, std::chrono::milliseconds limit) {
    return fmt::format("{}", fmt::join(server::stack_of(thread, limit), " < "));
}

void log_stacks(const lifecycle::workers& workers, spdlog::logger& log) {
    for (const auto& worker : workers.list())
        lifecycle::lines(log).info("stack of {kind} {worker}: {stack}", worker.kind, worker.name,
                                   stack_line(worker.thread, std::chrono::milliseconds(50)));
}
