#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lifecycle/workers.hpp"
#include "tests/support/eventually.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/sink.hpp"

namespace fakes {

using lifecycle::clock;

inline constexpr std::chrono::seconds patience{20};  ///< a test that has to wait for this long has failed

/// With more patience, for what runs under sanitizers on a busy machine.
template <class Condition>
bool eventually(const Condition& condition) {
    return support::eventually(condition, std::chrono::seconds(20));
}

inline tracker::event make_event(std::string data, std::string id = tracker::make_id()) {
    tracker::event event;
    event.id = std::move(id);
    event.data = std::move(data);
    return event;
}

/// Keeps what was delivered. `before` runs first, with the number of the try, and may throw or block; what `refuses`
/// is true of is refused, without a word about which event it is.
class recording_sink final : public tracker::sink {
public:
    std::function<void(int)> before;
    std::function<bool(std::span<const tracker::event>)> refuses;

    void deliver(std::span<const tracker::event> batch) override {
        int number = 0;
        {
            const std::scoped_lock lock(mutex_);
            number = ++tries_;
            changed_.notify_all();
        }
        if (before) before(number);
        if (refuses && refuses(batch))
            throw tracker::refused(tracker::refused::about::the_moment_or_them, "not one of these");
        const std::scoped_lock lock(mutex_);
        batches_.emplace_back(batch.begin(), batch.end());
        changed_.notify_all();
    }
    std::string_view name() const noexcept override { return "fake"; }

    int tries() const {
        const std::scoped_lock lock(mutex_);
        return tries_;
    }
    std::vector<std::vector<tracker::event>> batches() const {
        const std::scoped_lock lock(mutex_);
        return batches_;
    }
    std::vector<std::string> data() const {
        std::vector<std::string> all;
        for (const auto& batch : batches())
            for (const auto& event : batch) all.push_back(event.data);
        return all;
    }
    bool wait_for_tries(int number) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return tries_ >= number; });
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    int tries_ = 0;
    std::vector<std::vector<tracker::event>> batches_;
};

/// An event loop on a thread of its own, as the server has them.
class loop {
public:
    explicit loop(lifecycle::workers& workers)
        : work_(context_.get_executor()),
          thread_(workers.start("loop", "loop", [this](std::stop_token) { context_.run(); })) {}
    ~loop() { work_.reset(); }  // the thread is joined when nothing is left to do

    boost::asio::io_context& context() { return context_; }

    template <class T>
    std::future<T> spawn(lifecycle::awaitable<T> work) {
        auto promise = std::make_shared<std::promise<T>>();
        boost::asio::co_spawn(context_, std::move(work), [promise](std::exception_ptr error, T result) {
            if (error)
                promise->set_exception(error);
            else
                promise->set_value(std::move(result));
        });
        return promise->get_future();
    }

    /// Runs `work` on the loop and waits for it.
    void run_here(std::function<void()> work) {
        std::promise<void> done;
        boost::asio::post(context_, [&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

private:
    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    std::jthread thread_;
};

/// A log that a test can read.
struct log_book {
    std::ostringstream text;
    spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)};
};

/// A tracker that runs, with everything around it.
struct running_tracker {
    explicit running_tracker(const tracker::options& settings)
        : events(settings, {std::shared_ptr<tracker::sink>(std::shared_ptr<void>(), &sink)}, workers, book.log,
                 [this] { return flush_until.load(); }) {}
    ~running_tracker() { stop(); }

    void start() {
        thread = workers.start("tracker", "part", [this](std::stop_token stop) { events.run(std::move(stop)); });
    }
    void stop() {
        thread.request_stop();
        if (thread.joinable()) thread.join();
    }

    lifecycle::workers workers;
    log_book book;
    recording_sink sink;
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
    tracker::event_tracker events;
    std::jthread thread;
};

/// Settings without a spool that never wait for age and retry at once.
inline tracker::options prompt() {
    tracker::options options;
    options.durability = tracker::durability::memory;
    options.batch_age = {};
    options.retry_initial = {};
    options.retry_max = std::chrono::milliseconds(1);
    return options;
}

}  // namespace fakes
