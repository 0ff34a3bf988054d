#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

#include "cmd/service/telemetry/loop_spans.hpp"
#include "cmd/service/telemetry/record_ring.hpp"
#include "cmd/service/telemetry/sampler.hpp"
#include "server/call_observer.hpp"
#include "tracker/sink.hpp"

namespace telemetry {

/// Spans that come seldom enough to share a queue: calls of other servers, and deliveries of the tracker. Any thread.
class other_spans final : public server::call_observer {
public:
    /// With a capacity of 0 nothing is recorded, and traces are only handed on.
    other_spans(sampler sampling, std::size_t capacity)
        : sampling_(sampling), records_(capacity > 0), spans_(capacity) {}

    void begin(server::observed_call& call, server::trace_context& carried) noexcept override;
    void end(const server::observed_call& call) noexcept override;

    /// A delivery to a sink, which begins a trace of its own. `failure` is empty when it was taken.
    void delivered(std::string_view sink, std::size_t events, lifecycle::clock::time_point began,
                   std::string_view failure) noexcept;

    record_ring& ring() noexcept { return spans_.ring(); }
    const record_ring& ring() const noexcept { return spans_.ring(); }

private:
    std::uint64_t next_id() noexcept;

    const sampler sampling_;
    const bool records_;
    std::mutex mutex_;
    random_ids ids_;  ///< guarded by mutex_
    shared_ring spans_;
};

/// Sinks whose deliveries are spans.
tracker::sink_makers observed(tracker::sink_makers makers, const std::shared_ptr<other_spans>& by);

}  // namespace telemetry
