#pragma once

#include <chrono>

#include "cmd/service/telemetry/plan.hpp"
#include "cmd/service/telemetry/sender.hpp"
#include "tracker/sink.hpp"

namespace telemetry {

/// The Collector closes a connection that has rested for 60 s, and an export each minute would meet that each time.
inline constexpr std::chrono::seconds longest_rest{45};

/// A kept connection to where a signal goes, as a function that posts. Blocks, but not beyond the time-out of the
/// destination nor `deadline`, which is asked again every 20 ms; on one thread at a time. A name that stands there is
/// looked up at each connection.
///
/// Throws std::runtime_error with one line when a certificate cannot be read.
post_function receiver(const destination& to, tracker::deadline_function deadline);

}  // namespace telemetry
