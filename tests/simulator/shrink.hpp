#pragma once

#include <functional>
#include <optional>

#include "tests/simulator/failure.hpp"
#include "tests/simulator/plan.hpp"

namespace simulator {

/// Leaves out of `failing` what it can, and makes its numbers simpler, as long as it fails like `found`: what fails in
/// another way shows another fault. `run`: how a plan fails, if it does; it gets none that `check` refuses.
plan shrink(plan failing, const failure& found, const std::function<std::optional<failure>(const plan&)>& run);

}  // namespace simulator
