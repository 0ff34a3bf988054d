// A route, a middleware and a metric. The marked regions are the code blocks of docs/make-it-yours.md.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "server/event_stream.hpp"
#include "server/metrics.hpp"
#include "server/middleware.hpp"
#include "server/request_body.hpp"
#include "tests/server/serving.hpp"

namespace make_it_yours {
namespace {

namespace http = server::http;
using lifecycle::context;
using server::request;
using server::response;
using answer = lifecycle::awaitable<response>;

// [metric]
/// Every loop writes it, hence the atomic; where one thread writes, a server::counter is cheaper.
struct greetings {
    std::atomic<std::uint64_t> count{0};

    void write_metrics(server::metrics_text& out) const {
        out.single("greetings_total", "counter", "Names that were greeted.", static_cast<double>(count.load()));
    }
};
// [/metric]

// [handler]
/// GET /greet/{name}?times=N
response greet(const request& request) {
    const auto times = request.query_number<int>("times", 1, 1, 10);
    if (!times) return response(http::status::bad_request, "times: a whole number from 1 to 10\n");
    std::string text;
    for (int nth = 0; nth < *times; ++nth) text += fmt::format("Hello, {}\n", request.parameter("name"));
    return response(http::status::ok, text);
}
// [/handler]

/// GET /counted/{name}
response counted(greetings& greeted, const request& request) {
    ++greeted.count;
    return greet(request);
}

// [logged]
/// POST /visits/{name}: a line whose values have names, and the id of the request.
response visit(const context& context, const request& request) {
    const auto& name = request.parameter("name");
    server::log_of(context).info("{name} leaves {bytes} bytes", name, request.body.size());
    return response(http::status::no_content);
}
// [/logged]

// [waiting handler]
/// GET /greet-later/{name}: holds no thread, and ends early with its context.
answer greet_later(context context, const request& request) {
    const auto until = lifecycle::clock::now() + std::chrono::milliseconds(50);
    auto sleeping = lifecycle::sleep_until(context, until);  // lint: the handler waits, not the test
    const bool slept = co_await std::move(sleeping);
    if (!slept) co_return server::problem(http::status::service_unavailable);
    co_return response(http::status::ok, fmt::format("Hello, {}\n", request.parameter("name")));
}
// [/waiting handler]

// [events]
/// GET /count-down/{from}: an event every 10 ms, and a last word when the drain begins.
response count_down(const context& context, const request& request) {
    auto next = [left = std::string(request.parameter("from")).size()](  // one for each letter
                    lifecycle::context wait, server::event_writer& out) mutable -> lifecycle::awaitable<bool> {
        const auto due = lifecycle::clock::now() + std::chrono::milliseconds(10);
        auto sleeping = lifecycle::sleep_until(wait, due);  // lint: the handler waits, not the test
        const bool slept = co_await std::move(sleeping);
        const auto id = std::to_string(left);
        if (slept) out.event(fmt::format("{} left", --left), id);
        const bool drains = wait.why() == lifecycle::cause::shutdown;
        if (drains) out.event("come again", {}, "bye");
        co_return left > 0 && !drains;
    };
    return server::event_stream(context, std::move(next));
}
// [/events]

// [streamed]
/// POST /lines: how many there are, however large the body is.
answer lines(context, const request&, server::request_body& body) {
    std::array<char, 4096> piece;
    std::size_t count = 0;
    for (;;) {
        auto reading = body.read(piece);
        const auto size = co_await std::move(reading);  // 0: that was all
        if (size == 0) break;
        count += static_cast<std::size_t>(
            std::count(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size), '\n'));
    }
    co_return response(server::http::status::ok, fmt::format("{}\n", count));
}
// [/streamed]

// [middleware]
/// Each answer says how long its handler took (Server-Timing, W3C).
server::middleware timed() {
    const auto timing = [](lifecycle::clock::time_point began) {
        const std::chrono::duration<double, std::milli> took = lifecycle::clock::now() - began;
        return fmt::format("handler;dur={:.3f}", took.count());
    };
    return [timing](server::handler next) -> server::handler {
        if (const auto* const plain = next.as_plain())  // a plain handler stays plain
            return [timing, plain = *plain](const context& context, const request& request) {
                const auto began = lifecycle::clock::now();
                auto made = plain(context, request);
                made.set("Server-Timing", timing(began));
                return made;
            };
        return [timing, next = std::move(next)](context context, const request& request) -> answer {
            const auto began = lifecycle::clock::now();
            auto answering = next(std::move(context), request);
            auto made = co_await std::move(answering);
            made.set("Server-Timing", timing(began));
            co_return made;
        };
    };
}
// [/middleware]

server::router own_routes(greetings& greeted) {
    server::router routes;
    routes.get("/plain", serving::says("plain"));
    // [use]
    routes.use(timed());  // wraps the routes that are added after it
    // [/use]
    // [routes]
    routes.get("/greet/{name}", server::plain(greet));
    routes.get("/greet-later/{name}", greet_later);
    // [/routes]
    routes.get("/counted/{name}",
               server::plain([&greeted](const request& request) { return counted(greeted, request); }));
    // [events route]
    routes.events("/count-down/{from}", count_down);
    // [/events route]
    // [streamed route]
    routes.streamed(server::http::verb::post, "/lines", lines, 1ULL << 40);  // at most a tebibyte: above that 413
    // [/streamed route]
    return routes;
}

TEST(MakeItYours, ARouteHasParametersAndAQuery) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    EXPECT_EQ(service.ask(support::get("/greet/Ada?times=2")).body, "Hello, Ada\nHello, Ada\n");
    EXPECT_EQ(service.ask(support::get("/greet/Ada?times=11")).status, 400);
    EXPECT_EQ(service.ask(support::get("/greet")).status, 404);
    EXPECT_EQ(service.ask(support::request("POST", "/greet/Ada")).status, 405);
}

TEST(MakeItYours, ABodyIsTakenAsItComes) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    std::string many;
    while (many.size() < 5'000'000) many += "a line of some length\n";  // more than a body may have that is gathered
    const auto count = std::to_string(std::count(many.begin(), many.end(), '\n')) + "\n";
    EXPECT_EQ(service.ask(support::request("POST", "/lines", {}, many)).body, count);
    EXPECT_EQ(service.ask(support::request("POST", "/lines")).body, "0\n");
    EXPECT_EQ(service.ask("POST /lines HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627777\r\n\r\n").status, 413);
}

TEST(MakeItYours, AHandlerThatWaitsIsACoroutine) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    const auto answer = service.ask(support::get("/greet-later/Ada"));
    EXPECT_EQ(answer.body, "Hello, Ada\n");
    EXPECT_THAT(std::string(answer.header("Server-Timing")), testing::StartsWith("handler;dur="));
}

TEST(MakeItYours, AStreamOfEventsEndsByItself) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    EXPECT_THAT(std::string(service.ask(support::get("/count-down/abc")).body),
                testing::MatchesRegex(
                    ":\nretry: [0-9]+\ndata: 2 left\nid: 3\n\ndata: 1 left\nid: 2\n\ndata: 0 left\nid: 1\n\n"));
}

TEST(MakeItYours, AMiddlewareWrapsTheRoutesThatFollowIt) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    EXPECT_THAT(std::string(service.ask(support::get("/greet/Ada")).header("Server-Timing")),
                testing::StartsWith("handler;dur="));
    EXPECT_EQ(service.ask(support::get("/plain")).header("Server-Timing"), "");
}

TEST(MakeItYours, AMetricIsWrittenByHandlersAndReadByTheDebugPort) {
    greetings greeted;
    const serving::running service(own_routes(greeted));
    service.ask(support::get("/counted/Ada"));
    service.ask(support::get("/counted/Grace?times=3"));
    server::metrics_text out;
    greeted.write_metrics(out);
    EXPECT_EQ(out.take(),
              "# HELP greetings_total Names that were greeted.\n# TYPE greetings_total counter\ngreetings_total 2\n");
}

TEST(MakeItYours, ALineOfTheLogHasFieldsAndTheIdOfTheRequest) {
    std::ostringstream written;
    spdlog::logger logger("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written));
    std::vector<std::string> facts;
    struct facts_of final : spdlog::sinks::base_sink<std::mutex> {
        explicit facts_of(std::vector<std::string>& to) : to_(to) {}
        void sink_it_(const spdlog::details::log_msg&) override {
            const auto line = lifecycle::facts_of_this_line();
            for (const auto& all : {line.own, line.of_request})
                for (const auto& fact : all)
                    to_.push_back(fmt::format("{}={}", fact.name,
                                              fact.text.empty() ? std::to_string(fact.count) : std::string(fact.text)));
        }
        void flush_() override {}
        std::vector<std::string>& to_;
    };
    logger.sinks().push_back(std::make_shared<facts_of>(facts));
    server::router routes;
    // [log used]
    routes.use(server::with_log(logger));
    // [/log used]
    routes.post("/visits/{name}", visit);
    const serving::running service(std::move(routes));
    EXPECT_EQ(service.ask(support::request("POST", "/visits/Ada", "X-Request-Id: of-mine\r\n", "hello")).status, 204);
    EXPECT_THAT(written.str(), testing::HasSubstr("Ada leaves 5 bytes"));
    EXPECT_THAT(facts,
                testing::IsSupersetOf({"name=Ada", "bytes=5", "request_id=of-mine", "route=POST /visits/{name}"}));
}

}  // namespace
}  // namespace make_it_yours
