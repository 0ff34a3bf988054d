// A log from the context: lines of functions that a handler calls say which request they belong to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/sink.h>

#include "server/middleware.hpp"
#include "tests/server/run_handler.hpp"

namespace {

using server::request;
using server::response;

class keeping_sink final : public spdlog::sinks::sink {
public:
    void log(const spdlog::details::log_msg& message) override {
        said = std::string(message.payload.data(), message.payload.size());
        for (const auto& each : lifecycle::facts_of_this_line().of_request)
            if (each.is_field()) ((((said += ' ') += each.name) += '=') += each.text);
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    std::string said;
};

response tells(const lifecycle::context& context, const request&) {
    server::log_of(context).warn("{sink} is slow", "ledger");
    return {};
}
lifecycle::awaitable<response> tells_later(lifecycle::context context, const request&) {
    server::log_of(context).warn("{sink} is slow", "ledger");
    co_return response();
}

struct RequestLog : testing::Test {
    RequestLog() {
        asked.id = "order-7";
        asked.route = "GET /orders/{id}";
    }
    std::shared_ptr<keeping_sink> sink = std::make_shared<keeping_sink>();
    spdlog::logger log{"test", sink};
    request asked;
};

TEST_F(RequestLog, LinesFromTheContextHaveIdTraceAndRouteOfTheRequest) {
    run_handler(server::with_log(log)(tells), asked);
    EXPECT_EQ(sink->said, "ledger is slow request_id=order-7 route=GET /orders/{id}");
    asked.trace.parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    run_handler(server::with_log(log)(tells_later), asked);
    EXPECT_EQ(sink->said,
              "ledger is slow request_id=order-7 trace_id=0af7651916cd43dd8448eb211c80319c route=GET /orders/{id}");
}

TEST_F(RequestLog, APlainHandlerStaysOneAndWithoutTheMiddlewareNothingIsSaid) {
    const server::handler wrapped = server::with_log(log)(tells);
    EXPECT_NE(wrapped.as_plain(), nullptr);
    run_handler(tells, asked);
    EXPECT_EQ(sink->said, "");
}

}  // namespace
