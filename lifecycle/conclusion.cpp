#include "lifecycle/conclusion.hpp"

#include <algorithm>

#include "lifecycle/lines.hpp"

namespace lifecycle {

int exit_code_of(const ends& ends, const shutdown_report& report) {
    int code = exit_code::clean;
    const auto at_least = [&code](bool applies, int least) { code = applies ? std::max(code, least) : code; };
    // The order of the codes is that of how bad it is, so the highest that applies is the answer.
    for (const auto& part : ends.parts) {
        const bool unasked = part.ended && !part.asked;
        // What ends before readiness has kept the service from starting.
        at_least(part.failed || unasked, part.before_ready ? could_not_start : part_failed);
    }
    at_least(ends.failure, ends.failure_before_ready ? could_not_start : part_failed);
    at_least(report.cut || report.lost || !report.stragglers.empty(), forced);
    at_least(report.workers_left > 0 || report.threads_left.value_or(0) > 0, forced);
    at_least(!report.balanced, unbalanced);
    return code;
}

void write_last_lines(const shutdown_report& report, spdlog::logger& log) {
    // The report last: it is what programs look for at the end of a log.
    for (const auto& late : report.stragglers)
        lines(log).error("straggler: {kind} {worker} after {age_ms} ms{}{where}", late.kind, late.name,
                         late.age.count(), late.where.empty() ? "" : " in ", late.where);
    lines(log).info(
        "stopped in {duration_ms} ms, code {exit_code}: {answered} answered, {cut} cut, {events_left} events left",
        report.duration.count(), report.exit_code, report.work_answered, report.work_cut, report.events_left);
    lines(log).info("shutdown report {report}", json_value{report.to_json()});
}

}  // namespace lifecycle
