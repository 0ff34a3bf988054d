#include "server/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace std::chrono_literals;
using server::histogram;
using server::label;
using server::metrics_text;
using testing::HasSubstr;

histogram::values of(std::initializer_list<std::chrono::nanoseconds> durations) {
    histogram measured;
    for (const auto one : durations) measured.observe(one);
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
    histogram one, other;
    one.observe(1ms);
    other.observe(1ms);
    other.observe(2ms);
    histogram::values both;
    both += one;
    both += other;
    EXPECT_EQ(both.count(), 3U);
    EXPECT_NEAR(both.sum, 0.004, 1e-9);
}

TEST(MetricsText, EscapesTheValueOfALabel) {
    EXPECT_EQ(label("path", "/a"), "path=\"/a\"");
    EXPECT_EQ(label("x", "a\"b\\c\nd"), "x=\"a\\\"b\\\\c\\nd\"");
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
