#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <string>

#include "lifecycle/sleepers.hpp"
#include "lifecycle/task_group.hpp"
#include "server/client/client_tls.hpp"

namespace server {

/// A connection to an upstream, in clear or through TLS. Only on the loop's thread.
class upstream_stream {
public:
    using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, lifecycle::executor>;
    using tls_stream = boost::asio::ssl::stream<tcp_socket&>;
    using error_code = boost::system::error_code;

    explicit upstream_stream(lifecycle::executor on) : tcp_(on) {}
    /// Sends close_notify (RFC 8446, section 6.1), and waits for nothing.
    ~upstream_stream();
    upstream_stream(const upstream_stream&) = delete;
    upstream_stream& operator=(const upstream_stream&) = delete;

    tcp_socket& tcp() noexcept { return tcp_; }
    /// nullptr: it is in clear.
    tls_stream* tls() noexcept { return tls_ ? &*tls_ : nullptr; }

    /// Shakes hands with `host`, whose certificate must hold that name.
    lifecycle::awaitable<error_code> secure(client_tls::context_pointer by, std::string host);
    /// Nothing unexpected has come, neither a byte nor the end. TLS tickets do not count.
    bool is_quiet() noexcept;
    /// What waits for it goes on with an error.
    void close() noexcept;

    class time_limit;

private:
    client_tls::context_pointer by_;
    tcp_socket tcp_;
    std::optional<tls_stream> tls_;
    bool open_ = false;  ///< hands have been shaken
};

/// Closes a stream when a time has come, as long as this lives. It asks for no memory: a timer of Asio's would have to.
class upstream_stream::time_limit final : public lifecycle::sleeper {
public:
    /// `max()`: there is none.
    time_limit(upstream_stream& of, lifecycle::clock::time_point until);
    ~time_limit();

    bool passed() const noexcept { return passed_; }

private:
    void go_on(lifecycle::clock::time_point) override;
    void drop() override {}

    upstream_stream& of_;
    lifecycle::sleepers& among_;
    bool passed_ = false;
};

}  // namespace server
