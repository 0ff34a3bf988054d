#pragma once

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "configs/layers.hpp"
#include "configs/load.hpp"
#ifdef TLS
#include "server/tls/port.hpp"
#endif

#ifdef HTTP2
inline constexpr bool has_http2 = true;
#else
inline constexpr bool has_http2 = false;
#endif

/// A setting of the app port as faults show it: `app.tls_key = ["k.pem"] (--app.tls_key)`.
inline std::string shown_setting(const configs::loaded& settings, std::string_view key) {
    const auto full = fmt::format("app.{}", key);
    return fmt::format("{} = {} ({})", full, configs::find_setting(full)->toml(settings.values),
                       settings.origin.find(full)->second);
}

#ifdef TLS

/// What the app port speaks through, if it is to speak TLS: see server::tls::port.
class secure_port {
public:
    secure_port(const configs::loaded& settings, spdlog::logger& log)
        : port_(
              "app", with_protocols(settings.values.app), [settings](auto key) { return shown_setting(settings, key); },
              log) {}

    /// Throws what a start would.
    static void check(const configs::loaded& settings) {
        server::tls::port::check("app", settings.values.app.tls,
                                 [&](auto key) { return shown_setting(settings, key); });
    }
    auto layers() const { return port_.layers(); }
    void reload() { port_.reload(); }
    auto watch(lifecycle::workers& workers) const { return port_.watch(workers); }
    void write_metrics(server::metrics_text& out) const { port_.write_metrics(out); }

private:
    static server::tls_options with_protocols(const server::options& app) {
        auto made = app.tls;
        made.http2 = app.http2 && has_http2;
        return made;
    }

    server::tls::port port_;
};

#else

#include "server/net/layer.hpp"

/// Without the module the app port speaks in clear, and does not start where something else is asked for.
struct secure_port {
    secure_port(const configs::loaded& settings, const auto&) { check(settings); }
    static void check(const configs::loaded& settings) {
        const auto& tls = settings.values.app.tls;
        const auto wants = [&](std::string_view key, bool set) {
            if (set)
                throw std::runtime_error(shown_setting(settings, key) +
                                         ": this program is built without TLS: allowed is none");
        };
        wants("tls_certificate", !tls.certificate.empty());
        wants("tls_client_ca", !tls.client_ca.empty());
        wants("tls_ticket_key", !tls.ticket_key.empty());
    }
    std::shared_ptr<server::layer_source> layers() const { return nullptr; }
    void reload() const {}
    bool watch(const auto&) const { return false; }
    void write_metrics(const auto&) const {}
};

#endif
