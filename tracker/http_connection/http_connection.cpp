#include "tracker/http_connection/http_connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/url.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "lifecycle/masked_urls.hpp"
#include "lifecycle/tls/algorithms.hpp"
#include "lifecycle/tls/extensions.hpp"
#include "lifecycle/tls/server_name.hpp"
#include "tracker/http_connection/connect_race.hpp"

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
constexpr std::chrono::seconds longest_retry_after{600};
constexpr std::chrono::milliseconds next_address_after{250};  // RFC 8305, section 5

}  // namespace

std::chrono::seconds retry_after(std::string_view text) {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size()) {
        std::tm date{};
        if (::strptime(std::string(text).c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return {};
        seconds = ::timegm(&date) - std::time(nullptr);
    }
    return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), longest_retry_after);
}

http_connection::http_connection(http_address to, deadline_function deadline, name_lookup look_up)
    : to_(std::move(to)), deadline_(std::move(deadline)), look_up_(std::move(look_up)) {
    const auto url = boost::urls::parse_uri(to_.url);
    const bool has_port = url && !url->port().empty();
    if (!url || url->host().empty() || (url->scheme() != "http" && url->scheme() != "https") ||
        (has_port && url->port_number() == 0))
        throw std::runtime_error(fmt::format("{} '{}': allowed is http://host:port/path or https://host:port/path",
                                             to_.url_name, lifecycle::masked_urls(to_.url, lifecycle::url_text::urls)));
    if (url->has_userinfo())
        throw std::runtime_error(to_.url_name + ": credentials go into a header field, not into the URL");
    secure_ = url->scheme() == "https";
    host_ = url->host_address();
    port_ = has_port ? url->port_number() : secure_ ? 443 : 80;
    auto target = url->encoded_path().empty() ? "/" : std::string(url->encoded_path());
    if (url->has_query()) target += fmt::format("?{}", std::string(url->encoded_query()));

    request_ = {http::verb::post, target, http_1_1};
    request_.set(http::field::host, std::string(url->encoded_host_and_port()));
    for (const auto& [name, value] : to_.fields) request_.set(name, value);
    if (secure_) trust();
}

void http_connection::trust() {
    const auto check = [&](const error_code& error, const std::string& file) {
        if (error) throw std::runtime_error(fmt::format("{} '{}': {}", to_.ca_name, file, error.message()));
    };
    lifecycle::make_algorithms();
    error_code error;
    ::SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
    if (to_.ca.empty())
        tls_.set_default_verify_paths(error);
    else
        tls_.load_verify_file(to_.ca, error);
    check(error, to_.ca);
    lifecycle::read_extensions(tls_.native_handle());
    if (!to_.certificate.empty()) {
        // OpenSSL would ask on the terminal for the password of a key that has one.
        tls_.set_password_callback([](std::size_t, auto) { return std::string(); });
        tls_.use_certificate_chain_file(to_.certificate, error);
        check(error, to_.certificate);
        tls_.use_private_key_file(to_.key, asio::ssl::context::pem, error);
        check(error, to_.key);
        // A key of another algorithm passes the calls above.
        if (::SSL_CTX_check_private_key(tls_.native_handle()) != 1)
            throw std::runtime_error(
                fmt::format("{} '{}': it is the key of another certificate", to_.ca_name, to_.key));
    }
    tls_.set_verify_mode(asio::ssl::verify_peer);
}

/// Runs one asynchronous operation to its end, or ends it by `abandon`.
template <class Start, class Abandon>
void http_connection::complete(const char* what, Start start, Abandon abandon) {
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
    // Built again, it does not say in which line of Asio it arose: that would be in the log.
    if (*result) throw system_error(error_code(result->value(), result->category()), what);
}

template <class Start>
void http_connection::complete(const char* what, Start start) {
    complete(what, std::move(start), [this] {
        error_code ignored;
        socket_.close(ignored);
    });
}

template <class Use>
void http_connection::with_stream(Use use) {
    if (secure_socket_)
        use(*secure_socket_);
    else
        use(socket_);
}

/// Looks the name up. Where names are slow, and little time is left, those that are known have to do.
const std::vector<http_connection::tcp::endpoint>& http_connection::addresses() {
    const auto began = clock::now();
    if (deadline_() - began < lookup_took_) {
        if (addresses_.empty()) throw std::runtime_error("look up: no time is left");
        return addresses_;
    }
    std::vector<tcp::endpoint> found;
    try {
        for (const auto& address : look_up_(host_)) found.emplace_back(asio::ip::make_address(address), port_);
    } catch (...) {
        lookup_took_ = clock::now() - began;
        throw;
    }
    lookup_took_ = clock::now() - began;
    addresses_ = interleaved(std::move(found));
    return addresses_;
}

void http_connection::connect() {
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

void http_connection::handshake() {
    auto& secure = secure_socket_.emplace(socket_, tls_);
    lifecycle::expect_server(*secure.native_handle(), host_);
    complete("TLS", [&](auto done) { secure.async_handshake(asio::ssl::stream_base::client, done); });
}

http_connection::answer http_connection::exchange(const pieces& body, const fields& further) {
    until_ = clock::now() + to_.timeout;
    for (const auto& name : of_the_last_) request_.erase(name);  // before this one's may be others
    of_the_last_.clear();
    for (const auto& [name, value] : to_.fields) request_.set(name, value);
    for (const auto& [name, value] : further) {
        request_.set(name, value);
        of_the_last_.push_back(name);
    }
    request_.body() = body;
    request_.prepare_payload();
    if (socket_.is_open() && !is_usable()) close();
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

http_connection::answer http_connection::exchange_once() {
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
        // A byte after the answer would be taken for the answer to what is sent next.
        if (!whole || !parser.keep_alive() || buffer.size() > 0 || unsent) close();
        rests_since_ = clock::now();
        return parser.release();
    }
    throw std::runtime_error("the server answers with 1xx only");
}

/// Nothing has come since the last answer, and the server has not closed; nor is it about to.
bool http_connection::is_usable() {
    if (clock::now() - rests_since_ > to_.longest_rest) return false;
    if (secure_) return true;  // TLS has messages of its own at any time
    char byte = 0;
    return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void http_connection::set_field(const std::string& name, const std::string& value) {
    std::erase_if(to_.fields, [&](const auto& field) { return field.first == name; });
    request_.erase(name);
    if (!value.empty()) to_.fields.emplace_back(name, value);
}

void http_connection::close() noexcept {
    // No TLS close_notify: the answer itself says where it ends.
    secure_socket_.reset();
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace tracker
