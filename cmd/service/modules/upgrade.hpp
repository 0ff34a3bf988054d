#pragma once

#include <optional>

#include "cmd/service/module.hpp"
#include "cmd/service/upgrade/in_place_upgrade.hpp"

/// SIGUSR2 hands the listeners to a new process of a new program.
class upgrade_module final : public service_module {
public:
    explicit upgrade_module(const module_start& start) : start_(start) {}

    void made(const service_parts& parts) override {
        upgrade_.emplace(parts.app, parts.debug, start_.stop, start_.settings.values.upgrade_timeout,
                         *start_.log.logger);
    }
    bool upgrade() override {
        upgrade_->run();
        return true;
    }
    void ready() override { upgrade_->ready(); }  // from here on the process before this one goes
    bool handed_over() const override { return upgrade_ && upgrade_->handed_over(); }

private:
    const module_start start_;
    std::optional<in_place_upgrade> upgrade_;
};
