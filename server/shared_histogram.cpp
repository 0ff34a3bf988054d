#include "server/shared_histogram.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace server {

shared_histogram::shared_histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
    const auto not_above = [](double before, double after) { return !(before < after); };
    if (bounds_.empty() || std::ranges::adjacent_find(bounds_, not_above) != bounds_.end() ||
        !std::ranges::all_of(bounds_, [](double each) { return std::isfinite(each); }))
        throw std::invalid_argument("the bounds of a histogram are numbers, each above the one before");
}

void shared_histogram::observe(double value) noexcept {
    if (std::isnan(value)) return;
    const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
    counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
}

void shared_histogram::write(metrics_text& out, std::string_view labels) const {
    std::vector<std::uint64_t> counts;
    counts.reserve(counts_.size());
    for (const auto& each : counts_) counts.push_back(each.load(std::memory_order_relaxed));
    out.sample(labels, bounds_, counts, sum_.load(std::memory_order_relaxed));
}

}  // namespace server
