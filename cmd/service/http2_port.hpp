#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "cmd/service/secure_port.hpp"
#include "configs/load.hpp"
#include "lifecycle/stop_channel.hpp"
#include "server/router.hpp"
#include "server/session.hpp"
#ifdef HTTP2
#include "server/http2/health.hpp"
#include "server/http2/session.hpp"

/// Who serves connections of the app port that speak HTTP/2; nullptr: nobody.
inline std::shared_ptr<server::session_source> http2_port(const configs::loaded& settings) {
    if (!settings.values.app.http2) return nullptr;
    return std::make_shared<server::http2::source>();
}

/// The app's routes, with the health service of gRPC.
inline server::router with_grpc_health(server::router routes, const lifecycle::stop_channel& stop) {
    return server::http2::with_grpc_health(std::move(routes), stop);
}

#else

inline server::router with_grpc_health(server::router routes, const lifecycle::stop_channel&) { return routes; }

/// Without the module nobody is, and the app port does not start where somebody asks for it. That the file with the
/// defaults has the default asks for nothing.
inline std::shared_ptr<server::session_source> http2_port(const configs::loaded& settings) {
    const auto& place = settings.origin.find("app.http2")->second;
    const bool by_file = place == "built-in" || place.find(':') != std::string::npos;
    if (settings.values.app.http2 && !by_file)
        throw std::runtime_error(shown_setting(settings, "http2") +
                                 ": this program is built without HTTP2: allowed is false");
    if (settings.values.app.http2_max_streams != server::options().http2_max_streams)
        throw std::runtime_error(shown_setting(settings, "http2_max_streams") +
                                 ": this program is built without HTTP2: allowed is 1000");
    return nullptr;
}

#endif
