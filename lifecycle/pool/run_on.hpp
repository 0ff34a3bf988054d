#pragma once

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/result.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "lifecycle/pool/pool.hpp"
#include "lifecycle/task_group.hpp"

namespace lifecycle {

/// Room for one operation of Asio's, which outlives it: to begin it needs no memory.
class operation_place {
    static constexpr std::size_t size = 128;

public:
    template <class T>
    struct allocator {
        using value_type = T;

        explicit allocator(operation_place& in) noexcept : place(&in) {}
        template <class U>
        allocator(const allocator<U>& other) noexcept : place(other.place) {}  // NOLINT(google-explicit-constructor)

        T* allocate(std::size_t) noexcept {
            static_assert(sizeof(T) <= size && alignof(T) <= alignof(std::max_align_t));
            return reinterpret_cast<T*>(place->bytes_);
        }
        void deallocate(T*, std::size_t) noexcept {}
        bool operator==(const allocator&) const noexcept = default;

        operation_place* place;
    };

private:
    alignas(std::max_align_t) std::byte bytes_[size];
};

/// A job of a pool and the coroutine that waits for it on a loop.
template <class T>
struct awaited_job {
    std::atomic<bool> left{false};  ///< the coroutine no longer waits: need not begin
    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
    std::exception_ptr error;

    /// On the worker.
    template <class F>
    void perform(F& work, std::stop_token token) noexcept {
        if (left) return;
        try {
            if constexpr (std::is_void_v<T>) {
                work(std::move(token));
                value.emplace();
            } else {
                value.emplace(work(std::move(token)));
            }
        } catch (...) {
            error = std::current_exception();
        }
    }

    // Only on the loop's thread.
    bool over = false;
    loop_timer* waiter = nullptr;
    operation_place told;

    /// Tells the loop that the job has ended, or that the pool has dropped it.
    class ticket {
    public:
        ticket(executor on, std::shared_ptr<awaited_job> job) : on_(on), job_(std::move(job)) {}
        ~ticket() {
            auto& place = job_->told;
            auto tell = [job = std::move(job_)] {
                job->over = true;
                if (job->waiter != nullptr) job->waiter->cancel();
            };
            boost::asio::post(
                on_, boost::asio::bind_allocator(operation_place::allocator<std::byte>(place), std::move(tell)));
        }
        ticket(const ticket&) = delete;
        ticket& operator=(const ticket&) = delete;

    private:
        executor on_;
        std::shared_ptr<awaited_job> job_;
    };
};

/// Calls `work(std::stop_token)`, which may block, on a worker of the pool, and goes on with what it returns, or
/// throws, on the caller's loop. Errors: `resource_unavailable_try_again` when the pool is full or stops, `timed_out`
/// or `operation_canceled` when the context ends first. Then nothing waits for `work` any more: what it uses must be
/// its own (captured by value). It need not begin; once it runs, the pool's token and a captured context can tell it to
/// end.
///
/// The loop's io_context must outlive the pool's `run`.
template <class F>
awaitable<boost::system::result<std::invoke_result_t<F&, std::stop_token>>> run_on(
    pool& jobs, context context, std::string name, F work,
    std::source_location where = std::source_location::current()) {
    namespace errc = boost::system::errc;
    using value = std::invoke_result_t<F&, std::stop_token>;
    using answer = boost::system::result<value>;  // built in place: an error is a bool too, and so is an answer
    using job = awaited_job<value>;
    struct leaving {
        ~leaving() {
            of.waiter = nullptr;
            of.left = true;
        }
        job& of;
    };
    const auto on = co_await boost::asio::this_coro::executor;
    loop_timer timer(on, context.deadline());
    const auto mine = std::make_shared<job>();
    const leaving when_left{*mine};
    mine->waiter = &timer;
    auto perform = [mine, told = std::make_shared<typename job::ticket>(on, mine),
                    work = std::move(work)](std::stop_token token) mutable { mine->perform(work, std::move(token)); };
    if (!context.done() && !jobs.try_submit(std::move(name), std::move(perform)))
        co_return answer(boost::system::in_place_error, errc::make_error_code(errc::resource_unavailable_try_again));
    const context::waiting breadcrumb(context, where);
    const context::on_cancel wake(context, [&timer] { timer.cancel(); });
    while (!mine->over && !context.done()) {
        auto told = timer.async_wait(quietly);
        co_await std::move(told);
    }
    if (mine->over && mine->error) std::rethrow_exception(mine->error);
    if (mine->over && mine->value) {
        if constexpr (std::is_void_v<value>)
            co_return answer();
        else
            co_return answer(boost::system::in_place_value, std::move(*mine->value));
    }
    const auto why = context.why() == cause::deadline ? errc::timed_out : errc::operation_canceled;
    co_return answer(boost::system::in_place_error, errc::make_error_code(why));
}

}  // namespace lifecycle
