#include "lifecycle/group/members.hpp"

#include <fmt/format.h>

#include <boost/asio/cancellation_type.hpp>
#include <cassert>
#include <limits>
#include <new>

namespace lifecycle {

namespace asio = boost::asio;

namespace {

const auto never = clock::time_point::max();
/// Made while there is memory.
const std::exception_ptr was_destroyed = std::make_exception_ptr(std::bad_alloc());

}  // namespace

context_ended::context_ended(cause why) : std::runtime_error(fmt::format("given up: {}", to_string(why))), why_(why) {}

task_error::task_error(const std::string& task, std::source_location started, const std::string& text)
    : std::runtime_error(fmt::format("{} ({}:{}): {}", task, started.file_name(), started.line(), text)),
      name_(task),
      where_(started) {}

void throw_task_error(const std::string& task, std::source_location started, std::exception_ptr error) {
    try {
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& thrown) {
        std::throw_with_nested(task_error(task, started, thrown.what()));
    } catch (...) {
        std::throw_with_nested(task_error(task, started, "not a std::exception"));
    }
}

members::members(executor on, const context& parent, std::size_t limit)
    : limit_(limit == 0 ? std::numeric_limits<std::size_t>::max() : limit), scope_(parent), home_(on), tasks_(on) {}

members::~members() { assert(left_ == 0 && "a group is left before its tasks have ended"); }

members::seat::~seat() {
    if (of_ == nullptr) return;
    *error_ = was_destroyed;
    leave();
}

void members::start(const std::string& name, awaitable<> work) {
    queue_.emplace_back(name, std::move(work));
    fill();
}

void members::left() noexcept {
    --left_;
    fill();
    if (left_ == 0) home_.cancel();
}

/// A task runs inside its spawn until it waits, and may end or start others there: that comes back to this loop and
/// does not go deeper, or a long queue of tasks that never wait would overflow the stack.
void members::fill() noexcept {
    if (std::exchange(filling_, true)) return;
    while (!queue_.empty() && left_ - queue_.size() < limit_) {
        auto [name, work] = std::move(queue_.front());
        queue_.pop_front();
        try {
            tasks_.spawn(std::move(name), "group", std::move(work));
        } catch (...) {  // NOLINT(bugprone-empty-catch): its seat says so
        }
    }
    filling_ = false;
}

void members::check() const {
    if (const auto why = get().why(); why != cause::none) throw context_ended(why);
}

awaitable<> members::join(context waiting, std::source_location where) {
    const context::waiting breadcrumb(waiting, where);
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);  // or this frame would go before those that it waits for
    while (left_ > 0) {
        home_.expires_at(never);
        auto all_home = home_.async_wait(quietly);
        co_await std::move(all_home);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) cancel(cause::cancelled);
    }
    auto gone = tasks_.join(never);
    co_await std::move(gone);
    co_await asio::this_coro::throw_if_cancelled(throws);
}

}  // namespace lifecycle
