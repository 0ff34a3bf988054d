#pragma once

#include <chrono>

#include "lifecycle/context.hpp"

namespace server {

/// Lines of one kind that clients can bring about as often as they like: one a second at most. Only on one thread.
class line_limit {
public:
    static constexpr std::chrono::milliseconds between{1'000};

    /// Whether a line may be written now; then none is for a second.
    bool allows(lifecycle::clock::time_point now) noexcept {
        if (now < next_) return false;
        next_ = now + between;
        return true;
    }

private:
    lifecycle::clock::time_point next_{};
};

}  // namespace server
