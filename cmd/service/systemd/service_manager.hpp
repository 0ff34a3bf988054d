#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "cmd/service/systemd/notify_socket.hpp"
#include "lifecycle/stop_channel.hpp"
#include "lifecycle/workers.hpp"
#include "server/http_server.hpp"
#include "tracker/event_tracker.hpp"

/// systemd, as the process sees it: it may have bound the ports, and is told the state of the process. Where neither
/// LISTEN_FDS nor NOTIFY_SOCKET is set there is no systemd, and nothing happens.
///
/// cmd/service/modules/systemd.hpp is the module.
class service_manager {
public:
    /// Reads the environment. Throws std::runtime_error with one line, see systemd::listen_fds.
    service_manager();

    /// The options of a server, with its listening socket if systemd has one of this name: "app", "debug".
    server::options inherit(const std::string& name, server::options own) const;

    /// Tells systemd from a thread of its own: READY, STOPPING once the stop cannot be left any more, STATUS,
    /// WATCHDOG while every loop turns and the tracker's workers get on, EXTEND_TIMEOUT_USEC while a stop gets on.
    /// Where that is not fed `log_stacks` is called once: systemd's SIGABRT comes before anybody could look.
    /// The thread ends when the returned one is destroyed, with a last look, so nothing goes untold.
    /// Everything must outlive it, this object too.
    std::jthread watch(  // lint: lifecycle::workers start it
        const server::http_server& app, const server::http_server& debug, const tracker::event_tracker& events,
        const lifecycle::stop_channel& stop, lifecycle::workers& workers, spdlog::logger& log,
        std::function<void()> log_stacks) const;

    /// RELOADING until it is destroyed.
    class reload_note {
    public:
        explicit reload_note(const systemd::notify_socket& socket);
        ~reload_note();
        reload_note(const reload_note&) = delete;
        reload_note& operator=(const reload_note&) = delete;

    private:
        const systemd::notify_socket& socket_;
    };
    reload_note reloading() const { return reload_note(notify_); }

private:
    systemd::notify_socket notify_;
    std::chrono::microseconds watchdog_;  ///< WATCHDOG_USEC; 0: there is no watchdog
    std::map<std::string, int> sockets_;
};
