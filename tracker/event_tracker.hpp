#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <source_location>
#include <stop_token>
#include "lifecycle/task_group.hpp"

#include "lifecycle/context.hpp"
#include "lifecycle/workers.hpp"
#include "tracker/account.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// Takes events from handlers and delivers them in batches to a sink, from a bounded queue.
///
/// Lifetime: a part. Construct (takes the sink, waits for nothing), `run` on a thread of its own,
/// destroy after `run` has returned and no coroutine is in `record`. `run` owns the workers and joins
/// them before it returns; when asked to stop it closes the queue, delivers what it can until
/// `flush_deadline()`, and drops and counts the rest. Everything else is safe from any thread.
///
/// A sink that blocks beyond the flush deadline keeps `run` from returning (its worker must be
/// joined). `account` still answers: what is not delivered by then is shown as dropped.
class event_tracker {
public:
    /// `flush_deadline` is asked again before every try: max() while nobody stops; must not throw.
    event_tracker(const options& options, sink& sink, lifecycle::workers& workers, spdlog::logger& log,
                  std::function<lifecycle::clock::time_point()> flush_deadline);
    ~event_tracker();
    event_tracker(const event_tracker&) = delete;
    event_tracker& operator=(const event_tracker&) = delete;

    /// Never blocks, never waits for room.
    verdict try_record(event event);

    /// With `overflow::block` waits, without holding a thread, for room until the context ends; whoever
    /// waits is served in order of arrival. A context that has already ended gets `deadline`, even when
    /// there is room. Where there is room it neither suspends nor allocates for the event.
    ///
    /// For coroutines of a loop of one thread, which runs until they have ended.
    lifecycle::awaitable<verdict> record(lifecycle::context context, event event,
                                         std::source_location where = std::source_location::current());

    /// Blocks until asked to stop and done with it, or until the flush deadline. Once it has returned,
    /// `account().queued` is 0. Throws when its workers cannot be started. Once only.
    void run(std::stop_token stop);

    tracker::account account() const;
    std::size_t depth() const;    ///< events in the queue, of `options.queue_capacity`
    std::size_t waiting() const;  ///< coroutines that wait for room
    bool healthy() const;         ///< false while deliveries fail

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace tracker
