#include "server/metric_families.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

namespace server {
namespace {

// The wire format: protobuf.dev/programming-guides/encoding.
void put_varint(std::string& to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
    to += static_cast<char>(value);
}

void put_number(std::string& to, unsigned field, std::uint64_t value) {
    put_varint(to, field << 3 | 0);
    put_varint(to, value);
}

void put_real(std::string& to, unsigned field, double value) {
    put_varint(to, field << 3 | 1);
    std::array<char, sizeof value> bytes{};
    std::memcpy(bytes.data(), &value, sizeof value);  // x86-64 and AArch64 are little-endian
    to.append(bytes.data(), bytes.size());
}

void put_bytes(std::string& to, unsigned field, std::string_view bytes) {
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes.size());
    to += bytes;
}

/// sint32 and sint64.
std::uint64_t zigzag(std::int64_t value) {
    return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}

std::string pair_of(std::string_view name, std::string_view value) {
    std::string made;
    put_bytes(made, 1, name);
    put_bytes(made, 2, value);
    return made;
}

void put_labels(std::string& to, std::string_view labels) {
    for (const auto& [name, value] : read_labels(labels)) put_bytes(to, 1, pair_of(name, value));
}

std::string message_of(const exemplar& exemplar) {
    std::string made, when;
    put_bytes(made, 1, pair_of("trace_id", fmt::format("{:016x}{:016x}", exemplar.trace[0], exemplar.trace[1])));
    put_real(made, 2, std::chrono::duration<double>(exemplar.duration).count());
    put_number(when, 1, static_cast<std::uint64_t>(exemplar.when.count() / 1'000));
    put_number(when, 2, static_cast<std::uint64_t>(exemplar.when.count() % 1'000 * 1'000'000));
    put_bytes(made, 3, when);
    return made;
}

/// Runs of buckets that hold something, and how much more each holds than the one before it.
void put_native(std::string& to, const histogram::native_values& values) {
    put_number(to, 5, zigzag(histogram::native_schema));
    put_real(to, 6, histogram::native_zero);
    put_number(to, 7, values.zero);
    std::string deltas;
    std::int64_t before = 0;
    int next = 0;  // the bucket after the last run
    for (int at = 0, end = 0; at < histogram::native_buckets; at = end) {
        const auto holds = [&](int nth) { return values.counts[static_cast<std::size_t>(nth)] > 0; };
        end = at + 1;
        if (!holds(at)) continue;
        while (end < histogram::native_buckets && holds(end)) ++end;
        std::string run;
        put_number(run, 1, zigzag(at - next + (next == 0 ? histogram::first_native : 0)));
        put_number(run, 2, static_cast<std::uint64_t>(end - at));
        put_bytes(to, 12, run);
        for (int nth = at; nth < end; ++nth) {
            const auto count = static_cast<std::int64_t>(values.counts[static_cast<std::size_t>(nth)]);
            put_varint(deltas, zigzag(count - std::exchange(before, count)));
        }
        next = end;
    }
    if (!deltas.empty()) put_bytes(to, 13, deltas);
}

}  // namespace

void metric_families::begin(std::string_view name, std::string_view type, std::string_view help) {
    end();
    kind_ = type == "counter" ? kind::counter : type == "histogram" ? kind::histogram : kind::gauge;
    put_bytes(family_, 1, name);
    put_bytes(family_, 2, help);
    put_number(family_, 3, static_cast<std::uint64_t>(kind_));
}

void metric_families::number(std::string_view labels, double value) {
    std::string metric, inner;
    put_labels(metric, labels);
    put_real(inner, 1, value);
    put_bytes(metric, kind_ == kind::counter ? 3 : 2, inner);
    put_bytes(family_, 4, metric);
}

/// Loops go on to count while they are read, so the two kinds of buckets may differ by what has just come; a native
/// histogram whose buckets are not its count is refused by scrapers.
void metric_families::distribution(std::string_view labels, const histogram::values& values, const bucket_exemplars& of,
                                   const histogram::native_values* native) {
    const auto all = native != nullptr ? native->count() : values.count();
    std::string metric, inner;
    put_labels(metric, labels);
    put_number(inner, 1, all);
    put_real(inner, 2, values.sum);
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < values.counts.size(); ++at) {
        const bool bounded = at < histogram::bounds.size();
        seen += values.counts[at];
        std::string bucket;
        put_number(bucket, 1, bounded ? std::min(seen, all) : all);
        put_real(bucket, 2, bounded ? histogram::bounds[at] : std::numeric_limits<double>::infinity());
        if (of[at]) put_bytes(bucket, 3, message_of(of[at]));
        put_bytes(inner, 3, bucket);
    }
    if (native != nullptr) put_native(inner, *native);
    put_bytes(metric, 7, inner);
    put_bytes(family_, 4, metric);
}

void metric_families::distribution(std::string_view labels, std::span<const double> bounds,
                                   std::span<const std::uint64_t> counts, double sum) {
    std::string metric, inner, buckets;
    put_labels(metric, labels);
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < counts.size(); ++at) {
        seen += counts[at];
        std::string bucket;
        put_number(bucket, 1, seen);
        put_real(bucket, 2, at < bounds.size() ? bounds[at] : std::numeric_limits<double>::infinity());
        put_bytes(buckets, 3, bucket);
    }
    put_number(inner, 1, seen);
    put_real(inner, 2, sum);
    put_bytes(metric, 7, inner + buckets);
    put_bytes(family_, 4, metric);
}

void metric_families::end() {
    if (family_.empty()) return;
    put_varint(all_, family_.size());
    all_ += std::exchange(family_, {});
}

std::string metric_families::take() {
    end();
    return std::exchange(all_, {});
}

}  // namespace server
