#pragma once

#include <poll.h>

#include <chrono>

namespace support {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Asks `condition` until it says yes or `limit` has passed; says which. The only way for a test to
/// wait for a state that has no descriptor.
template <class Condition>
bool eventually(Condition condition, milliseconds limit = milliseconds(10'000)) {
    const auto deadline = clock::now() + limit;
    while (!condition()) {
        if (clock::now() >= deadline) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

/// What is left until `deadline`, as poll(2) wants it: rounded up, never negative.
inline int poll_timeout(clock::time_point deadline) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now()).count();
    return left <= 0 ? 0 : static_cast<int>(left);
}

}  // namespace support
