#include "server/exchange.hpp"

#include <fmt/format.h>

#include <charconv>
#include <new>
#include <optional>
#include <random>
#include <utility>

namespace server {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// `X-Request-Timeout: 300ms` shortens the deadline; none when the value is malformed.
std::optional<milliseconds> requested_timeout(std::string_view text, milliseconds longest) {
    if (text.empty()) return longest;
    std::int64_t number = 0;
    const auto* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(at, static_cast<std::size_t>(end - at));
    if (error != std::errc{} || number < 0 || number > 86'400'000) return std::nullopt;
    if (unit == "ms") return std::min(longest, milliseconds(number));
    if (unit == "s") return std::min(longest, milliseconds(number * 1'000));
    if (unit == "m") return std::min(longest, milliseconds(number * 60'000));
    return std::nullopt;
}

}  // namespace

request_ids::request_ids() {
    std::random_device random;
    fmt::format_to_n(last_.data(), last_.size(), "{:08x}{:08x}", static_cast<std::uint32_t>(random()), 0);
}

std::string_view request_ids::make(std::array<char, 16>& into) noexcept {
    for (auto digit = last_.rbegin(); digit != last_.rend(); ++digit) {  // counts in hexadecimal digits
        const bool carry = *digit == 'f';
        *digit = carry ? '0' : *digit == '9' ? 'a' : static_cast<char>(*digit + 1);
        if (!carry) break;
    }
    into = last_;
    return {into.data(), into.size()};
}

void exchange::begin(request_parser& of, host& on) {
    auto& request = of.request();
    request.id = of.request_id();
    if (!is_sound_id(request.id)) request.id = on.ids.make(id);
    if (of.has_traceparent()) {
        std::array<char, 16> span;
        request.trace = continue_trace(request, on.ids.make(span));
    }
    told = abandoned = false;
}

bool exchange::find(request_parser& of, host& on, milliseconds longest, admission::patience& patience, bool newcomer,
                    clock::time_point now) {
    auto& request = of.request();
    to = on.routes.find(request);
    const auto timeout = requested_timeout(of.request_timeout(), longest);
    deadline = now + timeout.value_or(milliseconds(0));
    if (to == nullptr) {
        reply = on.routes.fallback(request);
    } else if (!timeout) {
        reply = problem(http::status::bad_request);
    } else if (to->exempt || on.places.has_place(patience, newcomer, now)) {
        request.route = to->name;
        scope.renew(deadline);
        return true;
    } else {
        turn_away();
    }
    return false;
}

void exchange::turn_away() { reply = admission::refusal(); }

void exchange::fail() noexcept {
    try {
        reply = problem(http::status::internal_server_error);
    } catch (const std::bad_alloc&) {  // then without a text
        reply = {};
        reply.status = http::status::internal_server_error;
        reply.close = true;
    }
}

void exchange::refuse_if_late(clock::time_point now) {
    if ((told || now >= deadline) && scope.get().why() == lifecycle::cause::deadline)
        reply = problem(http::status::gateway_timeout);
}

std::string what_was_thrown(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "not a std::exception";
    }
}

}  // namespace server
