#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server {

/// A number that one thread writes and any thread reads: no locked instruction on the hot path.
class counter {
public:
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Durations in fixed buckets, those that OpenTelemetry's http.server.request.duration has and five below; and in finer
/// ones, as native histograms of Prometheus have them. One thread writes, any reads.
class histogram {
public:
    static constexpr std::array<double, 19> bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                   0.025,  0.05,    0.075,  0.1,   0.25,   0.5,   0.75,
                                                   1.0,    2.5,     5.0,    7.5,   10.0};

    /// Eight finer ones for each power of two: that of the number n ends at 2^(n/8) s, and has its end in it. What is
    /// no more than `native_zero` is in none of them, what is longer than 17 min in the last.
    static constexpr int native_schema = 3, first_native = -159, native_buckets = 240;
    static constexpr double native_zero = 0x1p-20;

    /// In which bucket it is.
    std::size_t observe(std::chrono::nanoseconds duration) noexcept;

    struct values {
        std::array<std::uint64_t, bounds.size() + 1> counts{};
        double sum = 0;
        void operator+=(const histogram& from) noexcept;
        std::uint64_t count() const noexcept;
        /// The upper bound of the bucket that contains the quantile, in seconds.
        double quantile(double q) const noexcept;
    };
    struct native_values {
        std::array<std::uint64_t, native_buckets> counts{};
        std::uint64_t zero = 0;
        void operator+=(const histogram& from) noexcept;
        std::uint64_t count() const noexcept;
    };

private:
    std::array<counter, bounds.size() + 1> counts_;
    std::array<counter, native_buckets> native_;
    counter zero_;
    counter nanoseconds_;
};

/// One observation of a bucket, and the trace that it is part of.
struct exemplar {
    std::array<std::uint64_t, 2> trace{};  ///< the id; 0: none
    std::chrono::nanoseconds duration{};
    std::chrono::milliseconds when{};  ///< since 1970

    explicit operator bool() const noexcept { return when.count() != 0; }
};
using bucket_exemplars = std::array<exemplar, histogram::bounds.size() + 1>;

/// The last one of each bucket. One thread writes, any reads: one that is being written meanwhile counts as none.
class exemplar_table {
public:
    /// `trace_id` are 32 hexadecimal digits.
    void keep(std::size_t bucket, std::string_view trace_id, std::chrono::nanoseconds duration) noexcept;
    /// The same id as two numbers.
    void keep(std::size_t bucket, std::array<std::uint64_t, 2> trace_id, std::chrono::nanoseconds duration) noexcept;
    /// Puts into `all` what is later than what is there.
    void collect(bucket_exemplars& all) const noexcept;

private:
    struct slot {
        std::atomic<std::uint32_t> turn{0};  ///< odd: it is being written
        std::array<std::atomic<std::uint64_t>, 4> words{};
    };
    std::array<slot, histogram::bounds.size() + 1> slots_;
};

/// How often each status was answered: the first 32 different ones have a counter each, all others have one together.
/// One thread writes, any reads.
class status_table {
public:
    void add(unsigned status) noexcept;
    /// By status; 0: those that have found no room.
    void collect(std::map<unsigned, std::uint64_t>& all) const;

private:
    struct entry {
        counter status, times;
    };
    std::array<entry, 32> entries_;
    counter others_;
};

/// What one route has done on one loop.
struct route_metrics {
    std::array<counter, 6> responses;  ///< by the first digit of the status; 0: its client had gone
    status_table statuses;             ///< as answered
    histogram duration;
    exemplar_table exemplars;  ///< of requests that are part of a sampled trace
    counter in_flight;
};

class metric_families;

/// Writes the Prometheus text format 0.0.4, OpenMetrics 1.0 or MetricFamily messages, a family at a time.
class metrics_text {
public:
    enum class format : std::uint8_t { prometheus, openmetrics, protobuf };
    explicit metrics_text(format how = format::prometheus);
    ~metrics_text();

    /// What a scraper with this Accept is given.
    static format wanted_by(std::string_view accept) noexcept;
    std::string_view content_type() const noexcept;  ///< has static lifetime

    /// `type` is "counter", "gauge" or "histogram". Samples of a family follow it.
    void family(std::string_view name, std::string_view type, std::string_view help);
    void sample(std::string_view labels, double value, std::string_view suffix = {});
    /// With OpenMetrics a bucket has its exemplar, if there is one. `native` is for a format that `has_native`.
    void sample(std::string_view labels, const histogram::values& values, const bucket_exemplars& of = {},
                const histogram::native_values* native = nullptr);
    /// A histogram of other buckets: `counts` has one more than `bounds`, of what is above them.
    void sample(std::string_view labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                double sum);
    bool has_native() const noexcept { return format_ == format::protobuf; }
    /// A family of one sample.
    void single(std::string_view name, std::string_view type, std::string_view help, double value);

    std::string take();  ///< all of it

private:
    void bucket(std::string_view labels, std::string_view bound, std::uint64_t count, const exemplar& exemplar);

    format format_;
    std::unique_ptr<metric_families> families_;  ///< instead of the text
    std::string text_;
    std::string name_;
};

/// `key="value"` with the value escaped.
std::string label(std::string_view key, std::string_view value);
/// Of a list of such, with commas, the keys and values that they were made of.
std::vector<std::pair<std::string, std::string>> read_labels(std::string_view text);

/// process_* under the standard names, from /proc.
void write_process_metrics(metrics_text& out);

}  // namespace server
