#include "configs/fields.hpp"
#include "configs/kinds.hpp"
#include "configs/module_settings.hpp"

namespace configs {

std::vector<setting> rows_of_telemetry() {
    using namespace std::chrono_literals;
    using namespace kinds;
    return {
        url("telemetry.otlp_endpoint",
            "an OTLP receiver, http:// or https://host:port; empty: OTEL_* variables may name one", "a text",
            FIELD(telemetry.endpoint)),
        number("telemetry.queue_capacity",
               "spans of a loop, or log records, that may wait; more are dropped and counted",
               FIELD(telemetry.queue_capacity), 1, 1'000'000),
        duration("telemetry.interval", "how long they wait for a full batch", FIELD(telemetry.interval), 1ms, 1h),
        duration("telemetry.metrics_interval", "time between two exports of the metrics",
                 FIELD(telemetry.metrics_interval), 1ms, 24h),
        duration("telemetry.flush", "share of a stop's budget for sending what is left", FIELD(telemetry.flush), 0ms,
                 1h),
        word("telemetry.log_level", "the lowest level of log lines that are sent", FIELD(telemetry.log_level),
             {"trace", "debug", "info", "warn", "error", "critical", "off"}),
    };
}

}  // namespace configs
