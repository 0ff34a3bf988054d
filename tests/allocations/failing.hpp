#pragma once

#include <cstdint>

namespace failing {

/// From now on every allocation and every mmap(2) of a thread that serves is counted; those from the `nth` on fail,
/// `how_many` of them. A thread serves when its name begins so; see `serves`.
void arm(std::uint64_t nth, std::uint64_t how_many);
/// How many there were, since `arm`. From here on none fails.
std::uint64_t disarm();

}  // namespace failing
