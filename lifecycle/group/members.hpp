#pragma once

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <deque>
#include <exception>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"

namespace lifecycle {

/// Work was given up because its context has ended.
class context_ended : public std::runtime_error {
public:
    explicit context_ended(cause why);
    cause why() const noexcept { return why_; }

private:
    cause why_;
};

/// What a task of a group has thrown, with the task's name and the line that started it: "NAME (FILE:LINE): TEXT".
/// The exception itself is nested in it: std::rethrow_if_nested.
class task_error : public std::runtime_error {
public:
    task_error(const std::string& task, std::source_location started, const std::string& text);
    const std::string& name() const noexcept { return name_; }
    std::source_location where() const noexcept { return where_; }

private:
    std::string name_;
    std::source_location where_;
};

[[noreturn]] void throw_task_error(const std::string& task, std::source_location started, std::exception_ptr error);

/// When a group cancels those of its tasks that still run.
enum class give_up : std::uint8_t { never, at_first_error, at_first_value };

/// The first of these outcomes with an error that says something: those that follow from the first are `context_ended`.
template <class Outcomes>
auto first_error(const Outcomes& all) {
    const auto is = [](bool of_context) {
        return [of_context](const auto& member) {
            if (!member.error) return false;
            try {
                std::rethrow_exception(member.error);
            } catch (const context_ended&) {
                return of_context;
            } catch (...) {
                return !of_context;
            }
        };
    };
    const auto own = std::find_if(all.begin(), all.end(), is(false));
    return own != all.end() ? own : std::find_if(all.begin(), all.end(), is(true));
}

/// The part of a `group` that knows nothing of results: which tasks run, which wait for room, which are waited for.
/// Only on the loop's thread; asserts when destroyed that it has been joined.
class members {
public:
    members(executor on, const context& parent, std::size_t limit);
    ~members();
    members(const members&) = delete;
    members& operator=(const members&) = delete;

    /// How a task counts, from its start until its coroutine is about to end, or is no more: one that finds no memory
    /// on its way is destroyed. What `error` is then set to says so.
    class seat {
    public:
        seat(members& of, std::exception_ptr& error) noexcept : of_(&of), error_(&error) { ++of.left_; }
        seat(seat&& other) noexcept : of_(std::exchange(other.of_, nullptr)), error_(other.error_) {}
        seat(const seat&) = delete;
        seat& operator=(const seat&) = delete;
        ~seat();

        void leave() noexcept { std::exchange(of_, nullptr)->left(); }

    private:
        members* of_;
        std::exception_ptr* error_;
    };

    /// `work` has a seat.
    void start(const std::string& name, awaitable<> work);
    void cancel(cause why) noexcept { scope_.cancel(why); }
    /// Throws `context_ended` when it has.
    void check() const;
    const context& get() const noexcept { return scope_.get(); }

    /// Until all have ended, whatever becomes of the caller: when it is cancelled, be it by its context or in asio's
    /// way, they are asked to end too.
    awaitable<> join(context waiting, std::source_location where);

private:
    void left() noexcept;
    void fill() noexcept;

    const std::size_t limit_;
    cancel_scope scope_;
    std::deque<std::pair<std::string, awaitable<>>> queue_;  // a coroutine that has not begun
    std::size_t left_ = 0;                                   ///< seats: those in the queue, and those that run
    bool filling_ = false;
    loop_timer home_;
    task_group tasks_;  // last: it asserts that it is empty
};

}  // namespace lifecycle
