// What a span costs the loop in memory: nothing. The counter is that of tests/hot_path.

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "cmd/service/telemetry/loop_spans.hpp"
#include "server/exchange.hpp"
#include "tests/hot_path/counted_allocations.hpp"

namespace telemetry {
namespace {

using boost::asio::ip::make_address;
using boost::asio::ip::tcp;

TEST(RequestSpans, allocateNothingOnTheLoop) {
    auto records = std::make_shared<loop_records>(100'000);
    loop_spans observer(records, std::make_shared<const span_settings>(span_settings{.sampling = {}, .wake = [] {}}));
    server::route route;
    route.name = "GET /users/{id}";
    server::request asked;
    asked.method = server::http::verb::get;
    asked.method_name = "GET";
    asked.target = "/users/7?a=b";
    asked.path = "/users/7";
    asked.query = "a=b";
    asked.host = "example.com:8080";
    asked.peer = tcp::endpoint(make_address("2001:db8::1"), 40'000);
    asked.fields = {
        {server::http::field::user_agent, "User-Agent", "curl/8"},
        {server::http::field::unknown, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"}};
    server::answer_row row;
    row.to = &route;
    row.of = &asked;
    row.digit = 2;
    const auto serve = [&](bool traced) {
        if (asked.trace) asked.trace = {};
        observer.begin(asked, traced);
        observer.end(row);
    };
    serve(true);  // the trace of a request has its memory from then on
    serve(false);
    const auto before = hot_path::allocations_of_this_thread();
    for (int nth = 0; nth < 1000; ++nth) serve(nth % 2 == 0);
    EXPECT_EQ(hot_path::allocations_of_this_thread() - before, 0U);
    EXPECT_EQ(records->spans.waiting(), 1002U);
}

}  // namespace
}  // namespace telemetry
