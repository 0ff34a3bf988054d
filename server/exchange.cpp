#include "server/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <random>
#include <utility>

#include "server/event_stream.hpp"

namespace server {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;

/// `X-Request-Timeout: 300ms` shortens the deadline; none when the value is malformed.
std::optional<milliseconds> requested_timeout(std::string_view text, milliseconds longest) {
    if (text.empty()) return longest;
    const auto asked = parse_duration(text);
    return asked ? std::optional(std::min(longest, *asked)) : std::nullopt;
}

}  // namespace

request_ids::request_ids() : request_ids(static_cast<std::uint32_t>(std::random_device()())) {}

request_ids::request_ids(std::uint32_t first) noexcept {
    fmt::format_to_n(last_.data(), last_.size(), "{:08x}{:08x}", first, 0);
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

void exchange::begin(request& request, std::string_view its_id, bool traced, host& on, bool trusted) {
    request.id = its_id;
    // It goes into fields and lines of the log as it is, so what is no plain word there is replaced.
    if (request.id.empty() || !is_sound_id(request.id)) request.id = on.ids.make(id);
    if (on.observer) {
        on.observer->begin(request, traced);
    } else if (traced) {
        std::array<char, 16> span;
        request.trace = continue_trace(request, on.ids.make(span));
    }
    if (serving) end_serving();
    if (incoming) incoming.reset();
    told = abandoned = hurried = left = false;
    refused_by = rule::none;
    if (!trusted) [[likely]]
        return;
    from = read_forwarded(request, on.limits->trusted_proxies, on.limits->forwarded_header);
    is_forwarded = true;
    request.named_client = from.client ? &*from.client : caller;
    request.scheme = from.scheme.empty() ? scheme : from.scheme;
}

bool exchange::find(request& request, std::string_view its_timeout, host& on, milliseconds longest,
                    admission::patience& patience, bool newcomer, clock::time_point now) {
    to = on.routes.find(request);
    request.route = to != nullptr ? std::string_view(to->name) : std::string_view();
    const auto timeout = requested_timeout(its_timeout, longest);
    deadline = now + timeout.value_or(milliseconds(0));
    hurried = timeout.value_or(longest) < longest;
    // What is refused for what it is takes no place, so places come last.
    if (patience.refuses(to != nullptr && to->exempt)) {
        refuse(patience.without, refusal());
    } else if (to == nullptr) {
        fall_back(on.routes, request);
        return false;
    } else if (!timeout) {
        refuse(rule::timeout_field, problem(http::status::bad_request));
    } else if (comes_encoded(*to, request, !request.body.empty())) {
        refuse_coding();
    } else if (to->streams_body && request.body.size() > to->most_body) {
        refuse(rule::max_body_bytes, problem(status_of(rule::max_body_bytes)));
    } else if (to->events && on.draining) {
        refuse(rule::drain, empty_event_stream());
    } else if (to->exempt || on.places.has_place(patience, newcomer, now)) {
        if (to->streams_body) {
            incoming = std::make_unique<request_body>(request.body.size(), request.body, true);
            request.incoming = incoming.get();
            request.body = {};
            if (!hurried) deadline = clock::time_point::max();  // each piece has one of its own
        }
        // Only a route that is told of the drain pays for a scope of its own.
        if (to->at_stop == at_drain::finish)
            scope.renew(deadline);
        else
            begin_serving();
        assert(serving == nullptr || to->at_stop != at_drain::finish);
        return true;
    } else {
        refuse(rule::max_in_flight, refusal());
    }
    show(on.routes, request);
    return false;
}

/// A stream of events has no deadline.
void exchange::begin_serving() {
    assert(serving == nullptr && "the request before has ended");
    scope.renew(to->events ? clock::time_point::max() : deadline);
    serving = std::make_unique<lifecycle::cancel_scope>(scope.get());
    app_gives_up = clock::time_point::max();
    given = scope.get().with(drain_notice{.until = serving->get(), .app_gives_up = &app_gives_up});
}

void exchange::end_serving() noexcept {
    given = {};
    serving.reset();
}

response exchange::refusal() const { return to != nullptr && to->events ? empty_event_stream() : admission::refusal(); }

response exchange::instead(http::status code) const {
    return to != nullptr && to->events ? empty_event_stream() : problem(code);
}

void exchange::fall_back(const router& routes, const request& asked) {
    try {
        reply = routes.fallback(asked);
        if (reply.streamed()) reply = problem(http::status::internal_server_error);  // its pieces are not fetched here
    } catch (...) {  // a middleware: what a handler throws is no more to its client
        return fail();
    }
    if (reply.status == http::status::not_found) refused_by = rule::route;
    if (reply.status == http::status::method_not_allowed) refused_by = rule::route_method;
    if (reply.status == http::status::not_implemented) refused_by = rule::method;
}

/// RFC 9110 section 15.5.16: what would have been taken is said by Accept-Encoding.
void exchange::refuse_coding() {
    refuse(rule::content_encoding,
           std::move(problem(http::status::unsupported_media_type).set("Accept-Encoding", "identity")));
}

void exchange::excuse() {
    assert(is_excused());
    thrown = nullptr;
    const auto by = incoming->failed_by();
    if (by == rule::none) return void(reply = problem(http::status::bad_request));  // there is no client to read it
    if (by == rule::drain) return refuse(by, instead(http::status::service_unavailable));
    if (by == rule::max_in_flight) return refuse(by, refusal());
    refuse(by, problem(status_of(by)));
}

void exchange::fail() noexcept {
    refused_by = rule::handler;
    try {
        reply = instead(http::status::internal_server_error);
    } catch (const std::bad_alloc&) {  // then without a text
        reply = {};
        reply.status = http::status::internal_server_error;
        reply.close = true;
    }
}

bool exchange::refuse_if_late(clock::time_point now) {
    const bool late = (told || now >= deadline) && scope.get().why() == lifecycle::cause::deadline;
    if (late) refuse(rule::request_timeout, instead(http::status::gateway_timeout));
    return late;
}

void exchange::settle(const router& routes, const request& asked, clock::time_point now) {
    if (thrown == nullptr) {
        if (!refuse_if_late(now)) return;
    } else if (is_excused()) {
        excuse();
        refuse_if_late(now);
    } else {
        thrown = nullptr;
        fail();
    }
    show(routes, asked);
}

void exchange::find_fault(answer_row& made, bool forced, bool gone) const noexcept {
    const bool late = made.status == http::status::gateway_timeout;
    const bool by_client = gone || (late && hurried);
    made.digit = gone ? 0 : by_client ? 4 : std::min<std::size_t>(5, static_cast<unsigned>(made.status) / 100);
    if (forced)
        made.letters = {'K', 'H'};
    else if (by_client)
        made.letters = {'C', 'H'};
    else if (late)
        made.letters = {'T', 'H'};
    else if (made.status == http::status::internal_server_error)
        made.letters = {'S', 'H'};
    else if (made.status == http::status::service_unavailable)
        made.letters = {'R', 'R'};
    else if (refused_by == rule::body_timeout)
        made.letters = {'T', 'R'};
}

response exchange::shown(const router& routes, const request& asked, response own) noexcept {
    try {
        if (routes.wraps_own()) return routes.own(asked, own);
    } catch (...) {  // a middleware
        return own;
    }
    return own;
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
