#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include "lifecycle/context.hpp"

namespace tracker {

/// When failures of one kind are worth a line: the first of a row, and then one in five seconds. A log that says the
/// same thing at every try hides everything else.
///
/// Writes nothing itself, and has no lock of its own; `failing` alone is safe from any thread.
class failure_log {
public:
    using time_point = lifecycle::clock::time_point;
    static constexpr std::chrono::seconds between_lines{5};

    struct row {
        std::uint64_t failures = 0;
        time_point since{};
    };

    /// One more. How many there are in a row when a line is due, else 0.
    std::uint64_t failed(time_point now) noexcept {
        failing_.store(true, std::memory_order_relaxed);
        if (++row_.failures == 1)
            row_.since = now;
        else if (now < last_line_ + between_lines)
            return 0;
        last_line_ = now;
        return row_.failures;
    }
    /// The row so far; no failures: there is none.
    const row& so_far() const noexcept { return row_; }
    /// It went well: the row that ends with this.
    row succeeded() noexcept {
        failing_.store(false, std::memory_order_relaxed);
        return std::exchange(row_, {});
    }
    /// From the first failure of a row to its end.
    bool failing() const noexcept { return failing_.load(std::memory_order_relaxed); }

private:
    row row_;
    std::atomic<bool> failing_{false};
    time_point last_line_{};
};

}  // namespace tracker
