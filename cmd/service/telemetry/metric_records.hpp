#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "cmd/service/telemetry/request_body.hpp"
#include "cmd/service/telemetry/request_series.hpp"

namespace telemetry {

/// When the counters began to count, and now: nanoseconds since 1970.
struct span_of_time {
    std::uint64_t start = 0, now = 0;
};

/// What /metrics shows, in the Prometheus text format 0.0.4 as this process writes it, under the same names: counters
/// as monotonic cumulative sums, gauges, histograms. What is no such text is left out.
void append_metrics(batch& to, std::string_view prometheus_text, span_of_time when);

/// http.server.request.duration, of all loops.
void append_request_durations(batch& to, const std::vector<const request_series*>& of, span_of_time when);

}  // namespace telemetry
