#include "lifecycle/task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <cassert>

namespace lifecycle {

namespace asio = boost::asio;

namespace {

/// A task that only knows asio's cancellation.
struct coroutine final : task {
    using task::task;
    void cancel() noexcept override { signal.emit(asio::cancellation_type::terminal); }
    asio::cancellation_signal signal;
};

}  // namespace

awaitable<bool> sleep_until(context context, clock::time_point when, std::source_location where) {
    if (context.done()) co_return false;
    loop_timer timer(co_await asio::this_coro::executor, std::min(when, context.deadline()));
    const context::waiting breadcrumb(context, where);
    const context::on_cancel wake(context, [&timer] { timer.cancel(); });
    co_await timer.async_wait(quietly);
    co_return clock::now() >= when && !context.done();
}

task_group::~task_group() { assert(size_ == 0 && "a task outlives its owner"); }

bool task_group::spawn(std::string name, const char* kind, awaitable<> work) {
    if (closed_) return false;
    auto made = std::make_unique<coroutine>(std::move(name), kind);
    auto* const one = made.release();
    tasks_.push_back(*one);
    ++size_;
    asio::co_spawn(executor_, std::move(work),
                   asio::bind_cancellation_slot(
                       one->signal.slot(), [this, one](std::exception_ptr error) { ended(one, std::move(error)); }));
    return true;
}

bool task_group::spawn(std::unique_ptr<task> owned, awaitable<> work) {
    if (closed_) return false;
    auto& one = *owned.release();
    tasks_.push_back(one);
    ++size_;
    resume(one, std::move(work));
    return true;
}

void task_group::resume(task& one, awaitable<> work) {
    asio::co_spawn(executor_, std::move(work), [this, &one](std::exception_ptr error) { ended(&one, error); });
}

void task_group::ended(task* one, std::exception_ptr error) noexcept {
    if (error)
        errors_.emplace_back(one->name, std::move(error));
    else if (one->rests())
        return;
    delete one;
    if (--size_ == 0) empty_.cancel();
}

void task_group::cancel() noexcept {
    // A task may end, and leave the list, inside its own cancel: step on before it does.
    for (auto at = tasks_.begin(); at != tasks_.end();) (at++)->cancel();
}

awaitable<bool> task_group::join(clock::time_point deadline) {
    while (size_ > 0 && clock::now() < deadline) {
        empty_.expires_at(deadline);
        co_await empty_.async_wait(quietly);
    }
    co_return size_ == 0;
}

}  // namespace lifecycle
