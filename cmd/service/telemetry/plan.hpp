#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/service/telemetry/sampler.hpp"
#include "configs/config.hpp"

namespace telemetry {

using fields = std::vector<std::pair<std::string, std::string>>;

/// Where one signal goes, and how.
struct destination {
    std::string url = {};
    fields headers = {};
    std::chrono::milliseconds timeout{10'000};  ///< of one try
    bool gzip = false;
    std::string ca = {}, certificate = {}, key = {};  ///< PEM files; empty: the system's, and none of our own
};

/// What telemetry there is: our settings and the variables of the OpenTelemetry specification.
///
/// The endpoint: `telemetry.otlp_endpoint`, where it is set, is in the place of OTEL_EXPORTER_OTLP_ENDPOINT, which is
/// meant for all programs of a machine; OTEL_EXPORTER_OTLP_{TRACES,METRICS,LOGS}_ENDPOINT still say it for their
/// signal. Without any of them there is no telemetry: unlike an SDK, which is linked to be used, we do not call
/// whatever listens on localhost:4318.
struct plan {
    std::optional<destination> traces, metrics, logs;
    sampler sampling;
    std::string sampler_name;           ///< as it was understood
    fields resource;                    ///< attributes, each name once
    std::vector<std::string> warnings;  ///< a line for each value that is not taken
    bool disabled = false;              ///< by OTEL_SDK_DISABLED

    explicit operator bool() const noexcept { return traces || metrics || logs; }
};

/// The value of a variable of the environment; none, or an empty one: it is not set.
using variables = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> variable_of_process(const char* name);

/// Throws std::runtime_error with one line when a setting of ours is wrong; what is wrong in a variable of
/// OpenTelemetry's is a warning, and its default is taken.
plan make_plan(const configs::telemetry_options& options, const variables& ask);

/// The warnings, and what has been understood, without secrets.
void say(const plan& made, spdlog::logger& log);

}  // namespace telemetry
