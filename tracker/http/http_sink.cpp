#include "tracker/http/http_sink.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <resolv.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include "tracker/cloud_event.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
namespace http = boost::beast::http;

using about = refused::about;

/// What an answer other than success is about; none: about the sink, not about the events.
std::optional<about> spoken_of(unsigned status) {
    if (status < 400 || status > 499) return std::nullopt;
    if (status == 413 || status == 422) return about::the_events;
    constexpr std::array of_the_sink{401U, 402U, 403U, 404U, 405U, 407U, 408U, 409U, 410U, 411U,
                                     415U, 421U, 423U, 425U, 426U, 428U, 429U, 431U, 451U};
    if (std::ranges::count(of_the_sink, status) > 0) return std::nullopt;
    return about::the_moment_or_them;
}

constexpr const char* authorization = "Authorization";

/// FNV-1a, 64 bits: the same text has the same key, in every process.
std::string key_of(std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return fmt::format("{:016x}-{}", hash, text.size());
}

http_address address_of(const http_options& options, bool lines) {
    http_address to{.url = options.url,
                    .fields = {},
                    .timeout = options.timeout,
                    .ca = options.ca,
                    .certificate = {},
                    .key = {},
                    .url_name = "tracker.http_url",
                    .ca_name = "tracker.http_ca"};
    if (lines) to.fields.emplace_back("Content-Type", "application/x-ndjson");
    if (!options.authorization.empty()) to.fields.emplace_back(authorization, options.authorization);
    return to;
}

}  // namespace

std::vector<std::string> look_up(const std::string& host) {
    // A server of names that does not answer is given up after 1 s and 2 s, not after 5 s and 10 s (resolv.conf(5)): a
    // stop waits for this thread. resolver(3): the state is the thread's own; res_init reads the file again, which
    // glibc no longer does by itself once something has changed the state.
    ::res_init();
    _res.retrans = 1;
    _res.retry = 2;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    if (const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); failed != 0)
        throw std::runtime_error(fmt::format("look up {}: {}", host, ::gai_strerror(failed)));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
    std::vector<std::string> all;
    for (const auto* found = list; found != nullptr; found = found->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
            all.emplace_back(text.data());
    }
    return all;
}

http_sink::http_sink(const options& options, deadline_function deadline, name_lookup names)
    : cloud_events_(options.cloud_events),
      connection_(address_of(options.http, !cloud_events_.on), std::move(deadline), std::move(names)) {}

http_sink::~http_sink() = default;

void http_sink::finish() noexcept { connection_.close(); }

void http_sink::apply(const options& fresh) {
    const std::scoped_lock lock(applying_);
    authorization_ = fresh.http.authorization;
}

void http_sink::take_authorization() {
    std::optional<std::string> fresh;
    {
        const std::scoped_lock lock(applying_);
        fresh.swap(authorization_);
    }
    if (fresh) connection_.set_field(authorization, *fresh);
}

void http_sink::deliver(std::span<const event> batch) {
    if (const auto now = clock::now(); now < not_before_)
        throw std::runtime_error(
            fmt::format("the server wants to be left alone for another {} ms",
                        std::chrono::duration_cast<std::chrono::milliseconds>(not_before_ - now).count()));
    if (cloud_events_.on) return post_alone(batch);
    std::string body;
    for (const auto& event : batch) {
        append_json(body, event);
        body += '\n';
    }
    auto key = key_of(body);
    post(body, {{"Idempotency-Key", std::move(key)}});
}

/// What was taken before one of them failed is remembered until it is tried again, for that may be in parts.
void http_sink::post_alone(std::span<const event> batch) {
    for (const auto& event : batch) {
        if (taken_.contains(event.id)) continue;
        auto fields = cloud_event(event, cloud_events_, binding::http);
        fields.emplace_back("Idempotency-Key", event.id);
        try {
            post(event.data, fields);
        } catch (const refused& failure) {
            if (failure.what_of() != about::the_events) throw;
            throw rejected_event(static_cast<std::size_t>(&event - batch.data()), failure.what());
        }
        taken_.insert(event.id);
    }
    for (const auto& event : batch) taken_.erase(event.id);
}

void http_sink::post(std::string_view body, const http_connection::fields& fields) {
    take_authorization();
    const auto answer = connection_.exchange(body, fields);
    const auto status = answer.result_int();  // Beast does not know them all
    if (status >= 200 && status < 300) return;
    // A receiver that says when to come again speaks of the moment, whatever the status.
    const auto wait = retry_after(answer[http::field::retry_after]);
    if (const auto what = spoken_of(status); what && wait.count() == 0)
        throw refused(*what, fmt::format("the server answered {}", status));
    not_before_ = clock::now() + wait;
    throw std::runtime_error(fmt::format("the server answered {}{}", status,
                                         wait.count() > 0 ? fmt::format(", Retry-After {} s", wait.count()) : ""));
}

std::unique_ptr<sink> make_http_sink(const options& options, spdlog::logger&, deadline_function deadline) {
    return std::make_unique<http_sink>(options, std::move(deadline));
}

}  // namespace tracker
