#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "lifecycle/context.hpp"
#include "lifecycle/shutdown_report.hpp"
#include "lifecycle/workers.hpp"

namespace spdlog {
class logger;
}

namespace lifecycle {

/// Background work as a fan-out: a bounded queue and a number of workers; when the queue is full the caller is told so,
/// and does not wait. For work that a handler must not do on its loop (because it blocks) or need not wait for.
///
/// Lifetime: a part. Construct (starts nothing), `run` on a thread of its own, destroy after that. When asked to stop
/// it takes nothing new and does what is queued until `deadline`; what is queued then is dropped, counted and named in
/// the log, what runs is named there too, asked to end by its token and waited for. A job that does not obey is not
/// waited for beyond the budget, since the pool is a part: its worker is a straggler, and `stragglers` names the job.
/// Everything but `run` is safe from any thread.
class pool {
public:
    struct options {
        std::string name = "pool";  ///< its workers are NAME-1, NAME-2 …
        std::size_t workers = 4;
        std::size_t capacity = 64;  ///< jobs that wait
    };
    /// May throw: that is logged with the job's name and counted, and ends nothing else.
    using job = std::function<void(std::stop_token)>;

    /// `deadline` is asked again while a stop lasts: max() while there is no stop; must not throw.
    pool(options options, workers& workers, spdlog::logger& log, std::function<clock::time_point()> deadline);
    ~pool();
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    /// False when the queue is full or the pool has been asked to stop: `work` will not run. Never blocks.
    bool try_submit(std::string name, job work);

    /// Blocks until it was asked to stop and has stopped. Throws when no thread can be started. Once only.
    void run(std::stop_token stop);

    struct stats {
        std::size_t queued = 0, running = 0;
        std::uint64_t done = 0, failed = 0, dropped = 0, refused = 0;
        std::chrono::nanoseconds busy{0}, longest{0};  ///< of all jobs that have ended, of one of them
    };
    stats now() const;
    /// Names of the jobs that run or wait, the oldest first.
    std::vector<std::string> names() const;
    /// The jobs that run, of the kind "job", for the report of a stop.
    std::vector<shutdown_report::straggler> stragglers() const;

private:
    struct entry {
        std::string name;
        job work;
        clock::time_point began;
    };
    void work(std::stop_token cut_short);
    void drop_first(std::unique_lock<std::mutex>& lock);
    void perform(entry& entry, std::stop_token cut_short);
    void wait_until_done();
    std::deque<entry> close_queue();

    const options options_;
    workers& workers_;
    spdlog::logger& log_;
    const std::function<clock::time_point()> deadline_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_, ended_;
    std::deque<entry> queue_;
    std::list<entry> running_;
    bool closed_ = false;
    stats stats_;
};

}  // namespace lifecycle
