#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/http.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tracker/http/http_sink.hpp"

namespace tracker {

/// One connection to the server, made when it is needed and kept as long as the server keeps it. Blocks, but
/// for no longer than `timeout` and the flush deadline allow. Each address of the server's name gets its share of the
/// time that there is to connect; after an exchange that failed another one is the first. On one thread.
class http_sink::connection {
public:
    using answer = boost::beast::http::response<boost::beast::http::string_body>;

    connection(const http_options& options, deadline_function deadline, name_lookup look_up);

    /// Sends a request and reads its answer, on a fresh connection if the kept one has been closed meanwhile.
    /// Throws std::exception when there is none.
    answer exchange(std::string body, std::string key);
    void close() noexcept;

private:
    using tcp = boost::asio::ip::tcp;
    using secure_stream = boost::asio::ssl::stream<tcp::socket&>;

    template <class Start>
    void complete(const char* what, Start start);
    template <class Start, class Abandon>
    void complete(const char* what, Start start, Abandon abandon);
    template <class Use>
    void with_stream(Use use);
    const std::vector<tcp::endpoint>& addresses();
    void connect();
    void handshake();
    answer exchange_once();
    bool is_quiet();

    const http_options options_;
    const deadline_function deadline_;
    const name_lookup look_up_;
    std::vector<tcp::endpoint> addresses_;      ///< of the last lookup that has found some
    lifecycle::clock::duration lookup_took_{};  ///< the last one
    std::size_t first_ = 0;                     ///< of the addresses, the one that is tried first
    std::string host_, target_;
    std::uint16_t port_ = 0;
    bool secure_ = false;

    boost::asio::io_context io_{1};
    boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_client};
    tcp::socket socket_{io_};
    std::optional<secure_stream> secure_socket_;
    boost::beast::http::request<boost::beast::http::string_body> request_;
    lifecycle::clock::time_point until_;
};

}  // namespace tracker
