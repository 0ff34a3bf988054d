#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace tracker {

/// How long to wait before the next try: "full jitter", uniform between 0 and a bound that starts at
/// `initial` and doubles up to `max`, so that those that failed together do not come back together.
/// For one thread.
class backoff {
public:
    using duration = std::chrono::milliseconds;

    backoff(duration initial, duration max, std::uint32_t seed) : initial_(initial), max_(max), random_(seed) {
        reset();
    }

    duration next() {
        const auto bound = bound_;
        bound_ = bound_ > max_ / 2 ? max_ : bound_ * 2;
        return duration(std::uniform_int_distribution<duration::rep>(0, bound.count())(random_));
    }

    void reset() noexcept { bound_ = std::clamp(initial_, duration{0}, std::max(max_, duration{0})); }

private:
    duration initial_;
    duration max_;
    duration bound_{};
    std::minstd_rand random_;
};

}  // namespace tracker
