#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/metrics.hpp"

namespace server {

/// Writes what a scraper is given that asks for Protocol Buffers: io.prometheus.client.MetricFamily messages
/// (prometheus/client_model, metrics.proto), each preceded by its length. It is the only format that has native
/// histograms; the buckets of the others are beside them, and a scraper takes those that it prefers.
class metric_families {
public:
    /// `type` is "counter", "gauge" or "histogram". Samples of a family follow it.
    void begin(std::string_view name, std::string_view type, std::string_view help);
    /// `labels` as they stand in the text.
    void number(std::string_view labels, double value);
    void distribution(std::string_view labels, const histogram::values& values, const bucket_exemplars& of,
                      const histogram::native_values* native);

    /// `counts` has one more than `bounds`.
    void distribution(std::string_view labels, std::span<const double> bounds, std::span<const std::uint64_t> counts,
                      double sum);

    std::string take();  ///< all of it

private:
    enum class kind : std::uint8_t { counter = 0, gauge = 1, histogram = 4 };  // as metrics.proto numbers them
    void end();

    std::string all_;
    std::string family_;  ///< empty: none has begun
    kind kind_ = kind::gauge;
};

}  // namespace server
