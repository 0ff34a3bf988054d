#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <optional>
#include <string>

#include "lifecycle/task_group.hpp"
#include "server/client/client_tls.hpp"

namespace server {

/// A connection to an upstream, in clear or through TLS. Beast's stream, for the deadline of each of its operations.
/// Only on the loop's thread.
class upstream_stream {
public:
    using tcp_stream = boost::beast::basic_stream<boost::asio::ip::tcp, lifecycle::executor>;
    using tls_stream = boost::asio::ssl::stream<tcp_stream&>;
    using error_code = boost::system::error_code;

    explicit upstream_stream(lifecycle::executor on) : tcp_(on) {}
    /// Sends close_notify (RFC 8446, section 6.1), and waits for nothing.
    ~upstream_stream();
    upstream_stream(const upstream_stream&) = delete;
    upstream_stream& operator=(const upstream_stream&) = delete;

    tcp_stream& tcp() noexcept { return tcp_; }
    /// nullptr: it is in clear.
    tls_stream* tls() noexcept { return tls_ ? &*tls_ : nullptr; }

    /// Shakes hands with `host`, whose certificate must hold that name, by the deadline of `tcp`.
    lifecycle::awaitable<error_code> secure(client_tls::context_pointer by, std::string host);
    /// Nothing unexpected has come, neither a byte nor the end. TLS tickets do not count.
    bool is_quiet() noexcept;

private:
    client_tls::context_pointer by_;
    tcp_stream tcp_;
    std::optional<tls_stream> tls_;
    bool open_ = false;  ///< hands have been shaken
};

}  // namespace server
