#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <semaphore>
#include <string_view>
#include <thread>

#include "lifecycle/workers.hpp"

namespace lifecycle {

/// Hears a stop while main's thread opens files: that thread may be in a call of a disk that does not answer, and then
/// no signal reaches it, whatever handler it has.
///
/// SIGTERM and SIGINT stay where they are, for main to read when it comes to that. When the budget has passed since
/// the first of them, and main has still not come, this says what it waits for and ends the process with code 3.
class start_guard {
public:
    static constexpr std::string_view name = "start-guard";  ///< of its thread

    struct limits {
        std::chrono::milliseconds budget;  ///< from the signal to the end
        /// One line that says what the start waits for. Called on the guard's thread, once, right before the end.
        std::function<void(const char* what)> say;
    };

    /// `heard` is called on the guard's thread at the first signal, with the budget. Throws std::system_error when the
    /// kernel has no thread or descriptor for it.
    start_guard(limits limits, std::function<void(std::chrono::milliseconds)> heard);
    /// Waits for its thread.
    ~start_guard();
    start_guard(const start_guard&) = delete;
    start_guard& operator=(const start_guard&) = delete;

    /// From now on these. Not for a stop that has been heard.
    void change(limits limits);
    /// What main's thread does next, in a word that lives as long as the program.
    void doing(const char* what) noexcept { what_.store(what, std::memory_order_relaxed); }

private:
    void run();
    limits now() const;

    const std::function<void(std::chrono::milliseconds)> heard_;
    mutable std::mutex mutex_;
    limits limits_;  ///< guarded by the mutex
    std::atomic<const char*> what_{"the settings"};
    int signals_ = -1, over_ = -1;
    std::binary_semaphore named_{0};
    workers own_;  ///< its thread stands in no other list: it has ended before there are parts
    std::jthread thread_;
};

}  // namespace lifecycle
