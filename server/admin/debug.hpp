#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <string>
#include <vector>

#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"
#include "server/http_server.hpp"
#include "server/router.hpp"

namespace server {

class metrics_text;

/// How long the debug port waits for what a loop says of itself.
inline constexpr std::chrono::milliseconds inspection_limit{100};

/// What the debug port shows. The functions are called on the debug loop and must not block; what is
/// referred to must outlive the debug server.
struct debug_sources {
    http_server& app;
    lifecycle::stop_channel& stop;
    lifecycle::workers& workers;
    spdlog::logger& log;
    std::vector<std::string> allowed_hosts;
    std::function<bool()> healthy;               ///< beside the phase: may readiness be 200?
    std::function<void(metrics_text&)> metrics;  ///< of everything that is not the server's
    std::function<std::string()> vars;           ///< a JSON object of everything that is not the server's
    std::function<std::string()> config;         ///< JSON, secrets masked
    handler reload;                              ///< POST /debug/config/reload
    std::string build;                           ///< JSON
    std::string index = {};                      ///< lines of `/debug/` for what modules add
    /// `/debug/` for clients that ask for text/html, from the lines of the index; empty: the index.
    std::function<response(const debug_sources&, std::string_view index)> page = {};
    /// How much work waits outside the server, and how many a second it becomes less.
    std::function<std::pair<double, double>()> backlog;
    /// How much work has been taken that waits so, since the start.
    std::function<std::uint64_t()> taken = {};
    /// JSON: what a stop that is under way has come to, as its report would say. `over`: nothing changes any more.
    std::function<std::string(bool over)> outcome = {};
    std::function<std::string()> previous_run = {};  ///< JSON: how the run before this one ended; empty: not known
    /// The arguments of the process as they may be shown, from what they are; empty: only the program's name is.
    std::function<std::vector<std::string>(std::vector<std::string>)> shown_arguments = {};
};

/// What /debug/shutdown answers, JSON. On the debug loop; never blocks.
std::string shutdown_state(const debug_sources& from);

/// The routes of the debug server; see the contract. It has a thread and a loop of its own, and holds no
/// lock that anybody else keeps for longer than a few loads, so it answers while the app's loops are stuck.
router debug_routes(debug_sources sources);

}  // namespace server
