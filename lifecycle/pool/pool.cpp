#include "lifecycle/pool/pool.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <cassert>
#include <exception>
#include <list>
#include <new>
#include <utility>

#include "lifecycle/lines.hpp"

namespace lifecycle {
namespace {

/// After the stop the deadline is looked at this often: a second signal moves it.
constexpr std::chrono::milliseconds look_again{20};

}  // namespace

pool::pool(options options, workers& workers, spdlog::logger& log, std::function<clock::time_point()> deadline)
    : options_(std::move(options)), workers_(workers), log_(log), deadline_(std::move(deadline)) {}

pool::~pool() { assert(running_.empty() && "a job outlives its pool"); }

bool pool::try_submit(std::string name, job work) {
    {
        const std::scoped_lock lock(mutex_);
        if (closed_ || queue_.size() >= options_.capacity) {
            ++stats_.refused;
            return false;
        }
        queue_.push_back({std::move(name), std::move(work), {}});
    }
    arrived_.notify_one();
    return true;
}

void pool::run(std::stop_token stop) {
    std::stop_source cut_short;
    std::vector<std::jthread> threads;
    threads.reserve(options_.workers);  // or one that finds no room would be joined before the queue is closed
    const auto end = [&] {
        for (const auto& left : close_queue())
            lines(log_).error("{pool}: job {job} is dropped", options_.name, left.name);
        for (const auto& late : stragglers())
            lines(log_).warn("{pool}: job {job} is asked to end after {age_ms} ms", options_.name, late.name,
                             late.age.count());
        cut_short.request_stop();
        threads.clear();
    };
    try {
        for (std::size_t i = 1; i <= options_.workers; ++i)
            threads.push_back(workers_.start(fmt::format("{}-{}", options_.name, i), "worker",
                                             [&](std::stop_token) { work(cut_short.get_token()); }));
    } catch (...) {
        end();
        throw;
    }
    {
        std::mutex mutex;
        std::condition_variable_any asked;
        std::unique_lock lock(mutex);
        asked.wait(lock, stop, [] { return false; });
    }
    wait_until_done();
    end();
}

/// Takes nothing new any more. Until all is done, or the deadline.
void pool::wait_until_done() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    arrived_.notify_all();
    while (!queue_.empty() || !running_.empty()) {
        const auto now = clock::now();
        const auto until = deadline_();
        if (now >= until) return;
        ended_.wait_until(lock, std::min(until, now + look_again));
    }
}

std::deque<pool::entry> pool::close_queue() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    arrived_.notify_all();
    stats_.dropped += queue_.size();
    return std::exchange(queue_, {});
}

void pool::work(std::stop_token cut_short) {
    std::unique_lock lock(mutex_);
    for (;;) {
        arrived_.wait(lock, [this] { return closed_ || !queue_.empty(); });
        if (queue_.empty()) return;
        std::list<entry> next;
        try {
            next.push_back(std::move(queue_.front()));
        } catch (const std::bad_alloc&) {
            drop_first(lock);
            continue;
        }
        queue_.pop_front();
        const auto mine = next.begin();
        running_.splice(running_.end(), next);
        mine->began = clock::now();
        lock.unlock();
        perform(*mine, cut_short);
        mine->work = nullptr;  // what it holds goes before it counts as done
        const std::chrono::nanoseconds lasted = clock::now() - mine->began;
        lock.lock();
        stats_.busy += lasted;
        stats_.longest = std::max(stats_.longest, lasted);
        running_.erase(mine);
        ended_.notify_all();
    }
}

/// There is no memory for it. Whatever waits for it is told when it is gone.
void pool::drop_first(std::unique_lock<std::mutex>& lock) {
    auto lost = std::move(queue_.front());
    queue_.pop_front();
    ++stats_.dropped;
    lock.unlock();
    lines(log_).error("{pool}: job {job} is dropped", options_.name, lost.name);
    lost.work = nullptr;
    lock.lock();
    ended_.notify_all();
}

void pool::perform(entry& entry, std::stop_token cut_short) {
    bool failed = true;
    try {
        entry.work(std::move(cut_short));
        failed = false;
    } catch (const std::exception& error) {
        lines(log_).error("{pool}: job {job} failed: {error}", options_.name, entry.name, error.what());
    } catch (...) {
        lines(log_).error("{pool}: job {job} failed with an unknown exception", options_.name, entry.name);
    }
    const std::scoped_lock lock(mutex_);
    ++(failed ? stats_.failed : stats_.done);
}

pool::stats pool::now() const {
    const std::scoped_lock lock(mutex_);
    auto seen = stats_;
    seen.queued = queue_.size();
    seen.running = running_.size();
    return seen;
}

std::vector<std::string> pool::names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> all;
    for (const auto& job : running_) all.push_back(job.name);
    for (const auto& job : queue_) all.push_back(job.name);
    return all;
}

std::vector<shutdown_report::straggler> pool::stragglers() const {
    const std::scoped_lock lock(mutex_);
    std::vector<shutdown_report::straggler> late;
    for (const auto& job : running_) {
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - job.began);
        late.push_back({job.name, "job", age, "on a worker of " + options_.name});
    }
    return late;
}

}  // namespace lifecycle
