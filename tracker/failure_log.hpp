#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "lifecycle/context.hpp"

namespace tracker {

/// When failures of one kind are worth a line: the first of a row, and then one in five seconds. A log that says the
/// same thing at every try hides everything else.
///
/// Writes nothing itself, and has no lock of its own.
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
        if (++row_.failures == 1)
            row_.since = now;
        else if (now < last_line_ + between_lines)
            return 0;
        last_line_ = now;
        return row_.failures;
    }
    /// It went well: the row that ends with this; no failures: there was none.
    row succeeded() noexcept { return std::exchange(row_, {}); }
    bool failing() const noexcept { return row_.failures > 0; }

private:
    row row_;
    time_point last_line_{};
};

}  // namespace tracker
