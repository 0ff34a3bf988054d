#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>

#include "server/options.hpp"

namespace server {

/// What calls to https upstreams trust, and the certificate that they show: files of `client.tls_ca`,
/// `client.tls_certificate` and `client.tls_key`, as they were read last. A server must show a certificate that leads
/// to a trusted authority and that has its name (RFC 9525, without the common name); TLS 1.2 is the least. There is no
/// way to switch that off.
///
/// Safe from any thread.
class client_tls {
public:
    using context_pointer = std::shared_ptr<boost::asio::ssl::context>;

    /// Reads the files; blocks. Throws std::runtime_error with one line that names the setting and what is allowed.
    explicit client_tls(const client_options& by);

    /// For a new connection, which keeps it.
    context_pointer now() const;
    /// Reads the files again, for connections from here on; with a fault, which is thrown like the constructor's, all
    /// stays. Blocks.
    void reload();

private:
    const client_options by_;
    mutable std::mutex mutex_;
    context_pointer in_force_;
};

}  // namespace server
