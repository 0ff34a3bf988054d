#pragma once

#ifdef SYSTEMD
#include "cmd/service/systemd/supervisor.hpp"
#else

#include <string_view>

#include "server/options.hpp"

/// Who runs the process, as far as it wants to be told how the process does. Without a module that is nobody;
/// cmd/service/systemd has the other one, with the same interface.
class supervisor {
public:
    struct nothing {};

    server::options inherit(std::string_view, server::options own) const { return own; }
    nothing watch(const auto&...) const { return {}; }
    nothing reloading() const { return {}; }
};

#endif
