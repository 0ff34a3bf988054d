#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "lifecycle/context.hpp"

namespace from_go {

// [channel]
/// A bounded channel between threads. Its sender closes it; a send ends with its context, never waits for ever.
template <class T>
class channel {
public:
    explicit channel(std::size_t capacity) : capacity_(capacity) {}

    /// False: the context has ended, and `value` has not been sent.
    bool send(const lifecycle::context& context, T value) {
        std::unique_lock lock(mutex_);
        const auto room = [this] { return queue_.size() < capacity_; };
        if (!changed_.wait_until(lock, context.token(), context.deadline(), room) || context.done()) return false;
        queue_.push_back(std::move(value));
        changed_.notify_all();
        return true;
    }
    /// Nothing: it is closed and empty.
    std::optional<T> receive() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return closed_ || !queue_.empty(); });
        if (queue_.empty()) return std::nullopt;
        std::optional<T> value(std::move(queue_.front()));
        queue_.pop_front();
        changed_.notify_all();
        return value;
    }
    void close() {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

private:
    const std::size_t capacity_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<T> queue_;
    bool closed_ = false;
};
// [/channel]

}  // namespace from_go
