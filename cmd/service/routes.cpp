#include "cmd/service/routes.hpp"

// [examples]
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "server/event_stream.hpp"
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

/// The last event that a client has seen; if that is not one of our numbers, the stream starts from the beginning.
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
    auto next = [pause, number = last_seen(request.header("Last-Event-ID")), due = lifecycle::clock::now() + pause](
                    lifecycle::context wait, server::event_writer& out) mutable -> lifecycle::awaitable<bool> {
        auto sleeping = lifecycle::sleep_until(wait, due);
        if (co_await std::move(sleeping)) {
            const auto text = std::to_string(++number);
            out.event(text, text);
            due += pause;
        } else if (wait.why() == lifecycle::cause::shutdown) {
            out.retry(server::time_to_return());
            out.event("this instance stops", {}, "bye");
            co_return false;
        }
        co_return true;
    };
    return server::event_stream(context, std::move(next));
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

/// POST /events: the body is one event. 201 once it is as durable as the settings say.
answer record(tracker::event_tracker& events, tracker::known_keys& keys, context context, const request& request) {
    if (!tracker::is_utf8(request.body)) co_return response(http::status::bad_request, "an event is UTF-8 text\n");
    tracker::event event;
    event.data = request.body;
    const auto key = without_quotes(request.header("Idempotency-Key"));
    event.id = key.data() == nullptr ? tracker::make_id() : std::string(key);
    if (!server::is_sound_id(event.id))
        co_return response(http::status::bad_request, "Idempotency-Key: 1 to 128 characters of A-Z a-z 0-9 . _ : -\n");
    if (key.data() != nullptr && !keys.agrees(event.id, event.data))
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
