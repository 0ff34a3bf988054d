#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cmd/service/log.hpp"
#include "cmd/service/reload.hpp"
#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"
#include "server/admin/debug.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

/// What main has made, as it is looked at and told things. Everything must outlive the parts.
struct inspected {
    server::http_server& app;
    const tracker::event_tracker& events;
    lifecycle::stop_channel& stop;
    lifecycle::workers& workers;
    const process_log& log;
    settings_in_force& settings;
    std::function<void(server::metrics_text&)> metrics_of_others = [](auto&) {};
    std::vector<const server::http_server*> more_ports = {};  ///< that serve clients, beside the app's
};

/// Where the server and the tracker, which know nothing of each other, are shown side by side.
server::debug_sources inspection(const inspected& parts);

/// The sections of the report, which only the parts know. Safe while they still run.
void fill_in(lifecycle::shutdown_report& report, const inspected& parts);

/// The stack of a thread in one line, for the log and the report.
std::string stack_line(pid_t thread, std::chrono::milliseconds limit);

/// SIGQUIT: every worker's stack to the log.
void log_stacks(const lifecycle::workers& workers, spdlog::logger& log);
