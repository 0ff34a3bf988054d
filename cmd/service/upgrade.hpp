#pragma once

#ifdef UPGRADE
#include "cmd/service/upgrade/in_place_upgrade.hpp"
#else

#include <spdlog/logger.h>

/// What SIGUSR2 does. Without a module that is a line; cmd/service/upgrade has the other one, with the same interface.
class in_place_upgrade {
public:
    in_place_upgrade(const auto&, const auto&, const auto&, auto, spdlog::logger& log) : log_(log) {}

    static bool follows_another() { return false; }
    void run() const { log_.info("SIGUSR2 ignored: this program is built without UPGRADE"); }
    void ready() const {}

private:
    spdlog::logger& log_;
};

#endif
