#include "lifecycle/conclusion.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lifecycle {

int exit_code_of(const ends& ends, const shutdown_report& report) {
    int code = exit_code::clean;
    const auto at_least = [&code](bool applies, int least) { code = applies ? std::max(code, least) : code; };
    for (const auto& part : ends.parts) {
        const bool unasked = part.ended && !part.asked;
        at_least(part.failed || unasked, part.before_ready ? could_not_start : part_failed);
    }
    at_least(ends.failure, ends.failure_before_ready ? could_not_start : part_failed);
    at_least(report.cut || report.lost || !report.stragglers.empty(), forced);
    at_least(report.workers_left > 0 || report.threads_left.value_or(0) > 0, forced);
    at_least(!report.balanced, unbalanced);
    return code;
}

std::vector<std::string> lines_of_stragglers(const shutdown_report& report) {
    std::vector<std::string> lines;
    for (const auto& late : report.stragglers)
        lines.push_back(fmt::format("not home: {} {} after {} ms{}{}", late.kind, late.name, late.age.count(),
                                    late.where.empty() ? "" : " in ", late.where));
    return lines;
}

std::string last_line(const shutdown_report& report) { return fmt::format("shutdown report {}", report.to_json()); }

}  // namespace lifecycle
