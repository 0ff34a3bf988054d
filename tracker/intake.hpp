#pragma once

#include <boost/circular_buffer.hpp>
#include <boost/container/static_vector.hpp>
#include <boost/intrusive/list.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <source_location>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "tracker/account.hpp"
#include "tracker/backlog.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace tracker {

/// Where events come in: the bounded queue between event loops and workers, and the line of those that wait for room
/// in it. What becomes of an event after a worker has taken it is the business of a backlog, or of the spool.
///
///     offered ─room─▶ queued ─take─▶ in hand ─answer, done─▶ not here any more
///        └─no room─▶ waiting (first come, first served) ─room─▶ queued
///
/// One short mutex guards all of it, the counts too, so that they add up at any moment. It is never held during I/O,
/// while a waiter is woken, or while a worker waits.
///
/// Lifetime: must outlive every coroutine in `push` and every worker in `take`.
class intake {
public:
    /// When `push` answers: as soon as the event is queued, or when the thread that took it calls `answer`. With the
    /// latter a full queue drops nothing: what it holds has not been promised to any client.
    enum class promise : std::uint8_t { queued, answered };

    /// Each accepted event was dropped, is queued or in hand, or is done with.
    struct numbers {
        std::uint64_t accepted = 0;
        std::uint64_t dropped = 0;  ///< by overflow::drop_oldest
        std::uint64_t queued = 0;
        std::uint64_t in_hand = 0;  ///< taken, and neither answered nor done
    };

    explicit intake(const options& options, promise when = promise::queued);
    ~intake();
    intake(const intake&) = delete;
    intake& operator=(const intake&) = delete;

    /// Puts `event` in when there is room for which nothing waits (or the policy makes room); leaves it alone
    /// otherwise. Never waits, allocates nothing. Safe from any thread.
    verdict try_push(event& event);

    /// Waits for room, and with promise::answered for the answer, without holding a thread, until `context`
    /// ends or the queue is closed. With `deadline` for an answer the event may have been taken already. Its
    /// executor must run one handler at a time (a loop of one thread, or a strand) and must run until
    /// the coroutine has ended; a coroutine that is destroyed while it waits leaves the line.
    /// Cancelling it by asio's cancellation slots is the same as ending its context.
    lifecycle::awaitable<verdict> push(lifecycle::context context, event event, std::source_location where);

    /// Blocks until there is a batch worth a delivery: by count, bytes or age, or because someone waits for room or the
    /// queue is closed; false when it is closed and empty. Gives the room to those that wait for it, in their order.
    bool take(batch& into) { return take_until(into, lifecycle::clock::time_point::max()); }
    /// The same, but true with an empty batch when there was none until `when`.
    bool take_until(batch& into, lifecycle::clock::time_point when);
    /// Adds to a batch what it still has room for. Never waits.
    void add_to(batch& into);

    /// Tells those that wait for the answer to a batch that was taken; returns for how many nothing waits.
    std::uint64_t answer(batch& taken, verdict how);

    /// This many events that were taken are in no hand any more; returns how many are.
    std::uint64_t done(std::uint64_t events);

    /// From now on every caller gets `closed`, including those that wait for room. Never waits. Idempotent.
    void close();
    bool closed() const;
    /// Closed, and nothing is queued or in hand. Needs no memory.
    bool over() const;
    /// Blocks until `when`, or until it is closed; not at all when it is.
    void pause_while_open(lifecycle::clock::time_point when);

    /// Of `fresh` the policy: `overflow` and `queue_bytes`. Those that wait for room go on waiting. Safe from any
    /// thread.
    void apply(const options& fresh);

    numbers counts() const;
    std::size_t depth() const;
    std::size_t waiting() const;

private:
    class place_in_line;
    struct place {
        event what;
        waiter_ptr sender;  ///< waits for the answer
    };
    using awakened = boost::container::static_vector<waiter_ptr, 64>;

    // All of these with the mutex held.
    bool fits(const event& event) const noexcept;
    bool worth_a_delivery() const noexcept;
    bool wait_for_batch(std::unique_lock<std::mutex>& lock, lifecycle::clock::time_point until);
    void put(event& event, waiter* sender = nullptr);
    place take_oldest();
    void hand_out(batch& into, std::size_t bytes, std::unique_lock<std::mutex> lock);
    void take_next(batch& into, std::size_t& bytes);
    void admit(awakened& woken);
    void withdraw(waiter& sender);

    bool stand_in_line(waiter& sender);
    verdict leave_line(waiter& sender);

    options options_;
    const bool answers_later_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_;  ///< workers in `take`
    std::condition_variable closing_;  ///< workers in `pause_while_open`; apart, or it would steal wake-ups
    boost::circular_buffer<place> ring_;
    std::size_t bytes_ = 0;  ///< of the events in `ring_`
    /// The oldest event in `ring_` is not older than this: the age of a batch is counted from here,
    /// which costs a look at the clock only when the queue was empty.
    lifecycle::clock::time_point oldest_{};
    boost::intrusive::list<waiter> line_;
    bool closed_ = false;

    std::uint64_t accepted_ = 0, dropped_ = 0, in_hand_ = 0;
};

}  // namespace tracker
