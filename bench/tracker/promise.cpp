// What a promise costs, against the least that could make the same one: docs/tracker.md, "Speed". Each line is
//   NAME SECONDS EVENTS CPU_SECONDS
// of events of 200 bytes, from the first offer until the last answer. By bench/tracker/run.
#include <fcntl.h>
#include <spdlog/logger.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <concurrentqueue/concurrentqueue.h>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lifecycle/workers.hpp"
#include "tracker/event_tracker.hpp"
#include "tracker/spool/record.hpp"

namespace {

using lifecycle::clock;

constexpr std::size_t bytes_each = 200;
const std::string body(bytes_each, 'x');

tracker::event make_event() { return {.id = tracker::make_id(), .data = body}; }

std::filesystem::path& folder() {
    static std::filesystem::path place;
    return place;
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// This many threads, each with its part of the events.
template <class Work>
void each(std::size_t producers, std::size_t events, Work work) {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < producers; ++i)
        threads.emplace_back([&work, n = events / producers] {
            for (std::size_t k = 0; k < n; ++k) work();
        });
}

// --- ours: producers are coroutines on two loops, as handlers are

lifecycle::awaitable<> record_all(tracker::event_tracker& to, std::size_t events) {
    for (std::size_t i = 0; i < events; ++i) {
        auto recording = to.record({}, make_event());
        const auto answer = co_await std::move(recording);
        if (answer != tracker::verdict::accepted) throw std::runtime_error("not accepted");
    }
}

void ours(tracker::durability durability, std::size_t producers, std::size_t events) {
    tracker::options options;
    options.durability = durability;
    options.directory = folder() / "ours";
    options.sinks = {"none"};
    spdlog::logger log("silent");
    lifecycle::workers threads;
    const auto never = [] { return clock::time_point::max(); };
    tracker::event_tracker tracker(options, tracker::make_sinks(options, log, never), threads, log, never);
    std::jthread run([&](std::stop_token stop) { tracker.run(std::move(stop)); });
    constexpr std::size_t loops = 2;
    std::vector<std::jthread> all;
    for (std::size_t loop = 0; loop < loops; ++loop)
        all.emplace_back([&] {
            boost::asio::io_context context(1);
            for (std::size_t i = 0; i < producers / loops; ++i)
                boost::asio::co_spawn(context, record_all(tracker, events / producers), [](std::exception_ptr error) {
                    if (error) std::rethrow_exception(error);
                });
            context.run();
        });
}

// --- bare loops

int open_file(const char* name) {
    const int file = ::open((folder() / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
    if (file < 0) throw std::runtime_error("open");
    return file;
}

/// One thread, one write(2) an event.
void write_loop(std::size_t, std::size_t events) {
    const int file = open_file("write_loop");
    const auto key = tracker::segment_key::random();
    std::string record;
    for (std::size_t i = 0; i < events; ++i) {
        record.clear();
        tracker::append_record(record, key, 0, i + 1, make_event());
        if (::write(file, record.data(), record.size()) < 0) throw std::runtime_error("write");
    }
    ::close(file);
}

/// A writer that waits has its bytes in the next batch; one thread writes it, may sync it, and wakes them all.
class group_commit {
public:
    explicit group_commit(std::function<void(std::vector<tracker::event>&)> commit)
        : thread_([this, commit = std::move(commit)](const std::stop_token& stop) { run(stop, commit); }) {}

    void record(tracker::event event) {
        std::unique_lock lock(mutex_);
        waiting_.push_back(std::move(event));
        const auto mine = next_;
        arrived_.notify_one();
        done_.wait(lock, [&] { return committed_ > mine; });
    }

private:
    void run(const std::stop_token& stop, const std::function<void(std::vector<tracker::event>&)>& commit) {
        std::vector<tracker::event> batch;
        std::unique_lock lock(mutex_);
        while (arrived_.wait(lock, stop, [this] { return !waiting_.empty(); })) {
            batch.swap(waiting_);
            ++next_;
            lock.unlock();
            commit(batch);
            batch.clear();
            lock.lock();
            committed_ = next_;
            done_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable_any arrived_;
    std::condition_variable done_;
    std::vector<tracker::event> waiting_;
    std::uint64_t next_ = 0, committed_ = 0;
    std::jthread thread_;
};

void group(bool sync, std::size_t producers, std::size_t events) {
    const int file = open_file("group");
    {
        const auto key = tracker::segment_key::random();
        std::string bytes;
        group_commit all([&](auto& batch) {
            bytes.clear();
            for (const auto& event : batch) tracker::append_record(bytes, key, 0, 1, event);
            if (::write(file, bytes.data(), bytes.size()) < 0 || (sync && ::fdatasync(file) != 0))
                throw std::runtime_error("write");
        });
        each(producers, events, [&] { all.record(make_event()); });
    }
    ::close(file);
}

/// The same promise by SQLite: a transaction a batch. NORMAL survives SIGKILL, FULL a loss of power.
void sqlite(const char* synchronous, std::size_t producers, std::size_t events) {
    sqlite3* base = nullptr;
    const auto path = (folder() / "sqlite.db").string();
    for (const auto* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
    const auto run = [&](const std::string& text) {
        if (sqlite3_exec(base, text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
            throw std::runtime_error(sqlite3_errmsg(base));
    };
    sqlite3_open(path.c_str(), &base);
    run("PRAGMA journal_mode=WAL");
    run(std::string("PRAGMA synchronous=") + synchronous);
    run("CREATE TABLE events(sequence INTEGER PRIMARY KEY, id TEXT, time INTEGER, data TEXT)");
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(base, "INSERT INTO events(id, time, data) VALUES(?, ?, ?)", -1, &insert, nullptr);
    {
        group_commit all([&](auto& batch) {
            run("BEGIN");
            for (const auto& event : batch) {
                sqlite3_bind_text(insert, 1, event.id.data(), static_cast<int>(event.id.size()), SQLITE_STATIC);
                sqlite3_bind_int64(insert, 2, event.time.time_since_epoch().count());
                sqlite3_bind_text(insert, 3, event.data.data(), static_cast<int>(event.data.size()), SQLITE_STATIC);
                if (sqlite3_step(insert) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(base));
                sqlite3_reset(insert);
            }
            run("COMMIT");
        });
        each(producers, events, [&] { all.record(make_event()); });
    }
    sqlite3_finalize(insert);
    sqlite3_close(base);
}

// --- queues, without a promise: one taker, the capacity of the tracker's

constexpr std::size_t capacity = 4096;

/// A deque under a mutex; a producer waits for room with its whole thread.
void mutex_and_deque(std::size_t producers, std::size_t events) {
    std::mutex mutex;
    std::condition_variable arrived, room;
    std::deque<tracker::event> queue;
    std::jthread taker([&] {
        std::vector<tracker::event> batch;
        for (std::size_t taken = 0; taken < events; taken += batch.size()) {
            std::unique_lock lock(mutex);
            arrived.wait(lock, [&] { return !queue.empty(); });
            for (batch.clear(); !queue.empty() && batch.size() < 256; queue.pop_front())
                batch.push_back(std::move(queue.front()));
            lock.unlock();
            room.notify_all();
        }
    });
    each(producers, events, [&] {
        auto event = make_event();
        std::unique_lock lock(mutex);
        room.wait(lock, [&] { return queue.size() < capacity; });
        queue.push_back(std::move(event));
        lock.unlock();
        arrived.notify_one();
    });
}

/// Its bound is a count beside it, and both sides yield when they must wait, as it has no waiting of its own.
void moodycamel_queue(std::size_t producers, std::size_t events) {
    moodycamel::ConcurrentQueue<tracker::event> queue(capacity);
    std::atomic<std::size_t> waiting{0};
    std::jthread taker([&] {
        std::vector<tracker::event> batch(256);
        for (std::size_t taken = 0; taken < events;) {
            const auto got = queue.try_dequeue_bulk(batch.begin(), batch.size());
            if (got == 0) std::this_thread::yield();
            waiting -= got;
            taken += got;
        }
    });
    each(producers, events, [&] {
        while (waiting.load() >= capacity) std::this_thread::yield();
        ++waiting;
        queue.enqueue(make_event());
    });
}

}  // namespace

/// promise FOLDER NAME PRODUCERS EVENTS
int main(int count, char** arguments) try {
    if (count != 5) throw std::runtime_error("promise FOLDER NAME PRODUCERS EVENTS");
    using tracker::durability;
    using namespace std::placeholders;
    const std::map<std::string, std::function<void(std::size_t, std::size_t)>> all{
        {"memory", std::bind_front(ours, durability::memory)},
        {"process", std::bind_front(ours, durability::process)},
        {"disk", std::bind_front(ours, durability::disk)},
        {"write_loop", write_loop},
        {"group_write", std::bind_front(group, false)},
        {"group_sync", std::bind_front(group, true)},
        {"sqlite_normal", std::bind_front(sqlite, "NORMAL")},
        {"sqlite_full", std::bind_front(sqlite, "FULL")},
        {"mutex_deque", mutex_and_deque},
        {"moodycamel", moodycamel_queue},
    };
    folder() = arguments[1];
    const std::string name = arguments[2];
    const std::size_t producers = std::stoul(arguments[3]);
    const std::size_t events = std::stoul(arguments[4]) / producers * producers;
    const auto cpu = cpu_seconds();
    const auto began = clock::now();
    all.at(name)(producers, events);
    const std::chrono::duration<double> lasted = clock::now() - began;
    std::printf("%s %.3f %zu %.3f\n", name.c_str(), lasted.count(), events, cpu_seconds() - cpu);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
