#pragma once

#include <chrono>

#include "lifecycle/context.hpp"

namespace lifecycle {

/// Sleeps that are shorter than this end when they should, others up to a millisecond later.
constexpr std::chrono::milliseconds exact_sleep{10};

/// When a sleep until `when` that begins now wakes up: on a whole millisecond, if it is not short. What thousands of
/// coroutines wait for is spread over a second, and most of what they do then costs less than a wake-up of its own.
clock::time_point shared_wake_up(clock::time_point when, clock::time_point now) noexcept;

}  // namespace lifecycle
