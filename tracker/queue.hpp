#pragma once

#include <boost/circular_buffer.hpp>
#include <boost/container/static_vector.hpp>
#include <boost/intrusive/list.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <source_location>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "tracker/account.hpp"
#include "tracker/backlog.hpp"
#include "tracker/event.hpp"
#include "tracker/options.hpp"

namespace tracker {

/// The bounded queue between event loops and workers, and the account of all that went through it.
///
///     offered ─room─▶ queued ─take─▶ in hand ─settle─▶ delivered | dropped
///        └─no room─▶ waiting (first come, first served) ─room─▶ queued
///
/// One short mutex guards all of it, the account too, so that the equation of the account holds at any moment. It is
/// never held during I/O, while a waiter is woken, or while a worker waits.
///
/// Lifetime: must outlive every coroutine in `push` and every worker in `take`.
class queue final : public backlog {
public:
    /// When `push` answers: as soon as the event is queued, or when the thread that took it calls `answer`. With the
    /// latter a full queue drops nothing: what it holds has not been promised to any client.
    enum class promise : std::uint8_t { queued, answered };

    explicit queue(const options& options, promise when = promise::queued);
    ~queue() override;

    /// Puts `event` in when there is room for which nothing waits (or the policy makes room); leaves it alone
    /// otherwise. Never waits, allocates nothing. Safe from any thread.
    verdict try_push(event& event);

    /// Waits for room, and with promise::answered for the answer, without holding a thread, until `context`
    /// ends or the queue is closed. With `deadline` for an answer the event may have been taken already. Its
    /// executor must run one handler at a time (a loop of one thread, or a strand) and must run until
    /// the coroutine has ended; a coroutine that is destroyed while it waits leaves the line.
    /// Cancelling it by asio's cancellation slots is the same as ending its context.
    lifecycle::awaitable<verdict> push(lifecycle::context context, event event, std::source_location where);

    /// Worth a delivery: by count, bytes or age, or because someone waits for room or the queue is closed. Gives the
    /// room to those that wait for it, in their order.
    bool take(batch& into) override { return take_until(into, lifecycle::clock::time_point::max()); }
    /// The same, but true with an empty batch when there was none until `when`.
    bool take_until(batch& into, lifecycle::clock::time_point when);

    /// Tells those that wait for the answer to a batch that was taken; returns for how many nothing waits.
    std::uint64_t answer(batch& taken, verdict how);

    void settle(const batch& taken, outcome how) override;
    void settle_part(batch& taken, std::size_t first, std::size_t count) override;
    void give_back(batch& taken) override;
    void bury(batch& taken, std::size_t index) override;

    /// From now on every caller gets `closed`, including those that wait for room. Never waits. Idempotent.
    void close() override;
    bool closed() const override;
    void pause_while_open(lifecycle::clock::time_point when) override;
    std::uint64_t queued() const override { return account().queued; }

    /// Of `fresh` the policy: `overflow` and `queue_bytes`. Those that wait for room go on waiting. Safe from any
    /// thread.
    void apply(const options& fresh);

    /// `refused` is not known here.
    tracker::account account() const;
    std::size_t depth() const;
    std::size_t waiting() const;

private:
    class place_in_line;
    struct place {
        event what;
        waiter_ptr who;  ///< waits for the answer
    };
    using awakened = boost::container::static_vector<waiter_ptr, 64>;

    // All of these with the mutex held.
    bool fits(const event& event) const noexcept;
    bool empty() const noexcept { return ring_.empty() && given_back_.empty(); }
    bool worth_a_delivery() const noexcept;
    bool wait_for_batch(std::unique_lock<std::mutex>& lock, lifecycle::clock::time_point until);
    void put(event& event, waiter* who = nullptr);
    place take_oldest();
    void take_next(batch& into, std::size_t& bytes);
    void admit(awakened& woken);
    void withdraw(waiter& who);

    bool stand_in_line(waiter& who);
    verdict leave_line(waiter& who);

    options options_;
    const bool answers_later_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_;  ///< workers in `take`
    std::condition_variable closing_;  ///< workers in `pause_while_open`; apart, or it would steal wake-ups
    boost::circular_buffer<place> ring_;
    std::size_t bytes_ = 0;         ///< of the events in `ring_`
    std::deque<event> given_back_;  ///< they come before those in `ring_`, and take no place of it
    /// The oldest event in `ring_` is not older than this: the age of a batch is counted from here,
    /// which costs a look at the clock only when the queue was empty.
    lifecycle::clock::time_point oldest_{};
    boost::intrusive::list<waiter> line_;
    bool closed_ = false;

    std::uint64_t accepted_ = 0, delivered_ = 0, in_hand_ = 0;
    std::uint64_t dropped_by_overflow_ = 0, dropped_at_deadline_ = 0, dropped_dead_letter_ = 0;
};

}  // namespace tracker
