#include "server/shared_histogram.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

namespace {

using server::shared_histogram;

std::string written(const shared_histogram& of, std::string_view labels = {}) {
    server::metrics_text out;
    out.family("lines", "histogram", "Lines of an order.");
    of.write(out, labels);
    const auto text = out.take();
    return text.substr(text.find("histogram\n") + 10);
}

TEST(SharedHistogram, CountsUpToEachBoundAndSaysSumAndCount) {
    shared_histogram lines({0.5, 1, 10});
    for (const double value : {0.25, 0.5, 0.75, 1.0, 7.0, 11.5}) lines.observe(value);
    EXPECT_EQ(written(lines),
              "lines_bucket{le=\"0.5\"} 2\nlines_bucket{le=\"1\"} 4\nlines_bucket{le=\"10\"} 5\n"
              "lines_bucket{le=\"+Inf\"} 6\nlines_sum 21\nlines_count 6\n");
}

TEST(SharedHistogram, HasLabelsInFrontOfItsBounds) {
    shared_histogram lines({1});
    lines.observe(1);
    EXPECT_EQ(written(lines, "shop=\"a\""),
              "lines_bucket{shop=\"a\",le=\"1\"} 1\nlines_bucket{shop=\"a\",le=\"+Inf\"} 1\n"
              "lines_sum{shop=\"a\"} 1\nlines_count{shop=\"a\"} 1\n");
}

TEST(SharedHistogram, IsWrittenInEachFormatThatAScraperMayWant) {
    shared_histogram lines({0.5, 1});
    lines.observe(0.75);
    const auto in = [&lines](server::metrics_text::format format) {
        server::metrics_text out(format);
        out.family("lines", "histogram", "Lines of an order.");
        lines.write(out);
        return out.take();
    };
    EXPECT_THAT(in(server::metrics_text::format::openmetrics), testing::HasSubstr("lines_bucket{le=\"1.0\"} 1\n"));
    // io.prometheus.client.MetricFamily: name, help, type and one metric, whose histogram has count, sum and three
    // buckets.
    const std::string sum("\x11\0\0\0\0\0\0\xe8\x3f", 9), half("\x11\0\0\0\0\0\0\xe0\x3f", 9),
        whole("\x11\0\0\0\0\0\0\xf0\x3f", 9), infinity("\x11\0\0\0\0\0\0\xf0\x7f", 9);
    const auto at = [](int nth) { return std::string("\x08") + static_cast<char>(nth); };
    const auto histogram =
        at(1) + sum + "\x1a\x0b" + at(0) + half + "\x1a\x0b" + at(1) + whole + "\x1a\x0b" + at(1) + infinity;
    EXPECT_THAT(in(server::metrics_text::format::protobuf), testing::EndsWith(std::string("\x3a\x32") + histogram));
}

TEST(SharedHistogram, WhatIsNoNumberIsNotCounted) {
    shared_histogram lines({1});
    lines.observe(std::numeric_limits<double>::quiet_NaN());
    EXPECT_THAT(written(lines), testing::EndsWith("lines_sum 0\nlines_count 0\n"));
}

TEST(SharedHistogram, IsObservedByAnyThread) {
    shared_histogram lines({1});
    const auto observe = [&lines] {
        for (int nth = 0; nth < 10'000; ++nth) lines.observe(1);
    };
    { const std::jthread first(observe), other(observe); }
    EXPECT_THAT(written(lines), testing::EndsWith("lines_sum 20000\nlines_count 20000\n"));
}

TEST(SharedHistogram, ItsBoundsGoUp) {
    const double infinity = std::numeric_limits<double>::infinity();
    for (const auto& bounds : std::vector<std::vector<double>>{{}, {1, 1}, {2, 1}, {1, std::nan("")}, {1, infinity}})
        EXPECT_THROW(shared_histogram{bounds}, std::invalid_argument);
}

}  // namespace
