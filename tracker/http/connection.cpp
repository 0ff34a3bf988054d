#include "tracker/http/connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/url.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "tracker/http/connect_race.hpp"

namespace tracker {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using boost::system::system_error;
using lifecycle::clock;

/// The flush deadline is looked at this often: a second signal moves it.
constexpr std::chrono::milliseconds look_again{20};
constexpr std::uint64_t longest_answer = 64UL * 1024;
constexpr std::size_t buffered = 128UL * 1024;  // bounds what Beast does not
constexpr int most_interim = 8;
constexpr unsigned http_1_1 = 11;
constexpr std::chrono::milliseconds next_address_after{250};  // RFC 8305, section 5

}  // namespace

http_sink::connection::connection(const http_options& options, deadline_function deadline, name_lookup look_up)
    : options_(options), deadline_(std::move(deadline)), look_up_(std::move(look_up)) {
    const auto url = boost::urls::parse_uri(options.url);
    const bool has_port = url && !url->port().empty();
    if (!url || url->host().empty() || (url->scheme() != "http" && url->scheme() != "https") ||
        (has_port && url->port_number() == 0))
        throw std::runtime_error(
            fmt::format("tracker.http_url '{}': allowed is http://host:port/path or https://host:port/path, and the "
                        "sink http needs one",
                        options.url));
    if (url->has_userinfo())
        throw std::runtime_error("tracker.http_url: who the sink is goes into tracker.http_authorization, not in here");
    secure_ = url->scheme() == "https";
    host_ = url->host_address();
    port_ = has_port ? url->port_number() : secure_ ? 443 : 80;
    target_ = url->encoded_path().empty() ? "/" : std::string(url->encoded_path());
    if (url->has_query()) target_ += fmt::format("?{}", std::string(url->encoded_query()));

    request_ = {http::verb::post, target_, http_1_1};
    request_.set(http::field::host, std::string(url->encoded_host_and_port()));
    request_.set(http::field::content_type, "application/x-ndjson");
    if (!options.authorization.empty()) request_.set(http::field::authorization, options.authorization);
    if (!secure_) return;
    error_code error;
    if (options.ca.empty())
        tls_.set_default_verify_paths(error);
    else
        tls_.load_verify_file(options.ca, error);
    if (error) throw std::runtime_error(fmt::format("tracker.http_ca '{}': {}", options.ca, error.message()));
    tls_.set_verify_mode(asio::ssl::verify_peer);
    tls_.set_verify_callback(asio::ssl::host_name_verification(host_));
}

/// Runs one asynchronous operation to its end, or ends it by `abandon`.
template <class Start, class Abandon>
void http_sink::connection::complete(const char* what, Start start, Abandon abandon) {
    std::optional<error_code> result;
    start([&result](error_code error, const auto&...) { result = error; });
    io_.restart();
    while (!result) {
        const auto left = std::min(until_, deadline_()) - clock::now();
        if (left > clock::duration::zero()) {
            io_.run_for(std::min<clock::duration>(left, look_again));
            continue;
        }
        abandon();
        io_.restart();
        io_.run();
        close();
        throw std::runtime_error(fmt::format("{}: no time is left", what));
    }
    // Made anew, it does not say in which line of Asio: that would be in the log.
    if (*result) throw system_error(error_code(result->value(), result->category()), what);
}

template <class Start>
void http_sink::connection::complete(const char* what, Start start) {
    complete(what, std::move(start), [this] {
        error_code ignored;
        socket_.close(ignored);
    });
}

template <class Use>
void http_sink::connection::with_stream(Use use) {
    if (secure_socket_)
        use(*secure_socket_);
    else
        use(socket_);
}

/// Looks the name up. Where names are slow, and little time is left, those that are known have to do.
const std::vector<http_sink::connection::tcp::endpoint>& http_sink::connection::addresses() {
    const auto began = clock::now();
    if (deadline_() - began < lookup_took_) {
        if (addresses_.empty()) throw std::runtime_error("look up: no time is left");
        return addresses_;
    }
    std::vector<tcp::endpoint> found;
    try {
        for (const auto& one : look_up_(host_)) found.emplace_back(asio::ip::make_address(one), port_);
    } catch (...) {
        lookup_took_ = clock::now() - began;
        throw;
    }
    lookup_took_ = clock::now() - began;
    addresses_ = interleaved(std::move(found));
    return addresses_;
}

void http_sink::connection::connect() {
    auto to = addresses();
    if (!to.empty()) std::ranges::rotate(to, to.begin() + static_cast<std::ptrdiff_t>(first_ % to.size()));
    const auto share = (std::min(until_, deadline_()) - clock::now()) / static_cast<clock::rep>(to.size() + 1);
    const auto spacing = std::clamp<clock::duration>(share, std::chrono::milliseconds(1), next_address_after);
    connect_race race(io_, std::move(to), std::chrono::duration_cast<std::chrono::milliseconds>(spacing));
    complete(
        "connect", [&](auto done) { race.start(done); }, [&] { race.close(); });
    socket_ = race.release();
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    if (secure_) handshake();
}

void http_sink::connection::handshake() {
    auto& secure = secure_socket_.emplace(socket_, tls_);
    // RFC 6066, section 3: not for addresses. The server needs it to choose a certificate.
    error_code no_address;
    asio::ip::make_address(host_, no_address);
    if (no_address) ::SSL_set_tlsext_host_name(secure.native_handle(), host_.c_str());
    complete("TLS", [&](auto done) { secure.async_handshake(asio::ssl::stream_base::client, done); });
}

http_sink::connection::answer http_sink::connection::exchange(std::string body, std::string key) {
    until_ = clock::now() + options_.timeout;
    request_.set("Idempotency-Key", key);
    request_.body() = std::move(body);
    request_.prepare_payload();
    if (socket_.is_open() && !secure_ && !is_quiet()) close();  // TLS has messages of its own at any time
    const bool kept = socket_.is_open();
    try {
        return exchange_once();
    } catch (const system_error&) {
        close();
        if (!kept) {
            ++first_;
            throw;
        }
        // A kept one may have ended for no other reason than its age (RFC 9112, section 9.3.1).
    } catch (...) {
        ++first_;
        close();
        throw;
    }
    try {
        return exchange_once();
    } catch (...) {
        ++first_;
        close();
        throw;
    }
}

http_sink::connection::answer http_sink::connection::exchange_once() {
    if (!socket_.is_open()) connect();
    std::optional<system_error> unsent;
    try {
        with_stream(
            [&](auto& stream) { complete("send", [&](auto done) { http::async_write(stream, request_, done); }); });
    } catch (const system_error& error) {
        unsent = error;  // a server that refuses a body may have answered before it closed
    }
    boost::beast::flat_buffer buffer(buffered);
    for (int interim = 0; interim < most_interim; ++interim) {
        http::response_parser<http::string_body> parser;
        parser.body_limit(longest_answer);
        bool whole = true;
        try {
            with_stream([&](auto& stream) {
                complete("receive", [&](auto done) { http::async_read(stream, buffer, parser, done); });
            });
        } catch (const system_error& error) {
            whole = error.code() != http::error::body_limit || !parser.is_header_done();
            if (whole && unsent) throw *unsent;
            if (whole) throw;  // else its head says all there is to know
        }
        const auto status = parser.get().result_int();  // Beast knows no 103
        if (status >= 100 && status < 200 && status != unsigned(http::status::switching_protocols)) continue;
        // A byte behind the answer would be taken for the answer to what is sent next.
        if (!whole || !parser.keep_alive() || buffer.size() > 0 || unsent) close();
        return parser.release();
    }
    throw std::runtime_error("the server answers with 1xx only");
}

/// Nothing has come since the last answer, and the server has not closed.
bool http_sink::connection::is_quiet() {
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void http_sink::connection::close() noexcept {
    // No TLS close_notify: whoever answers has said where the answer ends.
    secure_socket_.reset();
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace tracker
