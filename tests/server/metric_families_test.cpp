// What a scraper that asks for Protocol Buffers is given, read by the field numbers of prometheus/client_model.

#include "server/metric_families.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using server::histogram;
using server::metrics_text;

std::uint64_t take_varint(std::string_view& from) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !from.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(from.front());
        from.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if (byte < 0x80) return value;
    }
    ADD_FAILURE() << "a number has no end";
    return value;
}

std::int64_t signed_of(std::uint64_t zigzag) {
    return static_cast<std::int64_t>(zigzag >> 1) ^ -static_cast<std::int64_t>(zigzag & 1);
}

/// The fields of a message by number, in their order.
struct message {
    std::map<unsigned, std::vector<std::string>> texts;
    std::map<unsigned, std::vector<std::uint64_t>> numbers;
    std::map<unsigned, double> reals;

    explicit message(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto key = take_varint(bytes);
            const auto field = static_cast<unsigned>(key >> 3);
            switch (key & 7) {
                case 0: numbers[field].push_back(take_varint(bytes)); break;
                case 1: {
                    std::uint64_t bits = 0;
                    std::memcpy(&bits, bytes.data(), sizeof bits);
                    reals[field] = std::bit_cast<double>(bits);
                    bytes.remove_prefix(sizeof bits);
                    break;
                }
                case 2: {
                    const auto size = take_varint(bytes);
                    texts[field].emplace_back(bytes.substr(0, size));
                    bytes.remove_prefix(size);
                    break;
                }
                default: ADD_FAILURE() << "wire type " << (key & 7); return;
            }
        }
    }
    message in(unsigned field, std::size_t nth = 0) const { return message(texts.at(field).at(nth)); }
};

std::vector<message> families_of(std::string_view bytes) {
    std::vector<message> all;
    while (!bytes.empty()) {
        const auto size = take_varint(bytes);
        EXPECT_LE(size, bytes.size());
        all.emplace_back(bytes.substr(0, size));
        bytes.remove_prefix(std::min<std::size_t>(size, bytes.size()));
    }
    return all;
}

std::map<std::string, std::string> labels_of(const message& of) {
    std::map<std::string, std::string> all;
    if (!of.texts.contains(1)) return all;
    for (std::size_t nth = 0; nth < of.texts.at(1).size(); ++nth)
        all[of.in(1, nth).texts.at(1)[0]] = of.in(1, nth).texts.at(2)[0];
    return all;
}

/// As Prometheus makes absolute counts of them, by the number of the bucket.
std::map<std::int64_t, std::int64_t> native_buckets_of(const message& of) {
    std::vector<std::int64_t> counts;
    std::string_view deltas = of.texts.at(13).at(0);
    for (std::int64_t count = 0; !deltas.empty();) counts.push_back(count += signed_of(take_varint(deltas)));
    std::map<std::int64_t, std::int64_t> all;
    std::int64_t at = 0;
    std::size_t nth = 0;
    for (std::size_t run = 0; run < of.texts.at(12).size(); ++run) {
        at += signed_of(of.in(12, run).numbers.at(1)[0]);
        for (auto left = of.in(12, run).numbers.at(2)[0]; left > 0; --left) all[at++] = counts.at(nth++);
    }
    EXPECT_EQ(nth, counts.size());
    return all;
}

struct measured {
    histogram::values values;
    histogram::native_values native;

    measured(std::initializer_list<std::chrono::nanoseconds> durations) {
        histogram of;
        for (const auto duration : durations) of.observe(duration);
        values += of;
        native += of;
    }
};

TEST(MetricFamilies, AreEachBehindItsLengthWithNameHelpTypeAndSamples) {
    metrics_text out(metrics_text::format::protobuf);
    EXPECT_EQ(out.content_type(),
              "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
    out.family("requests_total", "counter", "How many.");
    out.sample(server::label("code", "2\"x") + ',' + server::label("route", "GET /"), 3);
    out.sample({}, 0.25);
    out.single("open", "gauge", "Open ones.", -1);
    const auto all = families_of(out.take());
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].texts.at(1)[0], "requests_total");
    EXPECT_EQ(all[0].texts.at(2)[0], "How many.");
    EXPECT_EQ(all[0].numbers.at(3)[0], 0U) << "COUNTER";
    ASSERT_EQ(all[0].texts.at(4).size(), 2U);
    EXPECT_EQ(labels_of(all[0].in(4)), (std::map<std::string, std::string>{{"code", "2\"x"}, {"route", "GET /"}}));
    EXPECT_EQ(all[0].in(4).in(3).reals.at(1), 3.0);
    EXPECT_EQ(all[0].in(4, 1).in(3).reals.at(1), 0.25);
    EXPECT_EQ(all[1].numbers.at(3)[0], 1U) << "GAUGE";
    EXPECT_EQ(all[1].in(4).in(2).reals.at(1), -1.0);
}

TEST(MetricFamilies, AHistogramHasItsBucketsAndTheNativeOnes) {
    const measured some({500ns, 1ms, 1ms, 1'001us, 1s, 30s});
    metrics_text out(metrics_text::format::protobuf);
    ASSERT_TRUE(out.has_native());
    out.family("d_seconds", "histogram", "Durations.");
    server::bucket_exemplars exemplars;
    exemplars[3] = {{0x0af7651916cd43dd, 0x8448eb211c80319c}, 1ms, 1'700'000'000'042ms};
    out.sample("route=\"x\"", some.values, exemplars, &some.native);
    const auto family = families_of(out.take()).at(0);
    EXPECT_EQ(family.numbers.at(3)[0], 4U) << "HISTOGRAM";
    const auto all = family.in(4).in(7);
    EXPECT_EQ(all.numbers.at(1)[0], 6U);
    EXPECT_NEAR(all.reals.at(2), 31.0030015, 1e-9);

    ASSERT_EQ(all.texts.at(3).size(), histogram::bounds.size() + 1);
    EXPECT_EQ(all.in(3, 3).numbers.at(1)[0], 3U) << "added up";
    EXPECT_EQ(all.in(3, 3).reals.at(2), 0.001);
    EXPECT_EQ(all.in(3, histogram::bounds.size()).numbers.at(1)[0], 6U);
    EXPECT_TRUE(std::isinf(all.in(3, histogram::bounds.size()).reals.at(2)));
    EXPECT_FALSE(all.in(3, 2).texts.contains(3));
    const auto exemplar = all.in(3, 3).in(3);
    EXPECT_EQ(labels_of(exemplar).at("trace_id"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(exemplar.reals.at(2), 0.001);
    EXPECT_EQ(exemplar.in(3).numbers.at(1)[0], 1'700'000'000U);
    EXPECT_EQ(exemplar.in(3).numbers.at(2)[0], 42'000'000U);

    EXPECT_EQ(signed_of(all.numbers.at(5)[0]), histogram::native_schema);
    EXPECT_EQ(all.reals.at(6), histogram::native_zero);
    EXPECT_EQ(all.numbers.at(7)[0], 1U);
    // 2^(-79/8) = 1.065 ms has 1 and 1.001 ms, 2^0 = 1 s, 2^(40/8) = 32 s.
    EXPECT_EQ(native_buckets_of(all), (std::map<std::int64_t, std::int64_t>{{-79, 3}, {0, 1}, {40, 1}}));
}

TEST(MetricFamilies, NeighboursAreOneRun) {
    const measured some({1s, 1s, 1s + 1ns, 1'100ms});
    metrics_text out(metrics_text::format::protobuf);
    out.family("d_seconds", "histogram", "Durations.");
    out.sample({}, some.values, {}, &some.native);
    const auto all = families_of(out.take()).at(0).in(4).in(7);
    EXPECT_EQ(all.texts.at(12).size(), 1U);
    EXPECT_EQ(native_buckets_of(all), (std::map<std::int64_t, std::int64_t>{{0, 2}, {1, 1}, {2, 1}}));
}

/// A scraper refuses a native histogram whose buckets are not its count, and one without a sign of being one.
TEST(MetricFamilies, TheCountOfAHistogramIsThatOfItsNativeBucketsWhateverHasComeMeanwhile) {
    const measured before({1ms}), later({1ms, 1ms, 2ms});
    metrics_text out(metrics_text::format::protobuf);
    out.family("d_seconds", "histogram", "Durations.");
    out.sample({}, later.values, {}, &before.native);
    const measured none({});
    out.sample("x=\"none\"", none.values, {}, &none.native);
    out.sample("x=\"classic\"", later.values);
    const auto family = families_of(out.take()).at(0);
    const auto all = family.in(4).in(7);
    EXPECT_EQ(all.numbers.at(1)[0], 1U);
    for (std::size_t nth = 0; nth < all.texts.at(3).size(); ++nth) EXPECT_LE(all.in(3, nth).numbers.at(1)[0], 1U);
    EXPECT_EQ(family.in(4, 1).in(7).reals.at(6), histogram::native_zero);
    EXPECT_FALSE(family.in(4, 1).in(7).texts.contains(12));
    EXPECT_EQ(family.in(4, 2).in(7).numbers.at(1)[0], 3U);
    EXPECT_FALSE(family.in(4, 2).in(7).numbers.contains(5)) << "no native ones were given";
}

}  // namespace
