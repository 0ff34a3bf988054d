#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "lifecycle/options.hpp"
#include "server/options.hpp"
#include "tracker/options.hpp"

namespace configs {

struct log_options {
    std::string level = "info";   ///< trace, debug, info, warn, error, critical, off
    std::string format = "text";  ///< text, json
    bool access = false;          ///< one line a request of the app server
};
// [module telemetry]
/// Of the module telemetry; what `OTEL_*` variables say comes beside it (docs/telemetry.md).
struct telemetry_options {
    std::string endpoint;                       ///< http://host:port of an OTLP receiver; empty: none
    std::size_t queue_capacity = 8'192;         ///< spans of one loop, and log records, that wait
    std::chrono::milliseconds interval{1'000};  ///< the longest that they wait for others
    std::chrono::milliseconds metrics_interval{60'000};
    std::chrono::milliseconds flush{1'000};  ///< of the budget of a stop
    std::string log_level = "warn";          ///< the least that goes out as a log record
};
// [/module telemetry]
/// Everything that the process can be told. A default-made one is the built-in defaults, and those
/// alone give a service that runs. A plain value; nothing in it knows where it came from.
struct config {
    server::options app;
    server::options debug{.address = "127.0.0.1",
                          .port = 8001,
                          .threads = 1,
                          .max_connections = 32,  // of the descriptors that are not for the app's
                          .request_timeout = std::chrono::minutes(6),
                          .allowed_hosts = {}};
    lifecycle::shutdown_options shutdown;
    tracker::options tracker;
    server::client_options client;  // [module http_client/]
    log_options log;
    telemetry_options telemetry;                        // [module telemetry/]
    std::string ready_file;                             ///< written when ready; empty: none
    std::chrono::milliseconds upgrade_timeout{30'000};  ///< until the successor of SIGUSR2 is ready
    /// By key: the file that the setting was read from. Of those whose value comes from one.
    std::map<std::string, std::string, std::less<>> secret_files;
    std::any own;  ///< of the program alone: `own` in configs/program.hpp
};

}  // namespace configs
