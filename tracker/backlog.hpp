#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lifecycle/context.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"
#include "tracker/waiter.hpp"

namespace tracker {

/// What is taken at once. Each thread makes one and uses it again, so that taking allocates little.
struct batch {
    explicit batch(const options& options) {
        events.reserve(options.batch_events);
        waiting.reserve(options.batch_events);
    }
    std::vector<event> events;
    /// The waiter for the answer to each of them, if there is one; empty where accepted means queued.
    std::vector<waiter_ptr> waiting;
};

/// How a batch that was taken ended: at the sink, or not in time.
enum class outcome : std::uint8_t { delivered, given_up };

/// Where events wait for their delivery: memory_backlog, or for each sink its cursor in the spool. It keeps the account
/// of what it gives out.
class backlog {
public:
    backlog() = default;
    virtual ~backlog() = default;
    backlog(const backlog&) = delete;
    backlog& operator=(const backlog&) = delete;

    /// Blocks until there is a batch worth a delivery, moves it to `into` and is true; false when it is
    /// closed and there is nothing left to try.
    virtual bool take(batch& into) = 0;
    virtual void settle(const batch& taken, outcome how) = 0;
    /// This many events of a batch that was taken have been delivered, and some are left: they are no longer part of
    /// the batch. That nothing before the first that is left comes again is noted at once.
    virtual void settle_part(batch& taken, std::size_t first, std::size_t count) = 0;
    /// What is left of a batch that was taken is tried later: `take` brings it again, perhaps with others or after
    /// others. Throws std::bad_alloc: it is still the caller's, whole.
    virtual void give_back(batch& taken) = 0;
    /// The event at `index` of a batch that was taken can never be delivered: it counts as dropped, and is
    /// no longer part of the batch, as in `settle_part`.
    virtual void bury(batch& taken, std::size_t index) = 0;

    /// From now on nothing new comes, and `take` ends when what there is has been taken. Idempotent.
    virtual void close() = 0;
    virtual bool closed() const = 0;
    /// Blocks until `when`, or until it is closed; not at all when it is.
    virtual void pause_while_open(lifecycle::clock::time_point when) = 0;
    /// Events that wait, with those in a batch.
    virtual std::uint64_t queued() const = 0;
    /// `take` would be false. Needs no memory: a thread that finds none to begin with may have nothing to do.
    bool over() const { return closed() && queued() == 0; }
};

}  // namespace tracker
