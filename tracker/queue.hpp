#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/circular_buffer.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <source_location>
#include <vector>
#include "lifecycle/task_group.hpp"

#include "lifecycle/context.hpp"
#include "tracker/account.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace tracker {

/// The bounded queue between event loops and workers, and the account of all that went through it.
///
///     offered ─room─▶ queued ─take─▶ in hand ─settle─▶ delivered | dropped
///        └─no room─▶ waiting (first come, first served) ─room─▶ queued
///
/// One short mutex guards all of it, the account too, so that the law holds whenever one looks. It is
/// never held during I/O, while a waiter is woken, or while a worker waits.
///
/// Lifetime: must outlive every coroutine in `push` and every worker in `take`.
class queue {
    class waiter;

public:
    /// What a worker has taken. One a worker, made once, so that taking allocates nothing.
    class batch {
    public:
        explicit batch(const options& options);
        std::vector<event> events;

    private:
        friend class queue;
        std::vector<boost::intrusive_ptr<waiter>> woken_;
    };

    explicit queue(const options& options);
    ~queue();
    queue(const queue&) = delete;
    queue& operator=(const queue&) = delete;

    /// Puts `event` in when there is room and nobody waits for it (or the policy makes room); leaves
    /// it alone otherwise. Never waits, allocates nothing. Safe from any thread.
    verdict try_push(event& event);

    /// Waits for room, without holding a thread, until `context` ends or the queue is closed. Its
    /// executor must run one handler at a time (a loop of one thread, or a strand) and must run until
    /// the coroutine has ended; a coroutine that is destroyed while it waits leaves the line.
    /// Cancelling it by asio's cancellation slots is the same as ending its context.
    lifecycle::awaitable<verdict> push(lifecycle::context context, event event, std::source_location where);

    /// Blocks until there is a batch worth a delivery (by count, bytes or age, or because someone
    /// waits for room or the queue is closed) and moves it to `into`; hands the room to those who
    /// wait for it, in their order. False when the queue is closed and empty.
    bool take(batch& into);

    enum class outcome : std::uint8_t { delivered, dropped_at_deadline };
    /// What became of a batch that was taken.
    void settle(const batch& taken, outcome how);

    /// From now on everyone gets `closed`, those who wait too. Never waits. Idempotent.
    void close();
    bool closed() const;

    /// Blocks until `when`, or until the queue is closed; not at all when it is.
    void pause_while_open(lifecycle::clock::time_point when);

    /// `refused` is not known here.
    tracker::account account() const;
    std::size_t depth() const;
    std::size_t waiting() const;

private:
    class place_in_line;
    using hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;

    /// An event for which there is no room yet. Lives as long as its coroutine or a wake-up on its way.
    class waiter : public boost::intrusive_ref_counter<waiter, boost::thread_safe_counter>, public hook {
    public:
        waiter(const lifecycle::executor& executor, event event, lifecycle::clock::time_point until);

        event offered;
        verdict answer = verdict::deadline;  ///< set by whoever takes it off the line; guarded by the queue
        /// Keeps the loop running while a wake-up is on its way to it.
        boost::asio::executor_work_guard<lifecycle::executor> work;
        /// Expires at the context's deadline; cancelled, on the loop, to wake. Only on the loop's thread.
        lifecycle::loop_timer alarm;
    };
    using waiter_ptr = boost::intrusive_ptr<waiter>;

    static void wake(waiter_ptr who);

    // All of these with the mutex held.
    bool fits(const event& event) const noexcept;
    bool worth_a_delivery() const noexcept;
    bool wait_for_batch(std::unique_lock<std::mutex>& lock);
    void put(event& event);
    event take_oldest();
    void admit(std::vector<waiter_ptr>& woken);

    bool stand_in_line(waiter& who);
    verdict leave_line(waiter& who);

    const options options_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_;  ///< workers in `take`
    std::condition_variable closing_;  ///< workers in `pause_while_open`; apart, or it would steal wake-ups
    boost::circular_buffer<event> ring_;
    std::size_t bytes_ = 0;  ///< of the events in `ring_`
    /// The oldest event in `ring_` is not older than this: the age of a batch is counted from here,
    /// which costs a look at the clock only when the queue was empty.
    lifecycle::clock::time_point oldest_{};
    boost::intrusive::list<waiter, boost::intrusive::base_hook<hook>> line_;
    bool closed_ = false;

    std::uint64_t accepted_ = 0, delivered_ = 0, in_hand_ = 0;
    std::uint64_t dropped_by_overflow_ = 0, dropped_at_deadline_ = 0;
};

}  // namespace tracker
