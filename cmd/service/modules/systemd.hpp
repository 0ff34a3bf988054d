#pragma once

#include <optional>

#include "cmd/service/inspection.hpp"
#include "cmd/service/module.hpp"
#include "cmd/service/systemd/service_manager.hpp"

/// Listeners come from systemd, which is told how the process does.
class systemd_module final : public service_module {
public:
    explicit systemd_module(const module_start& start) : start_(start) {}

    server::options inherit(std::string_view server, server::options own) override {
        return manager_.inherit(std::string(server), std::move(own));
    }
    void made(const service_parts& parts) override { parts_.emplace(parts); }
    std::shared_ptr<void> watch() override {
        return std::make_shared<std::jthread>(manager_.watch(  // lint: lifecycle::workers start it
            parts_->app, parts_->debug, parts_->events, start_.stop, start_.workers, *start_.log.logger,
            [this] { log_stacks(start_.workers, *start_.log.logger); }));
    }
    std::shared_ptr<void> reloading() override {
        return std::shared_ptr<service_manager::reload_note>(new service_manager::reload_note(manager_.reloading()));
    }

private:
    const module_start start_;
    const service_manager manager_;
    std::optional<service_parts> parts_;
};
