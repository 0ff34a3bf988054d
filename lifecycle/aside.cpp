#include "lifecycle/aside.hpp"

#include <cassert>
#include <exception>
#include <utility>

#include "lifecycle/lines.hpp"

namespace lifecycle {

aside::aside(std::string name, workers& workers, spdlog::logger& log, std::function<void()> idle)
    : name_(std::move(name)), workers_(workers), log_(log), idle_(std::move(idle)) {}

void aside::post(std::function<void()> work) {
    {
        const std::scoped_lock lock(mutex_);
        // It replaces what waits: of a file that is written again and again only the newest content is of use.
        waiting_ = std::move(work);
        // The worker that is there takes it when it has done what it does.
        if (std::exchange(busy_, true)) return;
    }
    try {
        thread_ = workers_.start(name_, "worker", [this](auto) { run(); });  // the last one has ended, or is about to
    } catch (const std::exception& e) {
        lines(log_).error("{part}: {error}", name_, e.what());
        const std::scoped_lock lock(mutex_);
        waiting_ = nullptr;
        busy_ = false;
    }
}

void aside::run() {
    for (;;) {
        std::function<void()> work;
        {
            const std::scoped_lock lock(mutex_);
            assert(busy_ && "as long as a worker runs");
            work = std::exchange(waiting_, nullptr);
            // With the lock held: a post either finds it busy, or starts the next worker.
            busy_ = work != nullptr;
        }
        if (!work) return idle_();
        try {
            work();
        } catch (const std::exception& e) {
            lines(log_).error("{part}: {error}", name_, e.what());
        }
    }
}

bool aside::busy() const {
    const std::scoped_lock lock(mutex_);
    return busy_;
}

void aside::join() {
    if (thread_.joinable()) thread_.join();
}

}  // namespace lifecycle
