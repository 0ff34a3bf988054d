#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <string>

#include "tracker/http/http_sink.hpp"

namespace tracker {

/// One connection to the server, made when it is needed and kept as long as the server keeps it. Blocks, but
/// for no longer than `timeout` and the flush deadline allow. On one thread.
class http_sink::connection {
public:
    using answer = boost::beast::http::response<boost::beast::http::string_body>;

    connection(const http_options& options, deadline_function deadline);

    /// Sends a request and reads its answer, on a fresh connection if the kept one has been closed meanwhile.
    /// Throws std::exception when there is none.
    answer exchange(std::string body, std::string key);
    void close() noexcept;

private:
    using tcp = boost::asio::ip::tcp;
    using secure_stream = boost::asio::ssl::stream<tcp::socket&>;

    template <class Start>
    void complete(const char* what, Start start);
    template <class Use>
    void with_stream(Use use);
    void connect();
    void handshake();
    answer exchange_once();
    bool is_quiet();

    const http_options options_;
    const deadline_function deadline_;
    std::string host_, port_, target_;
    bool secure_ = false;

    boost::asio::io_context io_{1};
    boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_client};
    tcp::socket socket_{io_};
    std::optional<secure_stream> secure_socket_;
    boost::beast::http::request<boost::beast::http::string_body> request_;
    lifecycle::clock::time_point until_;
};

}  // namespace tracker
