#pragma once

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "cmd/service/probe.hpp"
#include "configs/layers.hpp"
#include "configs/load.hpp"
#ifdef TLS
#include "server/tls/ask.hpp"
#include "server/tls/port.hpp"
#endif

/// A setting of a port as faults show it: `app.tls_key = ["k.pem"] (--app.tls_key)`.
inline std::string shown_setting(const configs::loaded& settings, std::string_view server, std::string_view key) {
    const auto full = fmt::format("{}.{}", server, key);
    return fmt::format("{} = {} ({})", full, configs::find_setting(full)->toml(settings.values),
                       settings.origin.find(full)->second);
}

#ifdef TLS

/// What the ports speak through that are to speak TLS: see server::tls::port.
class secure_ports {
public:
    secure_ports(const configs::loaded& settings, spdlog::logger& log)
        : app_("app", settings.values.app.tls, show_of("app", settings), log),
          debug_("debug", settings.values.debug.tls, show_of("debug", settings), log) {}

    /// Throws what a start would.
    static void check(const configs::loaded& settings) {
        server::tls::port::check("app", settings.values.app.tls, show_of("app", settings));
        server::tls::port::check("debug", settings.values.debug.tls, show_of("debug", settings));
    }
    /// How the debug port is asked.
    static ask_through asking(const configs::config& config) {
        const auto& tls = config.debug.tls;
        if (tls.certificate.empty()) return nullptr;
        return [tls](int socket, std::string_view request, lifecycle::clock::time_point until) {
            return server::tls::ask(socket, request, tls, until);
        };
    }
    auto app() const { return app_.layers(); }
    auto debug() const { return debug_.layers(); }
    void reload() {
        app_.reload();
        debug_.reload();
    }
    auto watch(lifecycle::workers& workers) const { return std::pair(app_.watch(workers), debug_.watch(workers)); }
    void write_metrics(server::metrics_text& out) const { server::tls::port::write_metrics(out, {&app_, &debug_}); }

private:
    static server::tls::port::show show_of(std::string_view server, const configs::loaded& settings) {
        return [server, settings](auto key) { return shown_setting(settings, server, key); };
    }

    server::tls::port app_, debug_;
};

#else

#include "server/net/layer.hpp"

/// Without the module ports speak in clear, and do not start where something else is asked for.
struct secure_ports {
    secure_ports(const configs::loaded& settings, const auto&) { check(settings); }
    static void check(const configs::loaded& settings) {
        check("app", settings.values.app.tls, settings);
        check("debug", settings.values.debug.tls, settings);
    }
    static ask_through asking(const configs::config&) { return nullptr; }
    std::shared_ptr<server::layer_source> app() const { return nullptr; }
    std::shared_ptr<server::layer_source> debug() const { return nullptr; }
    void reload() const {}
    bool watch(const auto&) const { return false; }
    void write_metrics(const auto&) const {}

private:
    static void check(std::string_view server, const server::tls_options& tls, const configs::loaded& settings) {
        const auto wants = [&](std::string_view key, bool set) {
            if (set)
                throw std::runtime_error(shown_setting(settings, server, key) +
                                         ": this program is built without TLS: allowed is none");
        };
        wants("tls_certificate", !tls.certificate.empty());
        wants("tls_client_ca", !tls.client_ca.empty());
        wants("tls_ticket_key", !tls.ticket_key.empty());
    }
};

#endif
