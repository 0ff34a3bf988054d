#pragma once

#include <cmath>
#include <cstdint>

namespace telemetry {

/// Which traces are recorded: the samplers of the OpenTelemetry specification (trace/sdk.md, "Built-in samplers"). A
/// plain value, safe from any thread.
struct sampler {
    enum class root : std::uint8_t { always, never, ratio };

    root of_roots = root::always;
    bool by_parent = true;  ///< the caller that sends a trace has decided
    double fraction = 1;    ///< of `ratio`, from 0 to 1

    /// `low`: the last 8 bytes of the trace id, which is random there: so all services that sample by it agree.
    bool samples(bool has_parent, bool parent_is_sampled, std::uint64_t low) const noexcept {
        if (by_parent && has_parent) return parent_is_sampled;
        if (of_roots != root::ratio) return of_roots == root::always;
        return fraction >= 1 || low >> 1 < static_cast<std::uint64_t>(std::ldexp(fraction, 63));
    }
};

}  // namespace telemetry
