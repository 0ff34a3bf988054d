#include "server/client/http_client.hpp"

#include <netdb.h>
#include <resolv.h>
#include <spdlog/logger.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <optional>

#include "lifecycle/lines.hpp"
#include "lifecycle/pool/run_on.hpp"
#include "server/client/aggregate.hpp"
#include "server/client/connection_pool.hpp"
#include "server/client/exchange.hpp"
#include "server/client/upstream_stream.hpp"

namespace server {

namespace asio = boost::asio;
namespace errc = boost::system::errc;
using boost::system::error_code;
using boost::system::result;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using std::chrono::milliseconds;
using tcp = asio::ip::tcp;
using endpoints = std::vector<tcp::endpoint>;

namespace {

constexpr milliseconds longest_connect{5'000};  // to one address; others may follow

error_code why_ended(const context& context) {
    return errc::make_error_code(context.why() == cause::deadline ? errc::timed_out : errc::operation_canceled);
}

/// RFC 9110, section 9.2.2.
bool may_be_repeated(http::verb method) {
    using enum http::verb;
    constexpr std::array idempotent{get, head, put, delete_, options, trace};
    return std::ranges::find(idempotent, method) != idempotent.end();
}

struct addresses {
    endpoints found;
    error_code error;
};

/// Blocks.
addresses look_up(const std::string& host, std::uint16_t port) {
    // A server of names that does not answer is given up after 1 s and 2 s, not after 5 s and 10 s (resolv.conf(5)): a
    // stop waits for this thread. resolver(3): the state is the thread's own; res_init reads the file again, which
    // glibc no longer does by itself once something has changed the state.
    ::res_init();
    _res.retrans = 1;
    _res.retry = 2;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    if (const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); failed != 0)
        return {{}, failed == EAI_AGAIN ? asio::error::host_not_found_try_again : asio::error::host_not_found};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
    addresses all;
    for (const auto* found = list; found != nullptr; found = found->ai_next) {
        tcp::endpoint endpoint;
        endpoint.resize(found->ai_addrlen);
        std::memcpy(endpoint.data(), found->ai_addr, found->ai_addrlen);
        endpoint.port(port);
        all.found.push_back(endpoint);
    }
    return all;
}

/// Not by Asio, whose sockets are inherited by whatever this process executes.
result<std::unique_ptr<upstream_stream>> open(lifecycle::executor on, const tcp::endpoint& to) {
    auto stream = std::make_unique<upstream_stream>(on);
    const int descriptor = ::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (descriptor < 0) return error_code(errno, boost::system::system_category());
    error_code error;
    try {
        stream->tcp().assign(to.protocol(), descriptor, error);
    } catch (const std::bad_alloc&) {
        ::close(descriptor);
        throw;
    }
    if (error) {  // epoll has no room for it: it is not the stream's
        ::close(descriptor);
        return error;
    }
    stream->tcp().set_option(tcp::no_delay(true), error);
    return stream;
}

}  // namespace

std::string_view client_response::header(std::string_view name) const noexcept {
    for (const auto& [key, value] : fields)
        if (same_name(key, name)) return value;
    return {};
}

/// One call on its way: what its steps share.
class http_client::connector {
public:
    connector(const http_client& client, context context, std::source_location where)
        : client_(client), context_(std::move(context)), breadcrumb_(context_, where) {}

    /// A connection to the first address that takes one. Each gets its share of the time.
    lifecycle::awaitable<result<std::unique_ptr<upstream_stream>>> connect(const upstream& to) {
        using made = result<std::unique_ptr<upstream_stream>>;
        auto looking = addresses_of(to);
        const auto found = co_await std::move(looking);
        if (!found) co_return made(found.error());
        const auto on = co_await asio::this_coro::executor;
        error_code error = asio::error::host_not_found;
        for (std::size_t nth = 0; nth < found->size() && !context_.done(); ++nth) {
            auto opened = open(on, (*found)[nth]);
            if (!opened) co_return made(opened.error());
            auto& stream = **opened;
            const auto now = clock::now();
            const auto others = static_cast<clock::rep>(found->size() - nth);  // with this one
            const auto share = std::min<clock::duration>(longest_connect, (context_.deadline() - now) / others);
            const upstream_stream::time_limit limit(stream, now + share);
            const context::on_cancel cut(context_, [&stream] { stream.close(); });
            auto connecting = stream.tcp().async_connect((*found)[nth], lifecycle::quietly);
            const auto [failed] = co_await std::move(connecting);
            error = failed;
            if (!error && to.secure) {
                auto securing = stream.secure(client_.tls_->now(), to.host);
                error = co_await std::move(securing);
            }
            if (limit.passed()) error = boost::beast::error::timeout;
            if (!error) co_return made(std::move(*opened));
        }
        co_return made(context_.done() ? why_ended(context_) : error);
    }

    lifecycle::awaitable<exchanged> exchange_on(upstream_stream& stream, wire_request& message) {
        const auto deadline = context_.deadline();
        if (deadline != clock::time_point::max()) {
            const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock::now());
            const auto sane = std::clamp(left, milliseconds(1), milliseconds(std::chrono::hours(24)));
            message.set("X-Request-Timeout", std::to_string(sane.count()) + "ms");
        }
        if (client_.stop_.stopping()) message.set(http::field::connection, "close");
        const upstream_stream::time_limit limit(stream, deadline);
        const context::on_cancel cut(context_, [&stream] { stream.close(); });
        auto working = exchange(stream, message, client_.options_.max_body_bytes);
        auto done = co_await std::move(working);
        co_return done;
    }

private:
    lifecycle::awaitable<result<endpoints>> addresses_of(const upstream& to) {
        error_code no_literal;
        const auto literal = asio::ip::make_address(to.host, no_literal);
        if (!no_literal) co_return result<endpoints>(endpoints{tcp::endpoint(literal, to.port)});
        auto perform = [host = to.host, port = to.port](const std::stop_token&) { return look_up(host, port); };
        auto waiting = lifecycle::run_on(client_.names_, context_, "look up " + to.host, std::move(perform));
        auto found = co_await std::move(waiting);
        if (!found) co_return result<endpoints>(found.error());
        if (found->error) co_return result<endpoints>(found->error);
        co_return result<endpoints>(std::move(found->found));
    }

    const http_client& client_;
    const context context_;
    const context::waiting breadcrumb_;
};

namespace {

std::optional<lifecycle::part> part_for(const allow_list& allowed, lifecycle::stop_channel& stop) {
    const auto is_name = [](const auto& host) {
        error_code no_literal;
        asio::ip::make_address(host->host, no_literal);
        return no_literal.failed();
    };
    if (std::ranges::none_of(allowed.upstreams(), is_name)) return std::nullopt;
    return stop.add_part("names", std::chrono::milliseconds(0));
}

std::function<lifecycle::clock::time_point()> deadline_of(const std::optional<lifecycle::part>& part) {
    if (part) return *part;
    return [] { return lifecycle::clock::time_point::max(); };
}

}  // namespace

http_client::http_client(const client_options& options, lifecycle::stop_channel& stop, lifecycle::workers& workers,
                         spdlog::logger& log)
    : options_(options),
      stop_(stop),
      allowed_(options.allow, {options.max_connections, options.idle_timeout, &stop}),
      log_(log),
      tls_(std::ranges::any_of(allowed_.upstreams(), [](const auto& upstream) { return upstream->secure; })
               ? std::make_unique<client_tls>(options)
               : nullptr),
      looks_up_(part_for(allowed_, stop)),
      names_({.name = "names", .workers = 2, .capacity = 64}, workers, log, deadline_of(looks_up_)) {}

void http_client::start(lifecycle::done_collector& done) {
    if (looks_up_) done.run(*looks_up_, [this](std::stop_token token) { names_.run(std::move(token)); });
}

void http_client::reload() {
    if (!tls_) return;
    try {
        tls_->reload();
    } catch (const std::exception& e) {
        lifecycle::lines(log_).error("calls keep the certificates that they had: {error}", e.what());
    }
}

router http_client::routes(router own) const {
    own.get("/aggregate",
            [this](context context, const request& request) { return aggregate(*this, std::move(context), request); });
    return own;
}

lifecycle::awaitable<result<client_response>> http_client::send(context context, client_request request,
                                                                std::source_location where) const {
    if (!observer_) {
        auto plain = perform(std::move(context), std::move(request), where);
        auto unseen = co_await std::move(plain);
        co_return unseen;
    }
    const auto upstream = request.to.server();
    const std::string path(request.to.path());
    observed_call seen{.method = std::string_view(http::to_string(request.method)),
                       .scheme = upstream->secure ? "https" : "http",
                       .host = upstream->host,
                       .path = path,
                       .port = upstream->port};
    observer_->begin(seen, request.trace);
    auto working = perform(std::move(context), std::move(request), where);
    auto done = co_await std::move(working);
    if (done)
        seen.status = done->status;
    else
        seen.error = done.error();
    observer_->end(seen);
    co_return done;
}

lifecycle::awaitable<result<client_response>> http_client::perform(context context, client_request request,
                                                                   std::source_location where) const {
    using answer = result<client_response>;
    const auto upstream = request.to.server();
    const bool repeats = may_be_repeated(request.method);
    auto message = to_wire(std::move(request));
    auto& kept_ones = connection_pool::of(co_await asio::this_coro::executor);
    auto waiting = kept_ones.wait_for_place(context, upstream, where);
    const auto place = co_await std::move(waiting);
    if (!place) co_return answer(why_ended(context));
    connector steps(*this, context, where);
    auto stream = place->take_kept();
    for (bool kept = stream != nullptr;; kept = false) {
        if (!stream) {
            auto connecting = steps.connect(*upstream);
            auto made = co_await std::move(connecting);
            if (!made) co_return answer(made.error());
            stream = std::move(*made);
        }
        auto working = steps.exchange_on(*stream, message);
        auto done = co_await std::move(working);
        if (!done.error) {
            if (done.reusable) place->keep(std::move(stream));
            co_return answer(std::move(done.response));
        }
        if (context.done()) co_return answer(why_ended(context));
        if (!kept || done.begun || !repeats) co_return answer(done.error);
        stream.reset();
    }
}

}  // namespace server
