#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace server {

/// The IP addresses whose first `length` bits are these.
struct network {
    std::array<std::uint8_t, 16> bits{};  ///< of IPv4 the first four; the others, and those after `length`, are 0
    std::uint8_t length = 0;
    bool v6 = false;

    bool operator==(const network&) const = default;
};

/// Peers that are believed about their clients.
struct trusted_peers {
    std::vector<network> networks;
    bool unix_sockets = false;  ///< every peer that may connect to one is

    bool empty() const noexcept { return networks.empty() && !unix_sockets; }
    bool operator==(const trusted_peers&) const = default;
};

/// The field of a request in which a trusted peer names its client.
enum class forwarded_field : std::uint8_t { x_forwarded_for, forwarded, x_real_ip };
// [module tls]
/// Of the module tls. Files are PEM.
struct tls_options {
    std::vector<std::string>
        certificate;                  ///< chains, the server's own first; the first one is the default; empty: none
    std::vector<std::string> key;     ///< of each of them
    std::string client_ca;            ///< clients must show a certificate of it; empty: they need not
    std::string min_version = "1.2";  ///< or "1.3"
    std::string
        ticket_key;      ///< 80 bytes, or several times that, of which the first are for new tickets; empty: at random
    bool http2 = false;  ///< it is offered besides HTTP/1.1 (RFC 7301); not a setting of its own
};
// [/module tls]
/// Where a server listens, and how much a client may use of it. Every number is a limit.
struct options {
    /// An IP literal, or "unix:PATH". "::" is dual stack, and "0.0.0.0" where the kernel has no IPv6.
    std::string address = "::";
    std::uint16_t port = 8080;  ///< 0: any free port; of a UNIX socket not looked at
    bool reuse_port = false;    ///< SO_REUSEPORT, for overlapping generations
    unsigned unix_mode = 0660;  ///< permissions of a UNIX socket: users who may write to it may connect (unix(7))

    /// A listening stream socket that another process has bound and shares: then those above are not used. -1: none.
    int inherited = -1;

    /// Each connection begins with a header of the PROXY protocol; only from trusted peers where some are named.
    bool proxy_protocol = false;
    trusted_peers trusted_proxies{};
    forwarded_field forwarded_header = forwarded_field::x_forwarded_for;

    /// Event loops, each a thread; 0: the smaller of CPU affinity and cgroup quota.
    std::size_t threads = 0;

    /// At the limit the connection that has been idle longest is closed.
    std::size_t max_connections = 10'000;

    /// Of one client: an IPv4 address, or a /64 of IPv6. 0: any number.
    std::size_t max_connections_per_client = 0;

    /// Requests in handlers at a time; above: 503 with Retry-After. See docs/adr/0029-last-places.md.
    std::size_t max_in_flight = 1'000;

    std::chrono::milliseconds header_timeout{10'000};  ///< a whole head
    std::chrono::milliseconds body_timeout{30'000};    ///< a whole body
    std::chrono::milliseconds write_timeout{30'000};   ///< a response that makes no progress
    std::chrono::milliseconds idle_timeout{
        120'000};  ///< between two requests; above the 90 s of Go's and Rust's clients
    std::chrono::milliseconds request_timeout{30'000};  ///< a handler; 504 when it passes

    /// Above 0: answers that keep the connection say so, and `Keep-Alive: timeout=` these seconds.
    std::chrono::milliseconds keep_alive_hint{0};
    bool envoy_hint = false;                ///< in a stop each answer says `x-envoy-immediate-health-check-fail: true`
    bool http2 = true;                      ///< HTTP/2, where that module is built  // [module http2/]
    std::size_t http2_max_streams = 1'000;  ///< requests of one connection at a time; above: 503  // [module http2/]
    bool half_close = false;  ///< a client that has shut its sending side down is still waiting for its answer

    /// Bytes a second; 0: any. A body that is slower once its grace is over is 408, a response that its
    /// client takes more slowly over a whole `write_timeout` is cut.
    std::size_t min_data_rate = 128;
    std::chrono::milliseconds data_rate_grace{
        30'000};  ///< as long as a body may take: only a longer `body_timeout` asks for the rate

    std::size_t max_header_bytes = 16 * 1024;  ///< above: 431
    std::size_t max_target_bytes = 8 * 1024;   ///< above: 414
    std::size_t max_body_bytes = 1024 * 1024;  ///< above: 413
    bool strict_targets = false;               ///< RFC 3986 alone; else also what browsers leave unescaped
    std::size_t max_headers = 100;             ///< header lines of a request; above: 431

    std::size_t max_chunk_extension_bytes = 1024;        ///< of one chunk; above: 400
    std::size_t max_chunk_extensions_bytes = 16 * 1024;  ///< of all chunks of a body; above: 400
    std::size_t max_trailer_bytes = 8 * 1024;            ///< all trailers of a body; above: 400

    std::size_t max_pipelined_bytes = 8 * 1024;  ///< read ahead of the request that is answered

    /// Requests of one connection; 0: any number. What has been read by then is answered; the last answer says close.
    std::size_t max_requests = 100'000;

    /// What the kernel buffers of an answer for a client that does not read (SO_SNDBUF, socket(7)); 0: it decides.
    std::size_t send_buffer_bytes = 128 * 1024;

    /// `Host` names that may change something on the debug port, besides IP literals and localhost.
    std::vector<std::string> allowed_hosts;

    tls_options tls = {};  // [module tls/]
    // [module websocket]
    // Of the module websocket.
    std::size_t max_websocket_message = 1024 * 1024;   ///< whole and decompressed; above: close 1009
    std::chrono::milliseconds websocket_ping{20'000};  ///< a peer that answers no ping for two of these is cut; 0: none
    // [/module websocket]
    bool access_log = false;                                       ///< one line a request
    std::vector<std::string> access_exclude{"/livez", "/readyz"};  ///< paths that get no such line
};
// [module http_client]
/// Of the module http_client.
struct client_options {
    std::string allow;  ///< "https://host:port", several with commas: the upstreams that may be called; empty: none
    std::size_t max_connections = 16, max_body_bytes = 1024 * 1024;  ///< to one upstream, on each loop; of an answer
    std::chrono::milliseconds idle_timeout{30'000};  ///< shorter than upstreams have it: they should not be the first
    std::string tls_ca;                              ///< PEM: the authorities that are trusted; empty: the system's
    std::string tls_certificate, tls_key;            ///< PEM: ours, for upstreams that ask for one
};
// [/module http_client]
}  // namespace server
