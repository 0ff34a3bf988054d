#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace server {

/// Where a server listens and what a client may ask of it. Every number is a limit.
struct options {
    std::string address = "0.0.0.0";  ///< an IP literal; "::" is dual stack
    std::uint16_t port = 8080;        ///< 0: any free port
    bool reuse_port = false;          ///< SO_REUSEPORT, for overlapping generations

    /// Event loops, each a thread; 0: the smaller of CPU affinity and cgroup quota.
    std::size_t threads = 0;

    /// At the limit the connection idle longest makes room.
    std::size_t max_connections = 10'000;

    /// Requests in handlers at one time; above: 503 with Retry-After.
    std::size_t max_in_flight = 1'000;

    std::chrono::milliseconds header_timeout{10'000};   ///< a whole head
    std::chrono::milliseconds body_timeout{30'000};     ///< a whole body
    std::chrono::milliseconds write_timeout{30'000};    ///< a response that makes no progress
    std::chrono::milliseconds idle_timeout{75'000};     ///< between two requests
    std::chrono::milliseconds request_timeout{30'000};  ///< a handler; 504 when it passes

    std::size_t max_header_bytes = 16 * 1024;  ///< above: 431
    std::size_t max_target_bytes = 8 * 1024;   ///< above: 414
    std::size_t max_body_bytes = 1024 * 1024;  ///< above: 413
    std::size_t max_headers = 100;             ///< header lines of a request; above: 431

    /// `Host` names that may change something on the debug port, beside IP literals and localhost.
    std::vector<std::string> allowed_hosts;

    bool access_log = false;  ///< one line a request
};

}  // namespace server
