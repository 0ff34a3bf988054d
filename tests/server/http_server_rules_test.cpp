// Why was I refused: each 4xx and 5xx of the server itself has a rule, in the access log and in a metric.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/metrics.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using namespace std::string_literals;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string metrics_of(const running& app) {
    server::metrics_text out;
    app.server().write_metrics(out);
    return out.take();
}

std::string refused(std::string_view rule, int times = 1) {
    return "http_requests_refused_total{server=\"app\",rule=\"" + std::string(rule) + "\"} " + std::to_string(times) +
           '\n';
}

server::options with_access_log() {
    auto options = one_loop();
    options.access_log = true;
    return options;
}

struct fault {
    std::string bytes;
    int status;
    std::string rule, shown;  ///< "- -": neither method nor target
};

TEST(HttpServerRules, WhatIsNoRequestIsRefusedByARuleThatTheLogAndTheMetricName) {
    const auto line = [](std::string_view first, std::string_view fields) {
        return std::string(first) + "\r\n" + std::string(fields) + "\r\n";
    };
    const std::vector<fault> faults{
        {" /\r\n", 400, "request_line", "- -"},
        {line("GET / HTTP/2.1", "Host: a\r\n"), 505, "http_version", "- -"},
        {line("GET / HTTP/1.1", "Host : a\r\n"), 400, "field", "- -"},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "line_end", "- -"},
        {line("GET / HTTP/1.1", std::string(200, 'a') + ": " + std::string(17'000, 'b') + "\r\n"), 431,
         "max_header_bytes", "- -"},
        {line("GET /" + std::string(9'000, 'a') + " HTTP/1.1", "Host: a\r\n"), 414, "max_target_bytes", "- -"},
        {line("GET /x HTTP/1.1", ""), 400, "host", "GET /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nContent-Length: x\r\n"), 400, "content_length", "POST /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nContent-Length: 99999999\r\n"), 413, "max_body_bytes", "POST /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400, "framing",
         "POST /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), 501, "transfer_coding",
         "POST /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked, gzip\r\n"), 400, "transfer_encoding",
         "POST /x"},
        {line("POST /x HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\n") + "x\r\n", 400, "chunk", "POST /x"},
        {line("GET /x HTTP/1.1", "Host: a\r\nExpect: else\r\n"), 417, "expect", "GET /x"},
        {line("GET /%zz HTTP/1.1", "Host: a\r\n"), 400, "target", "GET /%zz"},
        {line("FLY /x HTTP/1.1", "Host: a\r\n"), 501, "method", "FLY /x"},
    };
    running app(router().get("/", says("hello")), with_access_log());
    for (const auto& fault : faults) {
        EXPECT_EQ(app.ask(fault.bytes).status, fault.status) << fault.rule;
        EXPECT_THAT(metrics_of(app), HasSubstr(refused(fault.rule))) << fault.rule;
    }
    app.stop();
    for (const auto& fault : faults)
        EXPECT_THAT(app.log(), ContainsRegex("access 127.0.0.1 " + fault.shown + " " + std::to_string(fault.status) +
                                             " [0-9]+us - PR rule " + fault.rule + "\n"));
}

TEST(HttpServerRules, OnesWithoutAHandlerHaveThemToo) {
    running app(router().get("/", says("hello")).post("/", echo()), with_access_log());
    EXPECT_EQ(app.ask(get("/none")).status, 404);
    EXPECT_EQ(app.ask(support::request("DELETE", "/", "", "")).status, 405);
    EXPECT_EQ(app.ask(support::request("POST", "/", "Content-Encoding: gzip\r\n", "x")).status, 415);
    EXPECT_EQ(app.ask(get("/", "X-Request-Timeout: soon\r\n")).status, 400);
    EXPECT_EQ(app.ask(get("/")).status, 200);
    for (const auto* rule : {"route", "route_method", "content_encoding", "timeout_field"})
        EXPECT_THAT(metrics_of(app), HasSubstr(refused(rule)));
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET /none 404 [0-9]+us [0-9a-f]+ -- rule route\n"));
    EXPECT_THAT(app.log(), ContainsRegex("DELETE / 405 [0-9]+us [0-9a-f]+ -- rule route_method\n"));
    EXPECT_THAT(app.log(), ContainsRegex("POST / 415 [0-9]+us [0-9a-f]+ -- rule content_encoding\n"));
    EXPECT_THAT(app.log(), ContainsRegex("GET / 400 [0-9]+us [0-9a-f]+ -- rule timeout_field\n"));
    EXPECT_THAT(app.log(), ContainsRegex("GET / 200 [0-9]+us [0-9a-f]+ --\n")) << "what a handler says has none";
}

TEST(HttpServerRules, ARefusalOfAHandlerIsNoneOfOurs) {
    const auto refuses = [](lifecycle::context, const request&) -> reply {
        co_return server::problem(http::status::service_unavailable);
    };
    running app(router().get("/", refuses), with_access_log());
    EXPECT_EQ(app.ask(get("/")).status, 503);
    EXPECT_THAT(metrics_of(app), Not(HasSubstr("http_requests_refused_total{")));
    app.stop();
    EXPECT_THAT(app.log(), Not(HasSubstr(" rule ")));
}

TEST(HttpServerRules, WhatStandsInThePlaceOfAHandlerHasOne) {
    gate held;
    auto options = with_access_log();
    options.request_timeout = 20ms;
    const auto throws = [](lifecycle::context, const request&) -> reply {
        throw std::runtime_error("on purpose");
        co_return response();
    };
    running app(router().get("/throws", throws).get("/waits", waits_at(held)), options);
    EXPECT_EQ(app.ask(get("/throws")).status, 500);
    EXPECT_EQ(app.ask(get("/waits")).status, 504);
    for (const auto* rule : {"handler", "request_timeout"}) EXPECT_THAT(metrics_of(app), HasSubstr(refused(rule)));
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET /throws 500 .* SH rule handler\n"));
    EXPECT_THAT(app.log(), ContainsRegex("GET /waits 504 .* TH rule request_timeout\n"));
}

TEST(HttpServerRules, WhatDoesNotComeInTimeHasOne) {
    auto options = with_access_log();
    options.header_timeout = options.body_timeout = 20ms;
    running app(router().post("/", echo()), options);
    EXPECT_EQ(app.ask("GET /secret HTTP").status, 408);
    EXPECT_EQ(app.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123").status, 408);
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("access 127.0.0.1 - - 408 [0-9]+us - TR rule header_timeout\n"));
    EXPECT_THAT(app.log(), ContainsRegex("access 127.0.0.1 POST / 408 [0-9]+us - TR rule body_timeout\n"));
}

TEST(HttpServerRules, AStrictTargetSaysThatItIsTheStrictness) {
    auto options = with_access_log();
    options.strict_targets = true;
    running app(router().get("/", says("hello")), options);
    EXPECT_EQ(app.ask(get("/?a[]=1")).status, 400);
    EXPECT_EQ(app.ask(get("/?a=%zz")).status, 400);
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET /\\?a\\[\\]=1 400 .* rule strict_targets\n"));
    EXPECT_THAT(app.log(), ContainsRegex("GET /\\?a=%zz 400 .* rule target\n"));
}

TEST(HttpServerRules, AnotherProtocolIsNamedOnceASecondAtMostAndCountedEachTime) {
    running app(router().get("/", says("hello")));
    for (int nth = 0; nth < 3; ++nth) app.ask("\x16\x03\x01\x02\0\x01"s);
    app.ask("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    app.ask("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"s);
    EXPECT_EQ(app.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 505);
    EXPECT_THAT(metrics_of(app), HasSubstr(refused("tls", 3)));
    EXPECT_THAT(metrics_of(app), HasSubstr(refused("proxy_header", 2)));
    EXPECT_THAT(metrics_of(app), HasSubstr(refused("http2")));
    app.stop();
    const auto first =
        app.log().find("app: what 127.0.0.1 sends looks like a TLS hello, which is not spoken here; 1 so far");
    ASSERT_NE(first, std::string::npos) << app.log();
}

TEST(HttpServerRules, ALaterRequestIsNoOtherProtocol) {
    running app(router().get("/", says("hello")));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/")).status, 200);
    EXPECT_EQ(ask_on(client, "\x16\x03\x01").status, 400);
    EXPECT_THAT(metrics_of(app), HasSubstr(refused("request_line")));
}

}  // namespace
}  // namespace serving
