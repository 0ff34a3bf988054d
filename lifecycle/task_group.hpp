#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <exception>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/operation_memory.hpp"

namespace lifecycle {

/// Begins an operation with what it takes from the reserve; Asio's own binder of allocators cannot be awaited in 1.81.
template <class Initiation>
struct with_reserve {
    Initiation begin;
    template <class Handler, class... Arguments>
    void operator()(Handler&& handler, Arguments&&... arguments) {
        std::move(begin)(boost::asio::bind_allocator(operation_allocator<void>(), std::forward<Handler>(handler)),
                         std::forward<Arguments>(arguments)...);
    }
};

/// Coroutines run on loops, and a loop is an `io_context(1)`: the executor's type is known, which
/// saves an indirect call and an allocation for each operation.
using executor = boost::asio::io_context::executor_type;
template <class T = void>
using awaitable = boost::asio::awaitable<T, executor>;
using loop_timer = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, executor>;

/// How a coroutine awaits an operation of Asio's that may fail: the error is a value, and nothing is thrown. On a loop
/// that has an `operation_memory`, running out of memory throws nothing either.
struct quietly_t {};
inline constexpr quietly_t quietly;

/// Waits on the loop until `when`, see wake_up.hpp. True: it came. False: the context ended first.
awaitable<bool> sleep_until(context context, clock::time_point when,
                            std::source_location where = std::source_location::current());

/// A coroutine as its owner sees it.
class task : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    task(std::string task_name, const char* task_kind) : name(std::move(task_name)), kind(task_kind) {}
    virtual ~task() = default;
    task(const task&) = delete;
    task& operator=(const task&) = delete;

    /// Asks it to end soon. May be called more than once.
    virtual void cancel() noexcept = 0;
    /// True: its coroutine has ended and it has not; it waits without one until `resume` is called.
    virtual bool rests() const noexcept { return false; }

    std::string name;
    const char* kind;  ///< "connection", "listener", "timer" …
    clock::time_point born = clock::now();
};

/// The owner of the coroutines of one loop: starts them, can ask them to end, and is waited for. Every coroutine is
/// started here, so `size()` is the number of those that are alive.
///
/// Only on the loop's thread. Outlives its tasks, and asserts that when destroyed.
class task_group {
public:
    explicit task_group(executor on);
    ~task_group();
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    /// Starts `work`, which ends by asio's terminal cancellation. False when the group is closed:
    /// nothing has run.
    bool spawn(std::string name, const char* kind, awaitable<> work);
    /// The same for a task that has a cancel of its own; it lives until `work` has ended.
    bool spawn(std::unique_ptr<task> owned, awaitable<> work);
    /// Goes on with a task of this group that rests, also when the group is closed. When it throws, the task is gone.
    void resume(task& task, awaitable<> work);
    /// The end of a task that rests.
    void drop(task& task) noexcept { ended(&task, nullptr, true); }

    /// From now on nothing new is started.
    void close() noexcept { closed_ = true; }
    void cancel() noexcept;

    /// True when all have ended, false when the deadline came first.
    awaitable<bool> join(clock::time_point deadline);

    std::size_t size() const noexcept { return size_; }
    /// Exceptions that left a task, with its name; the first few.
    const std::vector<std::pair<std::string, std::exception_ptr>>& errors() const noexcept { return errors_; }

    template <class F>
    void for_each(F f) const {
        for (const auto& task : tasks_) f(task);
    }

private:
    class end_of_task;
    void ended(task* task, std::exception_ptr error, bool for_good = false) noexcept;

    executor executor_;
    loop_timer empty_;
    boost::intrusive::list<task, boost::intrusive::constant_time_size<false>> tasks_;
    std::size_t size_ = 0;
    bool closed_ = false;
    std::vector<std::pair<std::string, std::exception_ptr>> errors_;
};

}  // namespace lifecycle

template <class... Results>
class boost::asio::async_result<lifecycle::quietly_t, void(Results...)> {
public:
    template <class Initiation, class... Arguments>
    static auto initiate(Initiation&& initiation, lifecycle::quietly_t, Arguments&&... arguments) {
        using token = as_tuple_t<deferred_t>;
        return async_result<token, void(Results...)>::initiate(
            lifecycle::with_reserve<std::decay_t<Initiation>>{std::forward<Initiation>(initiation)}, token(deferred),
            std::forward<Arguments>(arguments)...);
    }
};
