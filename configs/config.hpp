#pragma once

#include <any>
#include <chrono>
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
    server::client_options client;
    log_options log;
    std::string ready_file;                             ///< written when ready; empty: none
    std::chrono::milliseconds upgrade_timeout{30'000};  ///< until the successor of SIGUSR2 is ready
    std::any own;                                       ///< of the program alone: `own` in configs/program.hpp
};

}  // namespace configs
