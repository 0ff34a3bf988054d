#pragma once

#include <chrono>
#include <cstdint>

#include "lifecycle/context.hpp"

namespace server::http2 {

/// A limit on what costs a client nothing and us something: a number at once, a number more each second, and what is
/// given for things that cost it something too.
class allowance {
public:
    constexpr allowance(std::uint32_t at_once, std::uint32_t a_second) noexcept
        : most_(at_once), a_second_(a_second), left_(at_once) {}

    /// False: that was one too many.
    bool take(lifecycle::clock::time_point now) noexcept {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_).count();
        const auto more = static_cast<std::uint64_t>(passed > 0 ? passed : 0) * a_second_ / 1'000;
        if (more > 0) {
            left_ = static_cast<std::uint32_t>(more + left_ < most_ ? more + left_ : most_);
            since_ = now;
        }
        if (left_ == 0) return false;
        --left_;
        return true;
    }
    /// It has done something of use, which goes with one more.
    void give() noexcept { left_ = left_ < most_ ? left_ + 1 : most_; }

private:
    std::uint32_t most_, a_second_, left_;
    lifecycle::clock::time_point since_{};
};

/// What one client may do at little cost to itself.
struct allowances {
    allowance resets{100, 20};      ///< by the client
    allowance faults{100, 20};      ///< ... and those that it makes us send
    allowance controls{1000, 100};  ///< SETTINGS, PING, PRIORITY and empty DATA
};

}  // namespace server::http2
