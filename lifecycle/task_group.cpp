#include "lifecycle/task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
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

constexpr std::size_t most_errors = 16;

}  // namespace

/// What Asio calls when a coroutine has ended. One that is destroyed instead, with its loop or for lack of memory, has
/// ended too: its task must not remain.
class task_group::end_of_task {
public:
    end_of_task(task_group& group, task& task) noexcept : group_(group), task_(&task) {}
    end_of_task(end_of_task&& other) noexcept : group_(other.group_), task_(std::exchange(other.task_, nullptr)) {}
    end_of_task(const end_of_task&) = delete;
    end_of_task& operator=(const end_of_task&) = delete;
    ~end_of_task() {
        if (task_ != nullptr) group_.ended(task_, nullptr, true);
    }
    void operator()(std::exception_ptr error) { group_.ended(std::exchange(task_, nullptr), std::move(error)); }

private:
    task_group& group_;
    task* task_;
};

task_group::task_group(executor on) : executor_(on), empty_(on) { errors_.reserve(most_errors); }

task_group::~task_group() { assert(size_ == 0 && "a task outlives its owner"); }

bool task_group::spawn(std::string name, const char* kind, awaitable<> work) {
    if (closed_) return false;
    auto made = std::make_unique<coroutine>(std::move(name), kind);
    auto* const begun = made.release();
    // In the list before it runs: it may end inside co_spawn.
    tasks_.push_back(*begun);
    ++size_;
    asio::co_spawn(executor_, std::move(work),
                   asio::bind_cancellation_slot(begun->signal.slot(), end_of_task(*this, *begun)));
    return true;
}

bool task_group::spawn(std::unique_ptr<task> owned, awaitable<> work) {
    if (closed_) return false;
    auto& begun = *owned.release();
    tasks_.push_back(begun);
    ++size_;
    resume(begun, std::move(work));
    return true;
}

void task_group::resume(task& task, awaitable<> work) {
    asio::co_spawn(executor_, std::move(work), end_of_task(*this, task));
}

void task_group::ended(task* task, std::exception_ptr error, bool for_good) noexcept {
    if (error) {
        if (errors_.size() < most_errors) errors_.emplace_back(std::move(task->name), std::move(error));
    } else if (!for_good && task->rests()) {
        return;
    }
    delete task;
    if (--size_ == 0) empty_.cancel();
}

void task_group::cancel() noexcept {
    // A task may end, and leave the list, inside its own cancel: step on before it does.
    for (auto at = tasks_.begin(); at != tasks_.end();) (at++)->cancel();
}

awaitable<bool> task_group::join(clock::time_point deadline) {
    // In a loop: another task may have begun since the last one ended.
    while (size_ > 0 && clock::now() < deadline) {
        empty_.expires_at(deadline);
        co_await empty_.async_wait(quietly);
    }
    co_return size_ == 0;
}

}  // namespace lifecycle
