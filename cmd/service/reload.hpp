#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "configs/command_line.hpp"
#include "configs/load.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"
#include "server/http_server.hpp"
#include "server/metrics.hpp"
#include "server/router.hpp"
#include "tracker/event_tracker.hpp"

/// The settings in force, and the one way to others: SIGHUP and POST /debug/config/reload read them again by the way
/// of the start. What is reloadable becomes one new immutable snapshot, which new work sees and old work does not;
/// what is not is named, and waits for a restart; on any fault all stays. See docs/adr/0040-reload.md.
///
/// main owns it; it outlives what it is connected to. Safe from any thread, except `connect` and `finish`.
class settings_in_force {
public:
    /// What a reload reaches. `reload_others` is called by one before the settings are read, on its worker.
    struct targets {
        server::http_server& app;
        tracker::event_tracker& events;
        const lifecycle::stop_channel& stop;
        lifecycle::workers& workers;
        spdlog::logger& log;
        std::function<void()> reload_others = [] {};
    };

    /// As they were at the start; `line` outlives it.
    settings_in_force(configs::loaded start, const configs::command& line);

    /// Once, before the parts run: without it nothing can be reloaded. What it is given outlives the parts.
    void connect(targets to) { to_.emplace(std::move(to)); }

    /// A snapshot, which stays as it is for as long as it is held.
    std::shared_ptr<const configs::loaded> now() const;

    /// Opens event files again, reads certificates again, reads the settings and applies them; the answer to a POST
    /// says what has come of it: 200, 409 in a stop, 422 with the faults. Blocks on files, and while another reload
    /// lasts: on a worker.
    server::response reload();

    /// POST: the same on a worker of its own, at most one at a time (409). Holds no thread of the debug server.
    lifecycle::awaitable<server::response> post(lifecycle::context context);

    /// Gives the worker of a POST a moment to end: by the part whose routes can start one, when they no longer do. One
    /// that hangs on a file is left to the end of the process, which names it.
    void finish();

    void write_metrics(server::metrics_text& out) const;

private:
    server::response refuse(server::http::status status, const std::vector<std::string>& faults);
    boost::json::object apply(const configs::loaded& next);

    const configs::command& line_;
    std::optional<targets> to_;
    mutable std::mutex mutex_;
    std::shared_ptr<const configs::loaded> now_;
    std::mutex reloading_;  ///< one at a time
    std::atomic<std::uint64_t> generation_{1}, applied_{0}, refused_{0};
    std::shared_future<server::response> posted_;  ///< of the last POST; only on the debug loop
    std::jthread worker_;
};
