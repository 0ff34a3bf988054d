#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

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

/// Durations in fixed buckets. One thread writes, any reads.
class histogram {
public:
    static constexpr std::array<double, 14> bounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                   0.025,  0.05,    0.1,    0.25,  1.0,    2.5,   10.0};

    void observe(std::chrono::nanoseconds duration) noexcept;

    struct values {
        std::array<std::uint64_t, bounds.size() + 1> counts{};
        double sum = 0;
        void operator+=(const histogram& from) noexcept;
        std::uint64_t count() const noexcept;
        /// The upper bound of the bucket in which the quantile lies, in seconds.
        double quantile(double q) const noexcept;
    };

private:
    std::array<counter, bounds.size() + 1> counts_;
    counter nanoseconds_;
};

/// What one endpoint has done on one loop.
struct endpoint_metrics {
    std::array<counter, 6> responses;  ///< by the first digit of the status; 0: its client had gone
    histogram duration;
    counter in_flight;
};

/// Writes the Prometheus text format 0.0.4, a family at a time.
class metrics_text {
public:
    /// `type` is "counter", "gauge" or "histogram". Samples of a family follow it.
    void family(std::string_view name, std::string_view type, std::string_view help);
    void sample(std::string_view labels, double value, std::string_view suffix = {});
    void sample(std::string_view labels, const histogram::values& values);
    /// A family of one sample.
    void single(std::string_view name, std::string_view type, std::string_view help, double value);

    std::string take() { return std::move(text_); }

private:
    std::string text_;
    std::string name_;
};

/// `key="value"` with the value escaped.
std::string label(std::string_view key, std::string_view value);

/// process_* under the standard names, from /proc.
void write_process_metrics(metrics_text& out);

}  // namespace server
