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
    json::array late;
    for (const auto& straggler : stragglers)
        late.push_back({{"name", straggler.name},
                        {"kind", straggler.kind},
                        {"age_ms", straggler.age.count()},
                        {"where", straggler.where}});

    const auto seconds = std::chrono::floor<std::chrono::seconds>(started);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(started - seconds).count();
    json::object report{{"cause", cause},
                        {"exit_code", exit_code},
                        {"started", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), millis)},
                        {"duration_ms", duration.count()},
                        {"phases", std::move(phase_list)}};
    for (const auto& section : sections) report[section.name] = json::parse(section.json);
    report["stragglers"] = std::move(late);
    report["workers_left"] = workers_left;
    report["threads_left"] = threads_left ? json::value(*threads_left) : json::value(nullptr);
    return json::serialize(report);
}

}  // namespace lifecycle
