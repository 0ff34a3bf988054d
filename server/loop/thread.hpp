#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <vector>

#include "lifecycle/operation_memory.hpp"
#include "lifecycle/task_group.hpp"
#include "server/loop.hpp"
#include "server/loop/drain.hpp"
#include "server/loop/resources.hpp"
#include "server/loop/rows.hpp"
#include "server/loop/tick.hpp"

namespace server {

/// A loop as its own thread has it: how it runs, what is asked of it, and how it fails and ends. What its connections
/// use is in `resources`; they know nothing of the rest. Everything here is only for that thread, but `orders`.
class loop_thread {
public:
    /// What other threads ask for; the tick does it where it could not be posted.
    enum order : unsigned { to_drain = 1, to_seal = 2, to_close = 4 };

    loop_thread(const environment& env, std::size_t index, boost::asio::io_context& io, published& seen);
    ~loop_thread();

    void run();
    void obey(unsigned orders);
    void apply(std::shared_ptr<const options> fresh) noexcept { resources_.serving().limits = std::move(fresh); }
    /// Of the connections the one that has been idle longest goes, or the one that has been sending its head for
    /// longest where the server `ends_slow_heads`. False: no connection was closed.
    bool make_room() { return resources_.connections().make_room(ends_slow_heads()); }
    /// On a server that drains, a request that has begun is answered.
    bool ends_slow_heads() const noexcept { return env_.stop == nullptr; }
    void take(std::unique_ptr<connection> connection) noexcept;
    /// From now on it serves no connection; see environment::failed. The first reason is kept.
    void fail(std::exception_ptr why) noexcept;
    loop_resources& resources() noexcept { return resources_; }
    lifecycle::task_group& tasks() noexcept { return resources_.tasks(); }
    std::vector<task_row> describe() const { return rows_of(resources_.connections().lists(), resources_.tasks()); }

    std::atomic<unsigned> orders{0};  ///< that could not be posted

private:
    struct running;
    void end();
    void reserve_timers();
    void begin_tick();
    lifecycle::awaitable<> tick();
    void attempt_tick(lifecycle::clock::time_point now, lifecycle::clock::duration lag) noexcept;

    const environment& env_;
    const std::size_t index_;
    boost::asio::io_context& io_;
    published& seen_;
    loop_drain drain_;
    loop_resources resources_;
    lifecycle::loop_timer timer_;
    loop_tick tick_;
    bool failed_ = false;
    lifecycle::operation_memory* kept_back_ = nullptr;  ///< while it runs
};

}  // namespace server
