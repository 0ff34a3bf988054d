// What the capacity of the tracker's queue is worth: docs/performance.md, "The queue's capacity".
//
// One iteration is a million events from the first offer until the last has been taken, so a
// millisecond of "Time" is a nanosecond an event. "CPU" is that of the whole process, all threads.
#include <benchmark/benchmark.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lifecycle/workers.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/memory_backlog.hpp"

namespace {

using lifecycle::awaitable;
using tracker::verdict;

constexpr std::size_t million = 1'000'000;

tracker::options memory_only(std::size_t capacity) {
    tracker::options options;
    options.queue_capacity = capacity;
    options.durability = tracker::durability::memory;  // the queue is looked at, not the spool
    options.sinks = {"none"};
    return options;
}

/// Runs `work` as handlers run: a coroutine on a loop of one thread, this one.
template <class To>
void run_on_loop(awaitable<> (*work)(To&, std::size_t), To& with, std::size_t events) {
    boost::asio::io_context loop(1);
    auto done = [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    };
    boost::asio::co_spawn(loop, work(with, events), done);
    loop.run();
}

awaitable<> offer_integers(tracker::intake& queue, std::size_t events) {
    for (std::size_t i = 0; i < events; ++i) {
        tracker::event event{{}, {}, std::to_string(i)};
        if (queue.try_push(event) != verdict::full) continue;
        auto room = queue.push({}, std::move(event), std::source_location::current());
        co_await std::move(room);
    }
}

/// The lesson's experiment: one producer, a million integers, five workers, a buffer of range(0).
void lesson(benchmark::State& state) {
    const auto options = memory_only(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        tracker::intake queue(options);
        tracker::memory_backlog backlog(options, queue);
        std::vector<std::jthread> workers(5);
        for (auto& worker : workers) {
            worker = std::jthread([&] {
                for (tracker::batch batch(options); backlog.take(batch);)
                    backlog.settle(batch, tracker::outcome::delivered);
            });
        }
        run_on_loop(offer_integers, queue, million);
        queue.close();
        workers.clear();
        if (backlog.account().delivered != million) state.SkipWithError("events are missing");
    }
}

awaitable<> record_bodies(tracker::event_tracker& tracker, std::size_t events) {
    for (std::size_t i = 0; i < events; ++i) {
        auto recorded = tracker.record({}, {.id = {}, .data = std::to_string(i)});
        co_await std::move(recorded);
    }
}

/// What a handler pays: `record`, the making of an id included, from range(0) loops.
void record(benchmark::State& state) {
    const auto producers = static_cast<std::size_t>(state.range(0));
    const auto options = memory_only(static_cast<std::size_t>(state.range(1)));
    spdlog::logger log("silent");
    const auto no_deadline = [] { return lifecycle::clock::time_point::max(); };
    for (auto _ : state) {
        lifecycle::workers threads;
        tracker::event_tracker events(options, tracker::make_sinks(options, log, no_deadline), threads, log,
                                      no_deadline);
        {
            std::jthread run([&](std::stop_token stop) { events.run(stop); });
            std::vector<std::jthread> loops(producers);
            for (auto& loop : loops)
                loop = std::jthread([&] { run_on_loop(record_bodies, events, million / producers); });
            loops.clear();
        }
        if (events.account().delivered != million) state.SkipWithError("events are missing");
    }
}

/// What one would write first: a deque under a mutex. A producer waits for room with its whole thread,
/// which a loop may not do, and there is no account.
class plain_queue {
public:
    explicit plain_queue(std::size_t capacity) : capacity_(capacity) {}

    void push(tracker::event event) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return events_.size() < capacity_; });
        events_.push_back(std::move(event));
        lock.unlock();
        arrived_.notify_one();
    }

    void take(std::vector<tracker::event>& into, std::size_t at_most) {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [&] { return !events_.empty(); });
        for (into.clear(); !events_.empty() && into.size() < at_most; events_.pop_front())
            into.push_back(std::move(events_.front()));
        lock.unlock();
        room_.notify_all();
    }

private:
    const std::size_t capacity_;
    std::mutex mutex_;
    std::condition_variable arrived_, room_;
    std::deque<tracker::event> events_;
};

void mutex_and_deque(benchmark::State& state) {
    const auto producers = static_cast<std::size_t>(state.range(0));
    const auto capacity = static_cast<std::size_t>(state.range(1));
    const auto at_most = tracker::options{}.batch_events;
    for (auto _ : state) {
        plain_queue queue(capacity);
        std::jthread worker([&] {
            std::vector<tracker::event> batch;
            for (std::size_t taken = 0; taken < million; taken += batch.size()) queue.take(batch, at_most);
        });
        std::vector<std::jthread> threads(producers);
        for (auto& thread : threads) {
            thread = std::jthread([&] {
                for (std::size_t i = 0; i < million / producers; ++i)
                    queue.push({.id = tracker::make_id(), .data = std::to_string(i)});
            });
        }
    }
}

/// What a stop pays for a full queue: range(0) events of 256 bytes into a file. Here a millisecond is one.
void flush_to_file(benchmark::State& state) {
    const auto capacity = static_cast<std::size_t>(state.range(0));
    const auto folder = std::filesystem::temp_directory_path() / ("tracker_queue_bench." + std::to_string(::getpid()));
    auto options = memory_only(capacity);
    options.sinks = {"file"};
    options.directory = folder;
    spdlog::logger log("silent");
    std::stop_source stop;
    stop.request_stop();
    for (auto _ : state) {
        state.PauseTiming();
        std::filesystem::remove_all(folder);
        const auto no_deadline = [] { return lifecycle::clock::time_point::max(); };
        lifecycle::workers threads;
        tracker::event_tracker events(options, tracker::make_sinks(options, log, no_deadline), threads, log,
                                      no_deadline);
        for (std::size_t i = 0; i < capacity; ++i) events.try_record({.id = {}, .data = std::string(256, 'x')});
        state.ResumeTiming();
        events.run(stop.get_token());
        if (events.account().delivered != capacity) state.SkipWithError("events are missing");
    }
    std::filesystem::remove_all(folder);
}

const auto default_capacity = static_cast<int>(tracker::options{}.queue_capacity);

void once(benchmark::internal::Benchmark* run) {
    run->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime()->MeasureProcessCPUTime();
}

BENCHMARK(lesson)->Apply(once)->RangeMultiplier(4)->Range(1, 65'536);
BENCHMARK(record)->Apply(once)->ArgsProduct({{1, 8}, {256, default_capacity}});
BENCHMARK(mutex_and_deque)->Apply(once)->ArgsProduct({{1, 8}, {256, default_capacity}});
BENCHMARK(flush_to_file)->Apply(once)->Arg(256)->Arg(default_capacity)->Arg(65'536);

}  // namespace
