#pragma once

#include <functional>

#include "tests/simulator/plan.hpp"

namespace simulator {

/// The smallest plan that is found to fail as this one does: `fails` says whether one does. Lives and actions go as
/// long as that goes well, by halves and then one by one; then numbers become round.
plan shrink(plan failing, const std::function<bool(const plan&)>& fails);

}  // namespace simulator
