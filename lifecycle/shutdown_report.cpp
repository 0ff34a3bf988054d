#include "lifecycle/shutdown_report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>

namespace lifecycle {

std::string shutdown_report::to_json() const {
    namespace json = boost::json;
    json::array phase_list;
    for (const auto& phase : phases)
        phase_list.push_back(
            {{"name", phase.name}, {"budget_ms", phase.allowed.count()}, {"used_ms", phase.used.count()}});
    json::object dropped;
    for (const auto& [reason, count] : events.dropped) dropped[reason] = count;
    json::array late;
    for (const auto& one : stragglers)
        late.push_back({{"name", one.name}, {"kind", one.kind}, {"age_ms", one.age.count()}, {"where", one.where}});

    const auto seconds = std::chrono::floor<std::chrono::seconds>(started);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(started - seconds).count();
    const json::object report{{"cause", cause},
                              {"exit_code", exit_code},
                              {"started", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), millis)},
                              {"duration_ms", duration.count()},
                              {"phases", std::move(phase_list)},
                              {"connections",
                               {{"open_at_stop", connections.open_at_stop},
                                {"accepted_after", connections.accepted_after},
                                {"closed_idle", connections.closed_idle},
                                {"finished", connections.finished},
                                {"forced", connections.forced}}},
                              {"requests",
                               {{"in_flight_at_stop", requests.in_flight_at_stop},
                                {"begun_after", requests.begun_after},
                                {"finished", requests.finished},
                                {"cut", requests.cut},
                                {"gone", requests.gone}}},
                              {"streams",
                               {{"told", streams.told},
                                {"ended", streams.ended},
                                {"ended_by_us", streams.ended_by_us},
                                {"cut", streams.cut}}},
                              {"events",
                               {{"accepted", events.accepted},
                                {"recovered", events.recovered},
                                {"delivered", events.delivered},
                                {"spooled", events.spooled},
                                {"dropped", std::move(dropped)},
                                {"stranded", events.stranded}}},
                              {"stragglers", std::move(late)},
                              {"workers_left", workers_left},
                              {"threads_left", threads_left ? json::value(*threads_left) : json::value(nullptr)}};
    return json::serialize(report);
}

}  // namespace lifecycle
