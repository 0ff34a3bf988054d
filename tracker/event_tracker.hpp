#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "lifecycle/workers.hpp"
#include "tracker/account.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"
#include "tracker/sink.hpp"

namespace spdlog {
class logger;
}

namespace tracker {

/// Takes events from handlers, keeps them as the settings say, and delivers them in batches to sinks.
///
///     durability memory:         handlers ─▶ intake ─▶ workers ─▶ sink
///     durability process, disk:  handlers ─▶ intake ─▶ one that appends ─▶ spool ─▶ a worker for each ─▶ sinks
/// With memory, what earlier runs have left in a spool is delivered together with the new events.
///
/// Lifetime: a part. Construct (takes the sinks, makes the spool, waits for nothing), `run` on a thread of
/// its own, destroy after `run` has returned and no coroutine is in `record`. `run` owns its workers and
/// joins them before it returns; when asked to stop it closes the queue and delivers what it can until
/// `flush_deadline()`; the rest stays in the spool, or without one is dropped and counted. Everything
/// else is safe from any thread.
///
/// A sink that blocks beyond the flush deadline keeps `run` from returning (its worker must be
/// joined). `account` still answers: what is not delivered by then is shown as spooled, or dropped.
class event_tracker {
public:
    /// `flush_deadline` is asked again before every try: max() while there is no stop; must not throw. `sinks` are
    /// those that `options` names, see make_sinks; with durability memory there is one.
    event_tracker(const options& options, sinks sinks, lifecycle::workers& workers, spdlog::logger& log,
                  deadline_function flush_deadline);
    ~event_tracker();
    event_tracker(const event_tracker&) = delete;
    event_tracker& operator=(const event_tracker&) = delete;

    /// Never blocks, never waits for room, nor for a disk: whatever the durability, what it accepts has
    /// the promise of memory until it has been appended.
    verdict try_record(event event);

    /// With `overflow::block` waits, without holding a thread, for room until the context ends; a caller that waits is
    /// served in order of arrival. A context that has already ended gets `deadline`, even when there is room. With
    /// durability memory it neither suspends nor allocates where there is room. Above that it answers once the event is
    /// as durable; one whose deadline passes in that moment may be kept all the same.
    ///
    /// For coroutines of a loop of one thread, which runs until they have ended.
    lifecycle::awaitable<verdict> record(lifecycle::context context, event event,
                                         std::source_location where = std::source_location::current());

    /// Blocks until it was asked to stop and has stopped, or until the flush deadline. Once it has returned,
    /// `account().queued` is 0. Throws when its workers cannot be started. Once only.
    void run(std::stop_token stop);

    /// Whether sinks put the headers of events into messages (`tracker.cloudevents`); an event may have them all the
    /// same.
    bool takes_headers() const noexcept;

    /// Of `fresh` the policy, `overflow` and `queue_bytes`, for events recorded from now on (those that wait go on
    /// waiting), and what the sinks can change (sink::apply). Never blocks.
    void apply(const options& fresh);

    /// Opens the files of the sinks again before their next batch (log rotation). Never blocks.
    void reopen();

    /// A sink as others see it.
    struct sink_state {
        std::string name;
        bool healthy;           ///< false while deliveries fail
        std::uint64_t waiting;  ///< events that it does not have
        std::uint32_t copies;   ///< servers that have what it has delivered; 0: not known
    };
    std::vector<sink_state> sink_states() const;

    /// An event counts as delivered when all sinks have it.
    tracker::account account() const;
    /// Events of earlier runs that were found at the start and that this one does not deliver, each place with a line
    /// in the log. They are in no other number.
    std::uint64_t stranded() const noexcept;
    std::size_t depth() const;    ///< events in the queue, of `options.queue_capacity`
    std::size_t waiting() const;  ///< coroutines that wait for room
    bool healthy() const;         ///< false while deliveries to any sink fail
    bool writable() const;        ///< false while the spool takes no events: they are refused
    bool readable() const;        ///< false while something of the spool, a sink's file or dead letters cannot be read
    /// Calls on the disk of the spool and of sinks that have failed, by their names.
    std::map<std::string_view, std::uint64_t> disk_errors() const;
    /// Bytes that earlier runs have left and that have not been looked at yet.
    std::uint64_t recovery_bytes_left() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace tracker
