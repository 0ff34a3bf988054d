#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/http.hpp>
#include <boost/optional.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "tracker/sink.hpp"

namespace tracker {

/// The body of a request in pieces that are sent one after the other, from where they are, as a Body of Beast's.
struct body_of_pieces {
    using value_type = std::array<std::string_view, 3>;

    static std::uint64_t size(const value_type& body) noexcept {
        std::uint64_t all = 0;
        for (const auto piece : body) all += piece.size();
        return all;
    }

    class writer {
    public:
        using const_buffers_type = std::array<boost::asio::const_buffer, std::tuple_size_v<value_type>>;

        template <class Header>
        writer(const Header&, const value_type& body) noexcept {
            for (std::size_t nth = 0; nth < body.size(); ++nth)
                buffers_[nth] = boost::asio::const_buffer(body[nth].data(), body[nth].size());
        }
        void init(boost::system::error_code& error) noexcept { error = {}; }
        boost::optional<std::pair<const_buffers_type, bool>> get(boost::system::error_code& error) {
            error = {};
            return std::pair(buffers_, false);  // there is no more
        }

    private:
        const_buffers_type buffers_;
    };
};

/// The addresses of a host, as literals, the preferred one first; throws std::exception when there are none. Blocks.
using name_lookup = std::function<std::vector<std::string>(const std::string& host)>;

/// Where a connection posts to, and how.
struct http_address {
    std::string url;                                          ///< http://host:port/path, or https
    std::vector<std::pair<std::string, std::string>> fields;  ///< in each request
    std::chrono::milliseconds timeout{10'000};                ///< of an exchange, connecting included
    std::chrono::milliseconds longest_rest{
        std::chrono::hours(1)};        ///< a kept connection that has rested longer is closed
    std::string ca, certificate, key;  ///< PEM files; without `ca`: those that the system trusts
    std::string url_name, ca_name;     ///< of the settings, for what is thrown
};

/// RFC 9110, 10.2.3: seconds or a date, 10 minutes at most. None, or what is neither: 0.
std::chrono::seconds retry_after(std::string_view text);

/// One connection to an HTTP/1.1 server, made when it is needed and kept as long as the server keeps it. Blocks, but
/// for no longer than `timeout` and the deadline allow. Each address of the server's name gets its share of the
/// time that there is to connect; after an exchange that failed another one is the first. On one thread.
class http_connection {
public:
    using answer = boost::beast::http::response<boost::beast::http::string_body>;
    using fields = std::vector<std::pair<std::string, std::string>>;
    using pieces = body_of_pieces::value_type;

    /// Throws std::runtime_error with one line when the address is not valid, or its certificates cannot be read.
    http_connection(http_address to, deadline_function deadline, name_lookup look_up);

    /// Posts a body and reads the answer, on a fresh connection if the kept one has been closed meanwhile.
    /// Throws std::exception when there is none.
    answer exchange(const pieces& body, const fields& further = {});
    answer exchange(std::string_view body, const fields& further = {}) { return exchange(pieces{body}, further); }
    /// A field of each request from the next one on, in the place of one of that name; empty: none.
    void set_field(const std::string& name, const std::string& value);
    void close() noexcept;

private:
    using tcp = boost::asio::ip::tcp;
    using secure_stream = boost::asio::ssl::stream<tcp::socket&>;

    void trust();
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
    bool is_usable();

    http_address to_;
    const deadline_function deadline_;
    const name_lookup look_up_;
    std::vector<tcp::endpoint> addresses_;      ///< of the last lookup that has found some
    lifecycle::clock::duration lookup_took_{};  ///< the last one
    std::size_t first_ = 0;                     ///< of the addresses, the one that is tried first
    std::string host_;
    std::uint16_t port_ = 0;
    bool secure_ = false;

    boost::asio::io_context io_{1};
    boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_client};
    tcp::socket socket_{io_};
    std::optional<secure_stream> secure_socket_;
    boost::beast::http::request<body_of_pieces> request_;  ///< its body is there as long as an exchange
    std::vector<std::string> of_the_last_;                 ///< fields that only the last request had
    lifecycle::clock::time_point until_;
    lifecycle::clock::time_point rests_since_;
};

}  // namespace tracker
