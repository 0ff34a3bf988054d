#include "server/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using server::histogram;
using server::label;
using server::metrics_text;
using testing::HasSubstr;

histogram::values of(std::initializer_list<std::chrono::nanoseconds> durations) {
    histogram measured;
    for (const auto duration : durations) measured.observe(duration);
    histogram::values values;
    values += measured;
    return values;
}

TEST(Histogram, ABoundBelongsToItsBucket) {
    const auto values = of({100us, 101us, 250us, 10s, 11s});
    EXPECT_EQ(values.counts.front(), 1U);
    EXPECT_EQ(values.counts[1], 2U);
    EXPECT_EQ(values.counts[histogram::bounds.size() - 1], 1U);
    EXPECT_EQ(values.counts.back(), 1U);
    EXPECT_EQ(values.count(), 5U);
    EXPECT_NEAR(values.sum, 21.000451, 1e-9);
}

/// Semantic conventions of OpenTelemetry, http.server.request.duration.
TEST(Histogram, HasTheBoundsOfTheSemanticConventions) {
    for (const double bound : {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0})
        EXPECT_NE(std::ranges::find(histogram::bounds, bound), histogram::bounds.end()) << bound;
}

TEST(Histogram, BoundsAscend) {
    for (std::size_t at = 1; at < histogram::bounds.size(); ++at)
        EXPECT_LT(histogram::bounds[at - 1], histogram::bounds[at]);
}

TEST(Histogram, AQuantileIsTheBoundOfItsBucket) {
    const auto values = of({50us, 50us, 900us, 4ms});
    EXPECT_EQ(values.quantile(0.0), 0.0001);
    EXPECT_EQ(values.quantile(0.5), 0.0001);
    EXPECT_EQ(values.quantile(0.75), 0.001);
    EXPECT_EQ(values.quantile(0.99), 0.005);
    EXPECT_EQ(values.quantile(1.0), 0.005);
}

TEST(Histogram, AQuantileOfNothingIsZeroAndBeyondTheLastBoundTheLastBound) {
    EXPECT_EQ(of({}).quantile(0.99), 0.0);
    EXPECT_EQ(of({1min}).quantile(0.5), histogram::bounds.back());
}

TEST(Histogram, ValuesOfSeveralAddUp) {
    histogram durations, other;
    durations.observe(1ms);
    other.observe(1ms);
    other.observe(2ms);
    histogram::values both;
    both += durations;
    both += other;
    EXPECT_EQ(both.count(), 3U);
    EXPECT_NEAR(both.sum, 0.004, 1e-9);
}

histogram::native_values native_of(std::initializer_list<std::chrono::nanoseconds> durations) {
    histogram measured;
    for (const auto duration : durations) measured.observe(duration);
    histogram::native_values values;
    values += measured;
    return values;
}

/// In which finer bucket a duration is, by its place; none: the zero bucket.
std::optional<int> place_of(std::chrono::nanoseconds duration) {
    const auto values = native_of({duration});
    EXPECT_EQ(values.count(), 1U);
    const auto found = std::ranges::find(values.counts, 1U);
    if (found == values.counts.end()) return std::nullopt;
    return static_cast<int>(found - values.counts.begin());
}

TEST(Histogram, AFinerBucketEndsAtAnEighthOfAPowerOfTwoAndHasItsEndInIt) {
    EXPECT_EQ(place_of(1s), -histogram::first_native);
    EXPECT_EQ(place_of(1s + 1ns), 1 - histogram::first_native);
    EXPECT_EQ(place_of(500ms), -8 - histogram::first_native);
    for (std::chrono::nanoseconds nanoseconds = 1us; nanoseconds < 1'000s; nanoseconds += nanoseconds / 57 + 1ns) {
        const auto seconds = std::chrono::duration<double>(nanoseconds).count();
        const auto place = place_of(nanoseconds);
        ASSERT_TRUE(place);
        const auto end = std::exp2((*place + histogram::first_native) / 8.0);
        EXPECT_LE(seconds, end * (1 + 1e-12));
        EXPECT_GT(seconds, end / std::exp2(1 / 8.0) * (1 - 1e-12));
    }
}

TEST(Histogram, WhatIsTooShortForAFinerBucketIsInTheZeroBucketAndWhatIsTooLongInTheLast) {
    EXPECT_EQ(native_of({0ns, 953ns}).zero, 2U);
    EXPECT_EQ(place_of(954ns), 0);
    EXPECT_EQ(place_of(1'024s), histogram::native_buckets - 1);
    EXPECT_EQ(place_of(24h), histogram::native_buckets - 1);
}

TEST(MetricsText, EscapesTheValueOfALabelAndReadsItBack) {
    EXPECT_EQ(label("path", "/a"), "path=\"/a\"");
    EXPECT_EQ(label("x", "a\"b\\c\nd"), "x=\"a\\\"b\\\\c\\nd\"");
    using pairs = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(server::read_labels(label("path", "/a,b=\"c\"") + ',' + label("x", "a\"b\\c\nd")),
              (pairs{{"path", "/a,b=\"c\""}, {"x", "a\"b\\c\nd"}}));
    EXPECT_EQ(server::read_labels(""), pairs{});
}

TEST(MetricsText, WritesAFamilyAndItsSamples) {
    metrics_text out;
    out.family("requests_total", "counter", "How many.");
    out.sample("code=\"2xx\"", 3);
    out.sample({}, 0.25);
    out.sample({}, 1e18);
    EXPECT_EQ(out.take(),
              "# HELP requests_total How many.\n# TYPE requests_total counter\n"
              "requests_total{code=\"2xx\"} 3\nrequests_total 0.25\nrequests_total 1e+18\n");
}

TEST(MetricsText, ACounterKeepsItsDigits) {
    metrics_text out;
    out.single("bytes_total", "counter", "Bytes.", 123456789012345.0);
    EXPECT_THAT(out.take(), HasSubstr("\nbytes_total 123456789012345\n"));
}

TEST(MetricsText, AHistogramAddsUpToItsCount) {
    metrics_text out;
    out.family("d_seconds", "histogram", "Durations.");
    out.sample("route=\"x\"", of({50us, 2ms, 1min}));
    const auto text = out.take();
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"0.0001\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"0.001\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"0.0025\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"10\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"+Inf\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_count{route=\"x\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_sum{route=\"x\"} 60.00205\n"));
}

TEST(MetricsText, AHistogramNeedsNoLabels) {
    metrics_text out;
    out.family("d", "histogram", "x");
    out.sample({}, of({50us}));
    EXPECT_THAT(out.take(), testing::AllOf(HasSubstr("d_bucket{le=\"0.0001\"} 1\n"), HasSubstr("\nd_count 1\n")));
}

constexpr const char* trace = "0af7651916cd43dd8448eb211c80319c";

TEST(Exemplars, OfEachBucketTheLastIsKeptAndOfSeveralLoopsTheLatest) {
    server::exemplar_table exemplar_table, other;
    exemplar_table.keep(3, "ffffffffffffffffffffffffffffffff", 1ms);
    exemplar_table.keep(3, trace, 2ms);
    other.keep(0, trace, 50us);
    server::bucket_exemplars all;
    exemplar_table.collect(all);
    other.collect(all);
    EXPECT_EQ(all[3].trace, (std::array<std::uint64_t, 2>{0x0af7651916cd43dd, 0x8448eb211c80319c}));
    EXPECT_EQ(all[3].duration, 2ms);
    EXPECT_EQ(all[0].duration, 50us);
    EXPECT_FALSE(all[1]);
    auto later = all;
    later[3].when += 1h;
    later[3].duration = 3ms;
    exemplar_table.collect(later);
    EXPECT_EQ(later[3].duration, 3ms) << "what is there is later";
}

TEST(Exemplars, AreReadWholeWhileTheyAreWritten) {
    server::exemplar_table table;
    std::jthread writes([&](const std::stop_token& stop) {
        for (std::uint64_t nth = 0; !stop.stop_requested(); ++nth) {
            const auto half = std::string(16, "0123456789abcdef"[nth % 16]);
            table.keep(0, half + half, std::chrono::nanoseconds(nth % 16));
        }
    });
    for (int nth = 0; nth < 20'000; ++nth) {
        server::bucket_exemplars all;
        table.collect(all);
        EXPECT_EQ(all[0].trace[0], all[0].trace[1]);
        EXPECT_EQ(all[0].trace[0] % 16, static_cast<std::uint64_t>(all[0].duration.count()));
    }
}

TEST(StatusTable, CountsEachStatusAndTellsNoMoreApartThanItHasRoomFor) {
    server::status_table table;
    for (unsigned status = 200; status < 240; ++status)
        for (unsigned times = 0; times < status - 199; ++times) table.add(status);
    std::map<unsigned, std::uint64_t> all;
    table.collect(all);
    EXPECT_EQ(all.size(), 33U);
    EXPECT_EQ(all.at(200), 1U);
    EXPECT_EQ(all.at(231), 32U);
    EXPECT_EQ(all.at(0), 33U + 34 + 35 + 36 + 37 + 38 + 39 + 40);
}

TEST(MetricsText, OpenMetricsIsWhatWhoeverWeighsItHighestGets) {
    using format = metrics_text::format;
    const auto is_open = [](std::string_view accept) { return metrics_text::wanted_by(accept) == format::openmetrics; };
    EXPECT_TRUE(
        is_open("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"))
        << "Prometheus 2";
    EXPECT_TRUE(
        is_open("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;"
                "escaping=allow-utf-8;q=0.5,*/*;q=0.2"))
        << "Prometheus 3";
    for (const auto* accept :
         {"", "*/*", "text/plain", "text/html,application/xhtml+xml,*/*;q=0.8", "application/openmetrics-text;q=0",
          "text/plain, application/openmetrics-text;q=0.9", "application/openmetrics-text;q=x", ",;,;q=,"})
        EXPECT_FALSE(is_open(accept)) << accept;
}

TEST(MetricsText, ProtocolBuffersAreWhatWhoeverWeighsThemHighestGets) {
    using format = metrics_text::format;
    const std::string family = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;";
    const auto is_protobuf = [](const std::string& accept) {
        return metrics_text::wanted_by(accept) == format::protobuf;
    };
    EXPECT_TRUE(is_protobuf(family +
                            "encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
                            "q=0.5,text/plain;version=1.0.0;q=0.3,*/*;q=0.1"))
        << "Prometheus with native histograms";
    EXPECT_FALSE(is_protobuf(family + "encoding=delimited;q=0.4,text/plain;q=0.5"));
    EXPECT_FALSE(is_protobuf(family + "encoding=text")) << "a format that we do not have";
    EXPECT_FALSE(is_protobuf("application/vnd.google.protobuf;encoding=delimited;proto=other.Message"));
    EXPECT_FALSE(is_protobuf(family + "encoding=delimited;q=0"));
}

TEST(MetricsText, AsOpenMetricsCountersBucketsAndTheEndAreWrittenItsWay) {
    metrics_text out(metrics_text::format::openmetrics);
    EXPECT_EQ(out.content_type(), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    out.family("requests_total", "counter", "How many.");
    out.sample("code=\"2xx\"", 3);
    out.family("d_seconds", "histogram", "Durations.");
    server::bucket_exemplars exemplars;
    exemplars[3] = {{0x0af7651916cd43dd, 0x8448eb211c80319c}, 750us, 1'700'000'000'042ms};
    out.sample("route=\"x\"", of({750us}), exemplars);
    const auto text = out.take();
    EXPECT_TRUE(
        text.starts_with("# HELP requests How many.\n# TYPE requests counter\nrequests_total{code=\"2xx\"} 3\n"))
        << text;
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"0.0005\"} 0\n"));
    EXPECT_THAT(text, HasSubstr(std::string("d_seconds_bucket{route=\"x\",le=\"0.001\"} 1 # {trace_id=\"") + trace +
                                "\"} 0.00075 1700000000.042\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"1.0\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("d_seconds_bucket{route=\"x\",le=\"+Inf\"} 1\n"));
    EXPECT_TRUE(text.ends_with("\n# EOF\n"));
}

TEST(MetricsText, TheProcessIsThereUnderTheStandardNames) {
    metrics_text out;
    server::write_process_metrics(out);
    const auto text = out.take();
    for (const auto* name :
         {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
          "process_start_time_seconds", "process_threads", "process_virtual_memory_max_bytes"})
        EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " "));
}

}  // namespace
