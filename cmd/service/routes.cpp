#include "cmd/service/routes.hpp"

// [examples]
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "server/event_stream.hpp"
#include "server/problem.hpp"
#include "server/request_body.hpp"
#include "server/sha256.hpp"
#include "tracker/known_keys.hpp"
// [/examples]

namespace http = server::http;
using lifecycle::context;
using server::problem;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

namespace {

// [examples]
constexpr std::int64_t longest_sleep_ms = 10 * 60 * 1000;
constexpr std::uint64_t default_big = 8ULL * 1024 * 1024;
constexpr std::uint64_t largest_big = 1ULL << 40;
constexpr std::uint64_t largest_count = 1ULL << 40;

response hello(const context&, const request&) { return response(http::status::ok, "Hello, QCon!\n", "text/plain"); }

/// GET /slow?ms=N: holds no thread, and ends early with its context.
answer slow(context context, const request& request) {
    const auto ms = request.query_number<std::int64_t>("ms", std::nullopt, 0, longest_sleep_ms);
    if (!ms) co_return response(http::status::bad_request, "ms: a whole number from 0 to 600000\n");
    const auto until = lifecycle::clock::now() + std::chrono::milliseconds(*ms);
    auto sleeping = lifecycle::sleep_until(context, until);
    const bool slept = co_await std::move(sleeping);
    if (!slept) co_return problem(http::status::service_unavailable);
    co_return response(http::status::ok, "slept " + std::to_string(*ms) + " ms\n");
}

/// GET /big?bytes=N: streamed, so memory stays bounded whatever N is.
response big(const context&, const request& request) {
    const auto bytes = request.query_number<std::uint64_t>("bytes", default_big, 0, largest_big);
    if (!bytes) return response(http::status::bad_request, "bytes: a whole number from 0 to 1099511627776\n");
    const auto piece = [](std::span<char> into) -> lifecycle::awaitable<std::size_t> {
        std::fill(into.begin(), into.end(), 'x');
        co_return into.size();
    };
    const std::uint64_t length = *bytes;
    return response::stream(piece, length);
}

/// The last event that a client has seen; if that is not one of our numbers, the stream starts from the beginning. It
/// does after the largest of them, too.
std::uint64_t last_seen(std::string_view id) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    return error == std::errc() && end == id.data() + id.size() ? number : 0;
}

/// GET /ticks?ms=N: a stream of events, one every N ms, that goes on where its client has stopped.
response ticks(const context& context, const request& request) {
    const auto ms = request.query_number<std::int64_t>("ms", std::nullopt, 10, 60'000);
    if (!ms) return response(http::status::bad_request, "ms: a whole number from 10 to 60000\n");
    const std::chrono::milliseconds pause(*ms);
    auto due = lifecycle::clock::now() + pause;
    auto next = [pause, due, number = last_seen(request.header("Last-Event-ID"))](
                    const lifecycle::context& until,
                    server::event_writer& out) mutable -> std::optional<lifecycle::clock::time_point> {
        if (until.why() == lifecycle::cause::shutdown) {
            out.retry(server::time_to_return());
            out.event("this instance stops", {}, "bye");
            return std::nullopt;
        }
        number = number == std::numeric_limits<std::uint64_t>::max() ? 1 : number + 1;
        const auto text = std::to_string(number);
        out.event(text, text);
        return due += pause;
    };
    return server::event_stream(context, due, std::move(next));
}

/// POST /count: the body streams through, however large it is.
answer count(context, const request&, server::request_body& body) {
    server::sha256 sum;
    std::uint64_t bytes = 0;
    const auto piece = std::make_unique_for_overwrite<std::array<char, 64 * 1024>>();
    for (;;) {
        auto reading = body.read(*piece);
        const auto size = co_await std::move(reading);
        if (size == 0) break;
        sum.add(std::span(*piece).first(size));
        bytes += size;
    }
    co_return response(http::status::ok, "{\"bytes\":" + std::to_string(bytes) + ",\"sha256\":\"" + sum.hex() + "\"}\n",
                       "application/json");
}

response echo(const context&, const request& request) {
    response same(http::status::ok, std::string(request.body), "application/octet-stream");
    if (const auto type = request.header(http::field::content_type); !type.empty()) {
        same.content_type = {};
        same.set("Content-Type", type);
    }
    return same;
}

// [/examples]
response try_later(http::status status) { return std::move(problem(status).set("Retry-After", "1")); }

// [examples]
/// The draft of the field has it in quotes (a string of RFC 9651), most clients send it bare.
std::string_view without_quotes(std::string_view key) {
    const bool quoted = key.size() >= 2 && key.front() == '"' && key.back() == '"';
    return quoted ? key.substr(1, key.size() - 2) : key;
}

/// "%20" and the like as they are in headers of CloudEvents; what is no such escape stays as it is.
std::string unescaped(std::string_view value) {
    std::string made;
    for (std::size_t at = 0; at < value.size(); ++at) {
        unsigned char byte = 0;
        const auto* const digits = value.data() + at + 1;
        const bool escape = value[at] == '%' && at + 2 < value.size() &&
                            std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
        made += escape ? static_cast<char>(byte) : value[at];
        if (escape) at += 2;
    }
    return made;
}

/// What the event says of itself, where the settings let it: the type of its data, the trace that it comes from, and
/// the fields that a CloudEvent has (`ce-type`, `ce-subject`, `ce-partitionkey` …), but for those that are the event's
/// own.
std::optional<response> take_headers(const request& request, tracker::event_headers& into) {
    const auto take = [&into](std::string_view name, std::string_view value) -> std::optional<response> {
        if (value.empty() || into.set(name, value)) return std::nullopt;
        if (!tracker::event_headers::sound(name, value))
            return problem({.status = http::status::bad_request,
                            .detail = "an attribute has a name of 1 to 20 of a-z 0-9, and is UTF-8 text"});
        return problem(http::status::request_header_fields_too_large);
    };
    if (auto fault = take("datacontenttype", request.header(http::field::content_type))) return fault;
    if (auto fault = take("traceparent", request.trace.parent)) return fault;
    if (auto fault = take("tracestate", request.trace.parent.empty() ? "" : request.trace.state)) return fault;
    for (const auto& field : request.fields) {
        auto name = std::string(field.name);
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
        constexpr std::string_view prefix = "ce-";
        if (!name.starts_with(prefix)) continue;
        constexpr std::array<std::string_view, 7> elsewhere{
            "id", "time", "specversion", "data", "datacontenttype", "traceparent", "tracestate"};
        if (std::ranges::count(elsewhere, std::string_view(name).substr(prefix.size())) > 0) continue;
        if (auto fault = take(name.substr(prefix.size()), unescaped(field.value))) return fault;
    }
    return std::nullopt;
}

/// What has to be the same when a request is repeated: not the trace, of which each try is another part.
std::string identity_of(const tracker::event& event) {
    auto same = event.headers;
    for (const auto* name : {"traceparent", "tracestate"}) same.erase(name);
    return same.empty() ? event.data : event.data + '\xFF' + std::string(same.encoded());  // no byte of UTF-8
}

/// POST /events: the body is one event. 201 once it is as durable as the settings say.
answer record(tracker::event_tracker& events, tracker::known_keys& keys, context context, const request& request) {
    if (!tracker::is_utf8(request.body)) co_return response(http::status::bad_request, "an event is UTF-8 text\n");
    tracker::event event;
    event.data = request.body;
    const auto key = without_quotes(request.header("Idempotency-Key"));
    event.id = key.data() == nullptr ? tracker::make_id() : std::string(key);
    if (!server::is_sound_id(event.id))
        co_return response(http::status::bad_request, "Idempotency-Key: 1 to 128 characters of A-Z a-z 0-9 . _ : -\n");
    if (events.takes_headers())
        if (auto fault = take_headers(request, event.headers)) co_return std::move(*fault);
    if (key.data() != nullptr && !keys.agrees(event.id, event.headers.empty() ? event.data : identity_of(event)))
        co_return response(http::status::unprocessable_entity,
                           "Idempotency-Key: it came with another body before; another event takes another key\n");
    const std::string id = event.id;
    auto recording = events.record(context, std::move(event));
    switch (co_await std::move(recording)) {
        case tracker::verdict::accepted: {
            response created(http::status::created, "{\"id\":\"" + id + "\"}\n", "application/json");
            co_return created;
        }
        case tracker::verdict::full:
        case tracker::verdict::unwritable:
        case tracker::verdict::closed: co_return try_later(http::status::service_unavailable);
        case tracker::verdict::deadline: break;
    }
    const bool late = context.why() == lifecycle::cause::deadline;
    co_return late ? problem(http::status::gateway_timeout) : try_later(http::status::service_unavailable);
}

// [/examples]
}  // namespace

server::router app_routes(tracker::event_tracker& events, const lifecycle::stop_channel& stop) {
    server::router routes;
    // [examples]
    routes.get("/", hello);
    routes.get("/slow", slow);
    routes.get("/big", big);
    routes.events("/ticks", ticks);
    routes.post("/echo", echo);
    routes.streamed(http::verb::post, "/count", count, largest_count);
    const auto keys = std::make_shared<tracker::known_keys>();
    routes.post("/events", [&events, keys](context context, const request& request) {
        return record(events, *keys, std::move(context), request);
    });
    // [/examples]
    routes.probe("/livez", [&stop](const context&, const request&) {
        return stop.failed() ? try_later(http::status::service_unavailable) : response(http::status::ok, "ok\n");
    });
    routes.probe("/readyz", [&stop, &events](const context&, const request&) {
        const bool ready = stop.is_ready() && events.writable() && events.readable();
        return ready ? response(http::status::ok, "ok\n") : try_later(http::status::service_unavailable);
    });
    return routes;
}
