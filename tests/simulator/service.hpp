#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "configs/config.hpp"
#include "tracker/sink.hpp"

namespace simulator {

/// The program under test: its own main, which is cmd/service/main.cpp, with settings that no file or command line
/// says, and with a sink `nats` that does what `deliver` does. Runs on the main thread of a simulated process.
struct service {
    configs::config settings;
    std::function<void(std::span<const tracker::event>)> deliver;

    /// What the process exits with.
    int run();

    static service* current;  ///< the one that runs
};

/// The process that the variables LISTEN_PID and so on are meant for: one that an upgrade has started.
inline constexpr int successor_number = 43;

/// What is to be made once, outside of all simulated machines.
void prepare_service();

}  // namespace simulator
