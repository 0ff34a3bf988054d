#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "cmd/service/telemetry/metric_records.hpp"
#include "server/metrics.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::Pair;
using namespace std::chrono_literals;

constexpr span_of_time when{.start = 1'700'000'000'000'000'000, .now = 1'800'000'000'000'000'000};

std::vector<otlp::metric> read(const batch& from) {
    if (from.empty()) return {};
    return otlp::read_metrics(joined(envelope(fields{{"service.name", "x"}}), from.bytes)).metrics;
}
std::vector<otlp::metric> of_text(const std::string& text) {
    batch all;
    append_metrics(all, text, when);
    return read(all);
}

TEST(OtlpMetrics, keepTheNamesThatStand) {
    server::metrics_text text;
    text.family("things_total", "counter", "How many.");
    text.sample(server::label("kind", "a \"quoted\"\\\n, one"), 3);
    text.sample(server::label("kind", "b") + ',' + server::label("x", "y"), 0.5);
    text.single("depth", "gauge", "How deep.", -2);
    text.single("time_seconds", "gauge", "", 1.5);
    const auto all = of_text(text.take());
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].name, "things_total");
    EXPECT_EQ(all[0].description, "How many.");
    EXPECT_EQ(all[0].type, "sum");
    EXPECT_TRUE(all[0].monotonic);
    EXPECT_EQ(all[0].temporality, 2U) << "cumulative: a doubled request does no harm";
    ASSERT_EQ(all[0].points.size(), 2U);
    EXPECT_THAT(all[0].points[0].values, ElementsAre(Pair("kind", "a \"quoted\"\\\n, one")));
    EXPECT_EQ(all[0].points[0].value, 3);
    EXPECT_EQ(all[0].points[0].start, when.start);
    EXPECT_EQ(all[0].points[0].time, when.now);
    EXPECT_THAT(all[0].points[1].values, ElementsAre(Pair("kind", "b"), Pair("x", "y")));
    EXPECT_EQ(all[0].points[1].value, 0.5);
    EXPECT_EQ(all[1].type, "gauge");
    EXPECT_EQ(all[1].points.at(0).value, -2);
    EXPECT_EQ(all[2].unit, "s");
}

TEST(OtlpMetrics, takeHistogramsWithBucketsThatAreNotAddedUp) {
    server::histogram durations;
    durations.observe(3ms);
    durations.observe(3ms);
    durations.observe(20s);
    server::histogram::values values;
    values += durations;
    server::metrics_text text;
    text.family("took_seconds", "histogram", "How long.");
    text.sample(server::label("route", "GET /"), values);
    text.sample(server::label("route", "GET /x"), values);
    const auto all = of_text(text.take());
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].temporality, 2U);
    ASSERT_EQ(all[0].points.size(), 2U);
    const auto& point = all[0].points[0];
    EXPECT_THAT(point.values, ElementsAre(Pair("route", "GET /")));
    EXPECT_EQ(point.count, 3U);
    EXPECT_THAT(point.bounds, ElementsAreArray(server::histogram::bounds));
    EXPECT_EQ(point.counts.back(), 1U);
    EXPECT_EQ(*std::ranges::max_element(point.counts), 2U);
    EXPECT_NEAR(point.sum, 20.006, 1e-6);
}

TEST(OtlpMetrics, keepEachDigitOfLargeNumbers) {
    const auto all = of_text(
        "# HELP a_total x\n# TYPE a_total counter\na_total 9007199254740993\n"
        "# HELP b x\n# TYPE b gauge\nb -9223372036854775808\n"
        "# HELP c x\n# TYPE c histogram\nc_bucket{le=\"1\"} 9007199254740993\nc_bucket{le=\"+Inf\"} 9007199254740996\n"
        "c_sum 1.5\nc_count 9007199254740996\n");
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].points.at(0).whole, 9'007'199'254'740'993);
    EXPECT_EQ(all[1].points.at(0).whole, std::numeric_limits<std::int64_t>::min());
    EXPECT_THAT(all[2].points.at(0).counts, ElementsAre(9'007'199'254'740'993U, 3U));
    EXPECT_EQ(all[2].points.at(0).count, 9'007'199'254'740'996U);
}

TEST(OtlpMetrics, leaveOutWhatIsNoNumber) {
    EXPECT_TRUE(of_text("# HELP a b\n# TYPE a gauge\na NaN\n").empty());
    EXPECT_TRUE(of_text("no metrics at all\nx 1\n{ }\n").empty());
}

server::answer_row row_of(const server::request& asked, const server::route* to, std::chrono::nanoseconds took,
                          server::http::status status = server::http::status::ok) {
    server::answer_row row;
    row.to = to;
    row.of = &asked;
    row.status = status;
    row.digit = static_cast<unsigned>(status) / 100;
    row.took = took;
    return row;
}

TEST(OtlpMetrics, haveTheRequestDurationOfTheConventionsWithItsFourteenBounds) {
    server::route route;
    route.name = "GET /slow";
    server::request asked;
    asked.method = server::http::verb::get;
    request_series request_series, other;
    request_series.of(request_kind::of(row_of(asked, &route, 0s))).observe(60ms);
    other.of(request_kind::of(row_of(asked, &route, 0s))).observe(11s);
    other.of(request_kind::of(row_of(asked, nullptr, 0s, server::http::status::not_found))).observe(1ms);
    batch all;
    append_request_durations(all, {&request_series, &other}, when);
    const auto metrics = read(all);
    ASSERT_EQ(metrics.size(), 1U);
    EXPECT_EQ(metrics[0].name, "http.server.request.duration");
    EXPECT_EQ(metrics[0].unit, "s");
    ASSERT_EQ(metrics[0].points.size(), 2U);
    for (const auto& point : metrics[0].points) {
        EXPECT_THAT(point.bounds,
                    ElementsAre(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10));
        EXPECT_EQ(point.start, when.start);
        const bool matched = point.values.contains("http.route");
        EXPECT_EQ(point.values.at("http.request.method"), "GET");
        EXPECT_EQ(point.values.at("url.scheme"), "http");
        EXPECT_EQ(point.values.at("http.response.status_code"), matched ? "200" : "404");
        EXPECT_EQ(point.count, matched ? 2U : 1U) << "of both loops";
        if (!matched) continue;
        EXPECT_EQ(point.values.at("http.route"), "/slow");
        EXPECT_EQ(point.counts[4], 1U);
        EXPECT_EQ(point.counts[14], 1U);
    }
}

}  // namespace
}  // namespace telemetry
