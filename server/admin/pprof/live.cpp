#include "server/admin/pprof/live.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <map>

#include "server/admin/pprof/tasks.hpp"
#include "server/admin/pprof/threads.hpp"
#include "server/loop.hpp"
#include "server/stacks.hpp"

namespace server::pprof {

namespace json = boost::json;
using lifecycle::context;
using answer = lifecycle::awaitable<response>;
using shared_sources = std::shared_ptr<const debug_sources>;

namespace {

/// Tables by name, each an array of objects with the same keys.
using view = json::object (*)(const debug_sources& from, const loop_reports& loops);

// ── as text ─────────────────────────────────────────────────────────────────────────────────────

/// Cut to what can be read: names of templates have thousands of letters, and JSON has them whole.
std::string cell(const json::value& of, std::size_t widest = 100) {
    if (!of.is_string()) return json::serialize(of);
    const auto& text = of.as_string();
    if (text.empty()) return "-";
    return text.size() > widest ? std::string(text.data(), widest) + "..." : std::string(text);
}

/// The plain values in columns under their names; what is a list stands below its row.
std::string as_text(const json::array& rows) {
    if (rows.empty()) return "none\n";
    std::vector<std::vector<std::string>> lines(1);
    for (const auto& [key, value] : rows.front().as_object())
        if (!value.is_array()) lines.front().emplace_back(key);
    std::vector<std::string> lists(1);
    for (const auto& row : rows) {
        lines.emplace_back();
        lists.emplace_back();
        for (const auto& [key, value] : row.as_object()) {
            if (!value.is_array()) {
                lines.back().push_back(cell(value));
                continue;
            }
            for (const auto& element : value.as_array()) lists.back() += "    " + cell(element, 160) + '\n';
        }
    }
    std::vector<std::size_t> widths(lines.front().size());
    for (const auto& line : lines)
        for (std::size_t at = 0; at < line.size(); ++at) widths[at] = std::max(widths[at], line[at].size());
    std::string text;
    for (std::size_t nth = 0; nth < lines.size(); ++nth) {
        for (std::size_t at = 0; at < widths.size(); ++at) text += fmt::format("{:<{}}  ", lines[nth][at], widths[at]);
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n' + lists[nth];
    }
    return text;
}

answer show(shared_sources from, view look, const request& request) {
    const auto format = request.query_value("format").value_or("text");
    if (format != "text" && format != "json") co_return response(http::status::bad_request, "format: text or json\n");
    auto asking = ask_loops(*from);
    const auto loops = co_await std::move(asking);
    const auto tables = look(*from, loops);
    if (format == "json") co_return response(http::status::ok, json::serialize(tables) + '\n', "application/json");
    std::string text;
    for (const auto& [name, rows] : tables) text += (text.empty() ? "" : "\n") + as_text(rows.as_array());
    co_return response(http::status::ok, std::move(text));
}

// ── what there is ───────────────────────────────────────────────────────────────────────────────

json::object threads(const debug_sources& from, const loop_reports&) {
    json::array rows;
    for (const auto& describe_thread : describe_threads(from.workers.list()))
        rows.push_back({{"name", describe_thread.name},
                        {"kind", describe_thread.kind},
                        {"thread", describe_thread.id},
                        {"state", describe_thread.state},
                        {"waits_in", describe_thread.waits_in},
                        {"cpu_ms", describe_thread.cpu.count()},
                        {"stack", json::value_from(describe_thread.stack)}});
    return {{"threads", std::move(rows)}};
}

/// A wedged loop is in it too, with what it was entered for last: the request that holds up the others.
json::object requests(const debug_sources& from, const loop_reports& loops) {
    json::array rows;
    for (const auto& [owners, row, left, wedged] : tasks_of(from, loops))
        if (row.kind == "request" || wedged != 0)
            rows.push_back({{"route", row.name},
                            {"target", row.target},
                            {"state", row.state},
                            {"age_ms", row.age.count()},
                            {"deadline_ms", left ? json::value(left->count()) : json::value()},
                            {"client", row.client},
                            {"peer", row.peer},
                            {"protocol", row.protocol},
                            {"trace_id", row.trace},
                            {"loop", owners.front()},
                            {"where", row.where}});
    return {{"requests", std::move(rows)}};
}

json::object connections(const debug_sources& from, const loop_reports& loops) {
    std::map<std::string, std::uint64_t> states;
    json::array rows;
    for (const auto& [owners, row, left, wedged] : tasks_of(from, loops)) {
        if (row.client.empty()) continue;
        ++states[row.state];
        rows.push_back({{"client", row.client},
                        {"peer", row.peer},
                        {"protocol", row.protocol},
                        {"state", row.state},
                        {"age_ms", row.age.count()},
                        {"loop", owners.front()}});
    }
    const auto which = from.app.loops();
    for (std::size_t at = 0; at < loops.size(); ++at)
        if (!loops[at].answered) states["on " + loops[at].name + ", wedged"] = which[at]->account().open.get();
    json::array sums;
    for (const auto& [state, count] : states) sums.push_back({{"state", state}, {"connections", count}});
    return {{"by_state", std::move(sums)}, {"connections", std::move(rows)}};
}

/// The buckets that something has fallen into; of what is beyond them all there is no bound.
json::array buckets_of(const histogram::values& lag) {
    json::array buckets;
    for (std::size_t at = 0; at < lag.counts.size(); ++at) {
        if (lag.counts[at] == 0) continue;
        const bool bounded = at < histogram::bounds.size();
        buckets.push_back(
            {{"late_by_at_most_us", bounded ? json::value(std::lround(histogram::bounds[at] * 1e6)) : json::value()},
             {"ticks", lag.counts[at]}});
    }
    return buckets;
}

json::object loops_of(const debug_sources& from, const loop_reports& reports) {
    json::array rows;
    const auto loops = from.app.loops();
    for (std::size_t at = 0; at < loops.size(); ++at) {
        const auto& account = loops[at]->account();
        const auto& report = reports[at];
        const auto stall = loops[at]->stall();
        const bool wedged = stall && !report.answered;
        histogram::values lag;
        lag += account.lag;
        rows.push_back({{"loop", report.name},
                        {"thread", report.thread},
                        {"state", wedged  ? "wedged"
                                  : stall ? "turns"
                                          : "ended"},
                        {"turns", account.turns.get()},
                        {"turned_ms_ago", stall ? json::value(stall->count()) : json::value()},
                        {"connections", account.open.get()},
                        {"idle", account.idle.get()},
                        {"in_flight", account.in_flight.get()},
                        {"lag_p99_us", std::lround(lag.quantile(0.99) * 1e6)},
                        {"last_entered", wedged ? report.last_entered : std::string()},
                        {"lag", buckets_of(lag)},
                        {"stack", wedged ? json::value_from(stack_of(report.thread)) : json::array()}});
    }
    return {{"loops", std::move(rows)}};
}

}  // namespace

void add_live_routes(router& routes, const shared_sources& from) {
    const auto add = [&](std::string_view path, view look) {
        routes.get(path, [from, look](context, const request& request) -> answer { return show(from, look, request); });
    };
    add("/debug/requests", requests);
    add("/debug/connections", connections);
    add("/debug/loops", loops_of);
    add("/debug/pprof/threads", threads);
}

}  // namespace server::pprof
