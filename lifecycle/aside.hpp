#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "lifecycle/workers.hpp"

namespace lifecycle {

/// Runs work that may hang, above all on a file on a dead disk, beside the thread that wants it done: on a worker that
/// lives only as long as there is something to do. One job runs and one may wait: a newer job replaces the one that
/// waits.
///
/// The thread that made it posts and joins; `busy` is safe from any thread. Nothing may be under way when it is
/// destroyed: a process whose worker hangs ends by `_Exit`.
class aside {
public:
    /// `name` is the worker's, and precedes what the work throws, which becomes a line in the log. `idle` is called on
    /// the worker when it has nothing left to do. All arguments must outlive this object.
    aside(std::string name, workers& workers, spdlog::logger& log, std::function<void()> idle);

    /// Never blocks. If no thread can be started the work is not done, and there is a line in the log.
    void post(std::function<void()> work);

    /// Something runs or waits.
    bool busy() const;

    /// Waits for the end of a worker that is not busy any more.
    void join();

    const std::string& name() const noexcept { return name_; }

private:
    void run();

    const std::string name_;
    workers& workers_;
    spdlog::logger& log_;
    const std::function<void()> idle_;
    mutable std::mutex mutex_;  ///< never held while work is done
    bool busy_ = false;
    std::function<void()> waiting_;
    std::jthread thread_;  // last: it uses the rest
};

}  // namespace lifecycle
