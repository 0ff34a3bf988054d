#include "tracker/http/http_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <utility>

#include "tracker/http/connection.hpp"

namespace tracker {
namespace {

using lifecycle::clock;
namespace http = boost::beast::http;

constexpr std::chrono::seconds longest_retry_after{600};

/// RFC 9110, 10.2.3: seconds or a date. None, or what is neither: at once.
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

/// Whether the answer says that the events are wrong: another try, or another day, would not change it.
bool refuses_events(http::status status) {
    using enum http::status;
    constexpr std::array may_change{unauthorized,       forbidden,          not_found,
                                    method_not_allowed, request_timeout,    proxy_authentication_required,
                                    too_many_requests,  misdirected_request};
    return http::to_status_class(status) == http::status_class::client_error &&
           std::ranges::count(may_change, status) == 0;
}

/// FNV-1a, 64 bits: the same text has the same key, in every process.
std::string key_of(std::string_view text) {
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    return fmt::format("{:016x}-{}", hash, text.size());
}

}  // namespace

http_sink::http_sink(const options& options, deadline_function deadline)
    : connection_(std::make_unique<connection>(options.http, std::move(deadline))) {}

http_sink::~http_sink() = default;

void http_sink::finish() noexcept { connection_->close(); }

void http_sink::deliver(std::span<const event> batch) {
    if (const auto now = clock::now(); now < not_before_)
        throw std::runtime_error(
            fmt::format("the server wants to be left alone for another {} ms",
                        std::chrono::duration_cast<std::chrono::milliseconds>(not_before_ - now).count()));
    if (!one_by_one_ && post(batch)) return;
    one_by_one_ = true;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (taken_.contains(batch[i].id)) continue;
        if (!post(batch.subspan(i, 1))) throw rejected_event(i, "the server refuses an event");
        taken_.insert(batch[i].id);
    }
    one_by_one_ = false;
    taken_.clear();
}

/// False: the server will never take this.
bool http_sink::post(std::span<const event> batch) {
    std::string body;
    for (const auto& event : batch) {
        append_json(body, event);
        body += '\n';
    }
    auto key = key_of(body);
    const auto answer = connection_->exchange(std::move(body), std::move(key));
    const auto status = answer.result();
    if (http::to_status_class(status) == http::status_class::successful) return true;
    if (refuses_events(status)) return false;
    const auto wait = retry_after(answer[http::field::retry_after]);
    not_before_ = clock::now() + wait;
    throw std::runtime_error(fmt::format("the server answered {}{}", answer.result_int(),
                                         wait.count() > 0 ? fmt::format(", Retry-After {} s", wait.count()) : ""));
}

std::unique_ptr<sink> make_http_sink(const options& options, spdlog::logger&, deadline_function deadline) {
    return std::make_unique<http_sink>(options, std::move(deadline));
}

}  // namespace tracker
