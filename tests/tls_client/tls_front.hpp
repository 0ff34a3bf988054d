#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "tests/tls/authority.hpp"

namespace tls_client {

struct front_wish {
    std::string client_ca = {};  ///< PEM; set: clients must show a certificate of it
    bool bare_end = false;       ///< closes without a close_notify
    int version = 0;             ///< the only one that it speaks; 0: any
};

/// Speaks TLS for a server that does not, as a proxy in front of it would. On a thread of its own until destroyed.
class tls_front {
public:
    using wish = front_wish;

    tls_front(std::uint16_t behind, const tls_tests::authority::pair& shows, const wish& how = {});
    ~tls_front();
    tls_front(const tls_front&) = delete;
    tls_front& operator=(const tls_front&) = delete;

    std::uint16_t port() const { return port_; }
    /// Connections whose client has said close_notify.
    int farewells() const { return farewells_; }
    /// The name that the last client asked for; empty: for none.
    std::string asked_for() const;

private:
    struct relay;
    void accept_one();
    static int by_name(SSL* session, int* alert, void* whose);

    boost::asio::io_context io_{1};
    boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_server};
    boost::asio::ip::tcp::acceptor listener_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
    const std::uint16_t port_, behind_;
    const wish how_;
    std::atomic<int> farewells_ = 0;
    mutable std::mutex mutex_;
    std::string asked_for_;
    std::jthread thread_;  // last: it uses the rest
};

}  // namespace tls_client
