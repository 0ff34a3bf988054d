#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "lifecycle/context.hpp"
#include "tracker/backlog.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// What the workers of a sink do: take batches from the backlog and bring them to the sink until that succeeds, or
/// until the flush deadline has passed. Nothing is tried after that, and the backlog is closed.
///
/// All workers share one; deliveries to the sink are serialised. Everything it is given must outlive it.
class delivery {
public:
    delivery(const options& options, backlog& backlog, sink& sink, spdlog::logger& log, deadline_function deadline);

    /// A worker's whole life: blocks until the backlog is closed and empty, then the account has every
    /// event in its last column. On a worker's thread.
    void work();

    /// False from the first failure of a delivery to the next success. Safe from any thread.
    bool healthy() const noexcept { return healthy_.load(std::memory_order_relaxed); }
    std::string_view name() const noexcept { return sink_.name(); }
    std::uint64_t waiting() const { return backlog_.queued(); }  ///< safe from any thread

private:
    bool given_up() const;
    enum class result : std::uint8_t { delivered, failed, rejected };
    bool take(batch& into);
    bool deliver_in_spite_of_memory(batch& batch);
    void settle(const batch& taken, outcome how);
    bool deliver(batch& batch);
    result try_once(const batch& batch, std::size_t& rejected);
    void bury(batch& batch, std::size_t rejected);
    void pause(std::chrono::milliseconds length, bool in_stop);
    void note_failure(std::string_view reason);
    void note_success();

    const options options_;
    backlog& backlog_;
    sink& sink_;
    spdlog::logger& log_;
    const deadline_function deadline_;
    std::atomic<bool> healthy_{true};

    std::mutex delivering_;  ///< one worker at the sink; guards what follows
    std::uint64_t failures_ = 0;
    lifecycle::clock::time_point failing_since_{};
    lifecycle::clock::time_point last_line_{};
};

}  // namespace tracker
