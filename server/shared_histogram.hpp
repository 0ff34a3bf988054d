#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "server/metrics.hpp"

namespace server {

/// A histogram for a service's own values: in any unit, with buckets of its choice, observed by any thread. Each
/// observation costs two locked instructions; for durations that one thread observes `histogram` is cheaper.
class shared_histogram {
public:
    /// Upper bounds, each above the one before, at least one (std::invalid_argument).
    explicit shared_histogram(std::vector<double> bounds);

    /// NaN is not counted.
    void observe(double value) noexcept;

    /// The samples, which come after `out.family(name, "histogram", help)`. `labels` as for `metrics_text::sample`.
    void write(metrics_text& out, std::string_view labels = {}) const;

private:
    std::vector<double> bounds_;
    std::vector<std::atomic<std::uint64_t>> counts_;  ///< of each bucket, and of what is above them
    std::atomic<double> sum_{0};
};

}  // namespace server
