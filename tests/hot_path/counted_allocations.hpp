#pragma once

#include <cstdint>

namespace hot_path {

/// How often the calling thread has allocated memory since it was started.
std::uint64_t allocations_of_this_thread() noexcept;

}  // namespace hot_path
