#pragma once

#include <spdlog/logger.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "lifecycle/stop_channel.hpp"
#include "server/http_server.hpp"

/// Both sides of an upgrade in place: the process that starts its successor, and the successor that says it is ready.
///
/// main owns it, and makes it before the servers run; they and the stop channel outlive it.
/// See docs/adr/0041-upgrade-in-place.md.
class in_place_upgrade {
public:
    /// Takes the program's path and its arguments, as they are now. `timeout`: until the successor is ready.
    in_place_upgrade(server::http_server& app, server::http_server& debug, lifecycle::stop_channel& stop,
                     std::chrono::milliseconds timeout, spdlog::logger& log);
    ~in_place_upgrade();
    in_place_upgrade(const in_place_upgrade&) = delete;
    in_place_upgrade& operator=(const in_place_upgrade&) = delete;

    /// True in a process that such an upgrade has started, until it is ready: the one before it still serves.
    static bool follows_another();

    /// SIGUSR2: starts the successor, waits until it is ready, gives the listeners up and begins the stop, cause
    /// "upgrade". Whatever goes wrong is one line, and this process serves on. Blocks as long as the successor
    /// takes, and ends soon after a stop has begun: for a worker of its own.
    void run();

    /// This process answers: tells the one that it follows, if there is one. Never blocks.
    void ready() noexcept;

    /// The successor is ready, and has the listeners alone from now on. Safe from any thread.
    bool handed_over() const noexcept { return handed_over_.load(std::memory_order_acquire); }

private:
    void stop_after(pid_t next);

    server::http_server& app_;
    server::http_server& debug_;
    lifecycle::stop_channel& stop_;
    const std::chrono::milliseconds timeout_;
    spdlog::logger& log_;
    const int app_listener_, debug_listener_;
    bool owns_app_, owns_debug_;  ///< the listeners: the process that has them last closes them with care
    std::string program_;
    std::vector<std::string> arguments_;
    std::atomic<bool> handed_over_{false};
    int predecessor_ = -1;  ///< the pipe on which it waits; -1: there is none
};
