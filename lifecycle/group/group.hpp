#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lifecycle/group/members.hpp"

namespace lifecycle {

/// What has become of one task of a group: a value, or the exception that has left it, as it was thrown.
template <class T>
struct outcome {
    std::string name;
    std::source_location where;  ///< of its start
    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value = {};
    std::exception_ptr error = {};
};

/// Several tasks of one request: coroutines on their caller's loop, with one context, a limited number at a time.
///
///     auto begin = [&](lifecycle::group<int>& calls) {
///         for (const auto& shop : shops) calls.start(shop, [&](context context) { return price(context, shop); });
///     };
///     auto running = lifecycle::run_all<int>(context, 4, begin);
///     const std::vector<int> prices = co_await std::move(running);
///
/// A group is made by one of the functions below, which return when every task has ended: it cannot be left, by a
/// return or an exception, while one of them still runs. What tasks refer to need only outlive that call.
///
/// A task is a function of the group's context, which ends with the caller's and when the group gives up; it must
/// end soon after its context does. It is called when there is room for it, in the order of the starts. The function
/// object lives as long as its coroutine, so captures are sound. Only on the loop's thread.
template <class T = void>
class group {
public:
    using task = std::function<awaitable<T>(context)>;

    /// Starts it at once when fewer than the limit run, else as soon as one of them has ended; a task may start others.
    /// Once the context has ended it is not called at all, and has the error `context_ended`.
    void start(std::string name, task work, std::source_location where = std::source_location::current()) {
        auto& mine = outcomes_.emplace_back(outcome<T>{std::move(name), where});
        members_.start(mine.name, perform(mine, std::move(work), members::seat(members_, mine.error)));
    }

    /// The results of the rest are not needed: they are asked to end, and are joined all the same.
    void cancel() noexcept { members_.cancel(cause::cancelled); }
    const context& get() const noexcept { return members_.get(); }

    group(const group&) = delete;
    group& operator=(const group&) = delete;

private:
    template <class U, class Begin>
    friend awaitable<std::vector<outcome<U>>> run_group(context, std::size_t, give_up, Begin, std::source_location);

    group(executor on, const context& parent, std::size_t limit, give_up when)
        : give_up_(when), members_(on, parent, limit) {}

    awaitable<> perform(outcome<T>& mine, task work, members::seat seat) {
        try {
            members_.check();
            auto working = work(members_.get());
            if constexpr (std::is_void_v<T>) {
                co_await std::move(working);
                mine.value.emplace();
            } else {
                auto made = co_await std::move(working);
                mine.value.emplace(std::move(made));
            }
        } catch (...) {
            mine.error = std::current_exception();
        }
        work = nullptr;                // what it holds goes before the group counts it as ended
        if (won_) mine.value.reset();  // it comes too late
        won_ = won_ || (mine.value && give_up_ == give_up::at_first_value);
        if (won_ || (mine.error && give_up_ == give_up::at_first_error)) cancel();
        seat.leave();
    }

    const give_up give_up_;
    bool won_ = false;                 ///< a task has had the first value
    std::deque<outcome<T>> outcomes_;  // a task keeps the address of its own
    members members_;                  // last: it uses the rest
};

/// What the functions below have in common; returns when all have ended. What leaves `begin` is thrown then.
template <class T, class Begin>
awaitable<std::vector<outcome<T>>> run_group(context parent, std::size_t limit, give_up when, Begin begin,
                                             std::source_location where) {
    group<T> all(co_await boost::asio::this_coro::executor, parent, limit, when);
    std::exception_ptr failure;
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<Begin&, group<T>&>>) {
            begin(all);
        } else {
            auto beginning = begin(all);
            co_await std::move(beginning);
        }
    } catch (...) {
        failure = std::current_exception();
        all.cancel();
    }
    auto joining = all.members_.join(parent, where);
    co_await std::move(joining);
    if (failure) std::rethrow_exception(failure);
    co_return std::vector<outcome<T>>(std::make_move_iterator(all.outcomes_.begin()),
                                      std::make_move_iterator(all.outcomes_.end()));
}

// `begin` is called with a `group<T>&` and starts tasks; it is a function, or a coroutine that may start more of them
// as it goes on. `limit` is how many run at a time; 0: all. `where` is what /debug/tasks shows of the caller that
// waits.

/// All or nothing: the first error cancels the rest, and is thrown as a `task_error` when they have ended. The values
/// are in the order of the starts.
template <class T = void, class Begin>
awaitable<std::conditional_t<std::is_void_v<T>, void, std::vector<T>>> run_all(
    context parent, std::size_t limit, Begin begin, std::source_location where = std::source_location::current()) {
    auto running = run_group<T>(std::move(parent), limit, give_up::at_first_error, std::move(begin), where);
    auto all = co_await std::move(running);
    const auto failed = first_error(all);
    if (failed != all.end()) throw_task_error(failed->name, failed->where, failed->error);
    if constexpr (!std::is_void_v<T>) {
        std::vector<T> values;
        values.reserve(all.size());
        for (auto& member : all) values.push_back(std::move(*member.value));
        co_return values;
    }
}

/// The outcome of each of them, in the order of the starts: no task is cancelled because of another.
template <class T = void, class Begin>
awaitable<std::vector<outcome<T>>> run_each(context parent, std::size_t limit, Begin begin,
                                            std::source_location where = std::source_location::current()) {
    return run_group<T>(std::move(parent), limit, give_up::never, std::move(begin), where);
}

/// The first value; the others are cancelled, and joined. A failure does not count unless all fail: then the first
/// error is thrown as a `task_error`. Without any task: `context_ended`.
template <class T, class Begin>
awaitable<T> run_first(context parent, std::size_t limit, Begin begin,
                       std::source_location where = std::source_location::current()) {
    auto running = run_group<T>(std::move(parent), limit, give_up::at_first_value, std::move(begin), where);
    auto all = co_await std::move(running);
    for (auto& member : all)
        if (member.value) co_return std::move(*member.value);
    const auto failed = first_error(all);
    if (failed == all.end()) throw context_ended(cause::cancelled);
    throw_task_error(failed->name, failed->where, failed->error);
}

}  // namespace lifecycle
