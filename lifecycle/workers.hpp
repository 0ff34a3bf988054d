#pragma once

#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lifecycle/context.hpp"

namespace lifecycle {

/// The only place where threads are started, so that they can be named, listed, counted and waited for. main owns it;
/// it outlives every thread that it started and asserts that when destroyed. Safe from any thread.
class workers {
public:
    /// A running thread as others see it.
    struct entry {
        std::string name;
        std::string kind;  ///< "part", "loop", "worker"
        pid_t thread = 0;  ///< kernel id, for /proc/self/task and stacks
        clock::time_point born;
    };

    workers();
    ~workers();
    workers(const workers&) = delete;
    workers& operator=(const workers&) = delete;

    /// Starts `work` on a thread of its own with that name (15 characters reach the kernel). The owner of the returned
    /// thread joins it; destroying it asks it to stop and joins. Throws std::system_error when no thread can be
    /// started. An exception that leaves `work` is the death of that thread, see `on_death`.
    [[nodiscard]] std::jthread start(std::string name, std::string kind, std::function<void(std::stop_token)> work);

    /// Called, on the thread that dies, with its name and why: what only this thread did is not done from now on.
    /// Without one the process ends with std::terminate. Must not throw. An empty function takes it back.
    void on_death(std::function<void(const std::string& name, const char* why)> hear);
    /// A thread of that name has failed at what it is for. True: a listener was told.
    bool died(const std::string& name, const std::exception_ptr& error) noexcept;

    std::size_t live() const;
    std::vector<entry> list() const;

    /// Threads of this process beyond those there were when this object was made (sanitizers have
    /// one of their own); polls for up to `patience`, since a joined thread stays in /proc for a moment.
    /// -1 without /proc.
    int threads_left(std::chrono::milliseconds patience = std::chrono::milliseconds(50)) const;

private:
    mutable std::mutex mutex_;
    std::list<entry> live_;
    std::function<void(const std::string&, const char*)> hear_;  ///< guarded by hearing_
    std::mutex hearing_;
    int baseline_;
};

}  // namespace lifecycle
