#pragma once

#include <spdlog/logger.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "lifecycle/workers.hpp"

namespace lifecycle {

/// What may hang, a file on a dead disk above all, is done here aside of the thread that wants it done: by a worker
/// that lives only as long as there is something to do. One thing runs, and one waits: the newest takes the place of
/// the one before.
///
/// Whoever made it posts and joins, on one thread; `busy` is safe from any. Nothing may be under way when it is
/// destroyed: a process whose worker hangs leaves by `_Exit`.
class aside {
public:
    /// `name` is the worker's, and stands before what the work throws, which is a line in the log. `idle` is called on
    /// the worker when it has nothing left to do. All that is given outlives this object.
    aside(std::string name, workers& workers, spdlog::logger& log, std::function<void()> idle);

    /// Never blocks. Where there is no thread to be had the work is not done, and there is a line.
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
