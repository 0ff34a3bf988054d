#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

namespace support {

/// Bounds on wall time are asserted where CHECK_DURATIONS is set, as by tests/all/durations, on a machine that has
/// nothing else to do. On any other they say more of the machine than of the program.
inline bool checks_durations() { return std::getenv("CHECK_DURATIONS") != nullptr; }

/// Something has lasted no longer than that, where it matters. What hangs for good is ended by the test's time-out.
inline testing::AssertionResult in_time(std::chrono::nanoseconds took, std::chrono::nanoseconds most) {
    if (took <= most || !checks_durations()) return testing::AssertionSuccess();
    const auto in_ms = [](std::chrono::nanoseconds of) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(of).count();
    };
    return testing::AssertionFailure() << "it took " << in_ms(took) << " ms of at most " << in_ms(most);
}

}  // namespace support
