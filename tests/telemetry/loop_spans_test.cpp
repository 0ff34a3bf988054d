#include "cmd/service/telemetry/loop_spans.hpp"

#include <gmock/gmock.h>

#include <boost/asio/ip/tcp.hpp>
#include <set>
#include <string>

#include "cmd/service/telemetry/request_body.hpp"
#include "cmd/service/telemetry/wire.hpp"
#include "server/exchange.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

namespace http = server::http;
using boost::asio::ip::make_address;
using boost::asio::ip::tcp;
using lifecycle::clock;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;
using namespace std::chrono_literals;

constexpr std::string_view trace_id = "0af7651916cd43dd8448eb211c80319c", caller_id = "b7ad6b7169203331";

/// One loop that answers one request after the other.
struct scene {
    explicit scene(sampler sampling = {}, std::size_t capacity = 1000)
        : records(std::make_shared<loop_records>(capacity)),
          settings(
              std::make_shared<const span_settings>(span_settings{.sampling = sampling, .wake = [this] { ++woken; }})),
          observer(records, settings) {
        route.name = "GET /users/{id}";
        asked.method = http::verb::get;
        asked.method_name = "GET";
        asked.target = asked.path = "/users/7";
        asked.host = "example.com:8080";
        asked.peer = tcp::endpoint(make_address("192.0.2.7"), 40'000);
        row.to = &route;
        row.digit = 2;
        row.took = 3ms;
        row.since = clock::now();
    }

    /// A request with this traceparent, or none.
    void ask(const std::string& traceparent = {}) {
        asked.trace = {};
        asked.fields.clear();
        if (!traceparent.empty()) asked.fields.push_back({http::field::unknown, "traceparent", traceparent});
        if (!agent.empty()) asked.fields.push_back({http::field::user_agent, "User-Agent", agent});
        if (!state.empty()) asked.fields.push_back({http::field::unknown, "tracestate", state});
        observer.begin(asked, !traceparent.empty());
        row.of = &asked;
        observer.end(row);
    }
    std::vector<otlp::span> spans() {
        batch all;
        records->spans.take(all.bytes, all.ends, 100'000, 1 << 30);
        if (all.empty()) return {};
        return otlp::read_traces(joined(envelope(fields{{"service.name", "x"}}), all.bytes)).spans;
    }
    otlp::span span() {
        auto all = spans();
        EXPECT_EQ(all.size(), 1U);
        return all.empty() ? otlp::span{} : all.front();
    }

    int woken = 0;
    std::string agent, state;
    server::route route;
    server::request asked;
    server::answer_row row;
    std::shared_ptr<loop_records> records;
    std::shared_ptr<const span_settings> settings;
    loop_spans observer;
};

std::string parent_with(std::string_view flags) {
    return "00-" + std::string(trace_id) + "-" + std::string(caller_id) + "-" + std::string(flags);
}

TEST(RequestSpans, haveTheAttributesOfTheStableConventions) {
    scene s;
    s.agent = "curl/8";
    s.asked.target = "/users/7?q=a";
    s.asked.query = "q=a";
    s.ask();
    const auto span = s.span();
    EXPECT_EQ(span.name, "GET /users/{id}");
    EXPECT_EQ(span.kind, 2U) << "SERVER";
    EXPECT_EQ(span.status, 0U);
    EXPECT_EQ(span.values, (otlp::attributes{{"http.request.method", "GET"},
                                             {"http.route", "/users/{id}"},
                                             {"url.scheme", "http"},
                                             {"url.path", "/users/7"},
                                             {"url.query", "q=a"},
                                             {"network.protocol.version", "1.1"},
                                             {"http.response.status_code", "200"},
                                             {"server.address", "example.com"},
                                             {"server.port", "8080"},
                                             {"client.address", "192.0.2.7"},
                                             {"network.peer.address", "192.0.2.7"},
                                             {"network.peer.port", "40000"},
                                             {"user_agent.original", "curl/8"}}));
    EXPECT_EQ(span.end - span.start, 3'000'000U);
}

TEST(RequestSpans, sayWhatHasFailedAndNoMore) {
    scene s;
    s.row.status = http::status::service_unavailable;
    s.row.digit = 5;
    s.ask();
    auto span = s.span();
    EXPECT_EQ(span.status, 2U);
    EXPECT_EQ(span.message, "");
    EXPECT_THAT(span.values, Contains(Pair("error.type", "503")));
    s.row.status = http::status::not_found;
    s.row.digit = 4;
    s.ask();
    span = s.span();
    EXPECT_EQ(span.status, 0U) << "4xx is no failure of a server";
    EXPECT_THAT(span.values, Not(Contains(Key("error.type"))));
    s.row.digit = 0;
    s.ask();
    EXPECT_THAT(s.span().values, Contains(Pair("error.type", "client_gone")));
    s.row.digit = 5;
    s.row.letters.who = 'K';
    s.ask();
    EXPECT_THAT(s.span().values, Contains(Pair("error.type", "shutdown")));
}

TEST(RequestSpans, haveNoRouteWhereThereIsNone) {
    scene s;
    s.row.to = nullptr;
    s.row.status = http::status::not_found;
    s.ask();
    const auto span = s.span();
    EXPECT_EQ(span.name, "GET");
    EXPECT_THAT(span.values, Not(Contains(Key("http.route"))));
}

TEST(RequestSpans, callAMethodThatNobodyKnowsOther) {
    scene s;
    s.row.to = nullptr;
    s.asked.method = http::verb::unknown;
    s.asked.method_name = "BREW";
    s.ask();
    const auto span = s.span();
    EXPECT_EQ(span.name, "HTTP");
    EXPECT_THAT(span.values, AllOf(Contains(Pair("http.request.method", "_OTHER")),
                                   Contains(Pair("http.request.method_original", "BREW"))));
}

TEST(RequestSpans, nameTheirOwnClientAndHostWhateverTheRequestBeforeHad) {
    scene s;
    const std::vector<tcp::endpoint> peers{{make_address("192.0.2.7"), 40'000},
                                           {make_address("192.0.2.8"), 40'000},
                                           {make_address("192.0.2.7"), 40'256},
                                           {make_address("2001:db8::7"), 40'000}};
    const std::vector<std::string> hosts{"a.example", "b.example:81", "[::1]:82"};
    for (const auto& peer : peers)
        for (const auto& host : hosts) {
            s.asked.peer = peer;
            s.asked.host = host;
            s.ask();
        }
    const auto all = s.spans();
    ASSERT_EQ(all.size(), 12U);
    for (std::size_t nth = 0; nth < all.size(); ++nth) {
        const auto& values = all[nth].values;
        const auto& peer = peers[nth / 3];
        EXPECT_EQ(values.at("client.address"), peer.address().to_string());
        EXPECT_EQ(values.at("network.peer.address"), peer.address().to_string());
        EXPECT_EQ(values.at("network.peer.port"), std::to_string(peer.port()));
        EXPECT_EQ(values.at("server.address"), nth % 3 == 0 ? "a.example" : nth % 3 == 1 ? "b.example" : "::1");
        EXPECT_EQ(values.contains("server.port") ? values.at("server.port") : "", nth % 3 == 0   ? ""
                                                                                  : nth % 3 == 1 ? "81"
                                                                                                 : "82");
    }
}

TEST(RequestSpans, tellTheClientThatAProxyNamesFromTheProxy) {
    scene s;
    const server::socket_address client(tcp::endpoint(make_address("198.51.100.1"), 0));
    s.asked.named_client = &client;
    s.ask();
    const auto span = s.span();
    EXPECT_EQ(span.values.at("client.address"), "198.51.100.1");
    EXPECT_EQ(span.values.at("network.peer.address"), "192.0.2.7");
}

TEST(RequestSpans, haveNoAddressOfAUnixSocket) {
    scene s;
    s.asked.peer = {};
    s.ask();
    EXPECT_FALSE(s.span().values.contains("client.address"));
}

TEST(RequestSpans, beginATraceWithAnIdAtRandomAndSaySo) {
    scene s;
    std::set<std::string> traces, spans;
    std::vector<std::string> handed_on;
    for (int nth = 0; nth < 500; ++nth) {
        s.ask();
        EXPECT_EQ(s.asked.trace.parent.substr(52), "-03");
        handed_on.push_back(s.asked.trace.parent);
    }
    for (const auto& span : s.spans()) {
        EXPECT_EQ(handed_on[spans.size()], "00-" + span.trace + "-" + span.id + "-03");
        EXPECT_TRUE(traces.insert(span.trace).second);
        EXPECT_TRUE(spans.insert(span.id).second);
        EXPECT_EQ(span.parent, "") << "left out, not 0";
        EXPECT_EQ(span.flags, 0x103U);
    }
    EXPECT_EQ(spans.size(), 500U);
}

TEST(RequestSpans, areChildrenOfWhoCalls) {
    scene s;
    s.state = "a=1";
    s.ask(parent_with("01"));
    const auto span = s.span();
    EXPECT_EQ(span.trace, trace_id);
    EXPECT_EQ(span.parent, caller_id);
    EXPECT_EQ(span.state, "a=1");
    EXPECT_EQ(s.asked.trace.span(), span.id) << "what is handed on";
    EXPECT_NE(span.id, caller_id);
}

TEST(RequestSpans, keepTheRandomBitAndSayThatTheParentIsRemote) {
    for (const auto& [flags, handed, kept] :
         {std::tuple("01", "-01", 0x301U), {"03", "-03", 0x303U}, {"ff", "-03", 0x303U}}) {
        scene s;
        s.ask(parent_with(flags));
        EXPECT_EQ(s.span().flags, kept);
        EXPECT_EQ(s.asked.trace.parent.substr(52), handed);
    }
}

TEST(RequestSpans, areNotRecordedWhereTheCallerDoesNotSample) {
    scene s;
    s.ask(parent_with("02"));
    EXPECT_EQ(s.asked.trace.parent.substr(52), "-02") << "and whom we call hears it";
    EXPECT_TRUE(s.spans().empty());
}

TEST(RequestSpans, obeyTheSamplerAndTellWhomTheyCall) {
    scene on({.of_roots = sampler::root::always, .by_parent = false});
    on.ask(parent_with("00"));
    EXPECT_EQ(on.span().trace, trace_id);
    EXPECT_EQ(on.asked.trace.parent.substr(52), "-01");
    scene off({.of_roots = sampler::root::never, .by_parent = false});
    off.ask(parent_with("03"));
    EXPECT_EQ(off.asked.trace.parent.substr(52), "-02");
    off.ask();
    EXPECT_EQ(off.asked.trace.parent.substr(52), "-02");
    EXPECT_TRUE(off.spans().empty());
}

TEST(RequestSpans, takeABadTraceparentForNone) {
    scene s;
    for (const auto* bad : {"00-00000000000000000000000000000000-b7ad6b7169203331-01", "x",
                            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
        s.state = "a=1";
        s.ask(bad);
        const auto span = s.span();
        EXPECT_NE(span.trace, trace_id);
        EXPECT_EQ(span.parent, "");
        EXPECT_EQ(span.state, "");
    }
}

TEST(RequestSpans, sendNoTextThatIsNoUtf8AndNoneThatIsEndless) {
    scene s;
    s.agent = "caf\xE9 " + std::string(5000, 'x');
    s.asked.target = "*";
    s.asked.path = "/\xFF";
    const std::string query(5000, 'q'), host(5000, 'h');
    s.asked.query = query;
    s.asked.host = host;
    s.ask();
    const auto span = s.span();
    EXPECT_EQ(span.values.at("url.path"), "/\xEF\xBF\xBD");
    EXPECT_THAT(span.values.at("user_agent.original"), HasSubstr("caf\xEF\xBF\xBD"));
    for (const auto& [key, value] : span.values) EXPECT_LE(value.size(), longest_text) << key;
}

TEST(RequestSpans, hideTheSignaturesInUrls) {
    scene s;
    s.asked.query = "a=1&Signature=secret&sig=secret&b=2";
    s.ask();
    EXPECT_EQ(s.span().values.at("url.query"), "a=1&Signature=REDACTED&sig=REDACTED&b=2");
}

TEST(RequestSpans, areDroppedAndCountedWhenTheQueueIsFull) {
    scene s({}, 10);
    for (int nth = 0; nth < 15; ++nth) s.ask();
    EXPECT_EQ(s.records->spans.dropped(), 5U);
    EXPECT_EQ(s.spans().size(), 10U);
}

TEST(RequestSpans, wakeTheWorkerWhenABatchIsThere) {
    scene s;
    for (int nth = 0; nth < 1023; ++nth) s.ask();
    EXPECT_EQ(s.woken, 1);
    s.ask();
    EXPECT_EQ(s.woken, 2);
}

TEST(RequestSpans, haveTheirNamesAlsoWhenThereAreMoreKindsThanSeries) {
    scene s({}, 2000);
    std::vector<server::route> routes(request_series::most + 5);
    for (std::size_t nth = 0; nth < routes.size(); ++nth) {
        routes[nth].name = "GET /" + std::to_string(nth);
        s.row.to = &routes[nth];
        s.ask();
    }
    const auto all = s.spans();
    ASSERT_EQ(all.size(), routes.size());
    for (std::size_t nth = 0; nth < routes.size(); ++nth) EXPECT_EQ(all[nth].name, routes[nth].name);
    std::uint64_t others = 0;
    s.records->series.for_each([&](const request_series::series& series) {
        if (!series.overflow) return;
        request_series::values values;
        series.add_to(values);
        for (const auto count : values.counts) others += count;
    });
    EXPECT_EQ(others, 5U) << "in the series for what overflows";
}

}  // namespace
}  // namespace telemetry
