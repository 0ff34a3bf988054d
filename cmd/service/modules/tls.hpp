#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "cmd/service/module.hpp"
#include "server/tls/port.hpp"

/// The app port speaks TLS where there are certificates: see server::tls::port.
class tls_module final : public service_module {
public:
    explicit tls_module(const module_start& start)
        : workers_(start.workers),
          port_("app", start.settings.values.app.tls, shown_in(start.settings), *start.log.logger) {}

    static void check(const configs::loaded& settings) {
        server::tls::port::check("app", settings.values.app.tls, shown_in(settings));
    }

    void equip(server::http_server& app) override { app.speak_through(port_.layers()); }
    std::shared_ptr<void> watch() override {
        return std::make_shared<std::jthread>(port_.watch(workers_));
    }  // lint: lifecycle::workers start it
    void reload() override { port_.reload(); }
    void write_metrics(server::metrics_text& out) const override { port_.write_metrics(out); }

private:
    static server::tls::port::show shown_in(const configs::loaded& settings) {
        return [settings](std::string_view key) { return configs::shown(settings, "app." + std::string(key)); };
    }

    lifecycle::workers& workers_;
    server::tls::port port_;
};
