#pragma once

#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "cmd/service/module.hpp"
#include "cmd/service/probe.hpp"
#include "server/tls/ask.hpp"
#include "server/tls/port.hpp"

/// The ports speak TLS that have certificates: see server::tls::port.
class tls_module final : public service_module {
public:
    explicit tls_module(const module_start& start)
        : workers_(start.workers),
          app_("app", with_protocols(start), show_of("app", start.settings), *start.log.logger),
          debug_("debug", start.settings.values.debug.tls, show_of("debug", start.settings), *start.log.logger) {}

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

    void equip(std::string_view name, server::http_server& server) override {
        server.speak_through(name == "app" ? app_.layers() : debug_.layers());
    }
    std::shared_ptr<void> watch() override {
        using both = std::pair<std::jthread, std::jthread>;  // lint: lifecycle::workers start them
        return std::make_shared<both>(app_.watch(workers_), debug_.watch(workers_));
    }
    void reload() override {
        app_.reload();
        debug_.reload();
    }
    void write_metrics(server::metrics_text& out) const override {
        server::tls::port::write_metrics(out, {&app_, &debug_});
    }

private:
    static server::tls_options with_protocols(const module_start& start) {
        auto made = start.settings.values.app.tls;
        made.http2 = start.settings.values.app.http2 && start.has_http2;  // [module http2/]
        return made;
    }
    static server::tls::port::show show_of(std::string_view server, const configs::loaded& settings) {
        return [server, settings](std::string_view key) {
            return configs::shown(settings, std::string(server) + "." + std::string(key));
        };
    }

    lifecycle::workers& workers_;
    server::tls::port app_, debug_;
};
