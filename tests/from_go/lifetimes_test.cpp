// What stops what, and what sees what. The marked regions are the code blocks of docs/from-go.md.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lifecycle/context.hpp"
#include "tests/support/process.hpp"

namespace from_go {
namespace {

using namespace std::chrono_literals;
using lifecycle::context;

// [lifetime]
/// A thread has an owner, which knows how it ends: it is asked to, and joined when the owner goes.
class heartbeat {
public:
    explicit heartbeat(std::function<void()> beat)
        : thread_([beat = std::move(beat)](const std::stop_token& stop) {
              while (!stop.stop_requested()) beat();
          }) {}

private:
    std::jthread thread_;  // the last member: it uses the others, so it is the first to go
};
// [/lifetime]

TEST(FromGo, AThreadEndsWithItsOwner) {
    const auto beats = std::make_shared<std::atomic<int>>(0);
    {
        std::promise<void> first;
        const heartbeat heart([beats, &first] {
            if (++*beats == 1) first.set_value();
        });
        first.get_future().wait();
    }
    EXPECT_EQ(beats.use_count(), 1) << "nobody is left who could beat";
}

// [leave it to the caller]
/// Calls `visit` for each file until it says false. No thread, no channel: a caller that wants either makes it.
void list_directory(const std::filesystem::path& path, const std::function<bool(const std::string&)>& visit) {
    for (const auto& entry : std::filesystem::directory_iterator(path))
        if (!visit(entry.path().filename().string())) return;
}
// [/leave it to the caller]

TEST(FromGo, ACallerWhoHasSeenEnoughLeavesNothingRunning) {
    const support::temporary_directory directory;
    for (const char* name : {"a", "b", "c"}) std::ofstream(directory.path() / name) << 'x';
    std::vector<std::string> seen;
    list_directory(directory.path(), [&](const std::string& name) {
        seen.push_back(name);
        return seen.size() < 2;
    });
    EXPECT_EQ(seen.size(), 2U);
}

TEST(FromGo, WhatWasWrittenBeforeAReleaseIsSeenBehindTheAcquire) {
    // [happens before]
    std::string message;
    std::atomic<bool> ready{false};
    const std::jthread writer([&] {
        message = "whole";
        ready.store(true, std::memory_order_release);
        ready.notify_one();
    });
    ready.wait(false, std::memory_order_acquire);
    EXPECT_EQ(message, "whole");
    // [/happens before]
}

// [data race]
/// Counts what several threads do: one addition that nothing can come between.
class counter {
public:
    void add() { count_.fetch_add(1, std::memory_order_relaxed); }
    int count() const { return count_.load(std::memory_order_relaxed); }

private:
    std::atomic<int> count_{0};  // an int would be a data race, and `count_ = count_ + 1` two operations
};
// [/data race]

TEST(FromGo, NoAdditionIsLost) {
    counter hits;
    {
        std::vector<std::jthread> threads;
        threads.reserve(4);
        for (int nth = 0; nth < 4; ++nth)
            threads.emplace_back([&] {
                for (int i = 0; i < 10'000; ++i) hits.add();
            });
    }  // joined: what they did happens before what follows
    EXPECT_EQ(hits.count(), 40'000);
}

// [two words]
// Go's interface is two words, and so is a std::shared_ptr. To write one while another thread reads it is a data race:
// the reader may get the pointer of the one and the count of the other.
static_assert(sizeof(std::shared_ptr<int>) == 2 * sizeof(void*));
// [/two words]

// [copy on write]
/// An immutable value that is replaced as a whole. A reader keeps its own, and never waits for the writer of the next.
template <class T>
class snapshot {
public:
    explicit snapshot(T first) : now_(std::make_shared<const T>(std::move(first))) {}

    std::shared_ptr<const T> get() const {
        const std::scoped_lock lock(mutex_);
        return now_;
    }
    void set(T next) {
        auto fresh = std::make_shared<const T>(std::move(next));
        const std::scoped_lock lock(mutex_);
        now_.swap(fresh);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> now_;
};
// [/copy on write]

TEST(FromGo, AReaderSeesOneSnapshotOrTheOther) {
    snapshot<std::array<int, 16>> settings({});
    const auto before = settings.get();
    const std::jthread writer([&] {
        for (int i = 1; i <= 1'000; ++i) {
            std::array<int, 16> next;
            next.fill(i);
            settings.set(next);
        }
    });
    for (int i = 0; i < 1'000; ++i) {
        const auto now = settings.get();
        ASSERT_EQ(now->front(), now->back());
    }
    EXPECT_EQ(before->front(), 0) << "a holder keeps its own";
}

// [fairness]
/// First come, first served: each thread takes a number, as at a counter.
class ticket_mutex {
public:
    void lock() {
        const auto mine = next_.fetch_add(1, std::memory_order_relaxed);
        for (auto now = serving_.load(); now != mine; now = serving_.load()) serving_.wait(now);
    }
    void unlock() {
        serving_.fetch_add(1);
        serving_.notify_all();
    }
    unsigned taken() const { return next_.load(); }

private:
    std::atomic<unsigned> next_{0}, serving_{0};
};
// [/fairness]

TEST(FromGo, ATicketMutexServesInTheOrderOfArrival) {
    ticket_mutex counter;
    std::vector<int> served;
    counter.lock();
    std::vector<std::jthread> waiting;
    for (int nth = 0; nth < 5; ++nth) {
        waiting.emplace_back([&, nth] {
            const std::scoped_lock lock(counter);
            served.push_back(nth);
        });
        const auto arrived = static_cast<unsigned>(nth) + 2;
        const auto until = lifecycle::clock::now() + 20s;
        while (counter.taken() != arrived && lifecycle::clock::now() < until) std::this_thread::yield();
    }
    counter.unlock();
    waiting.clear();
    EXPECT_EQ(served, (std::vector{0, 1, 2, 3, 4}));
}

// [pool]
/// As many as are used at once, and no more than `most` that are unused. Of one thread, so it needs no lock.
template <class T>
class pool {
public:
    explicit pool(std::size_t most) : most_(most) {}

    std::unique_ptr<T> lend() {
        if (free_.empty()) return std::make_unique<T>();
        auto taken = std::move(free_.back());
        free_.pop_back();
        return taken;
    }
    void give_back(std::unique_ptr<T> given) {
        if (free_.size() < most_) free_.push_back(std::move(given));
    }
    std::size_t free() const { return free_.size(); }

private:
    std::size_t most_;
    std::vector<std::unique_ptr<T>> free_;
};
// [/pool]

TEST(FromGo, APoolKeepsNoMoreThanItsLimit) {
    pool<std::string> buffers(1);
    auto first = buffers.lend();
    auto second = buffers.lend();
    auto* const kept = first.get();
    buffers.give_back(std::move(first));
    buffers.give_back(std::move(second));
    EXPECT_EQ(buffers.free(), 1U);
    EXPECT_EQ(buffers.lend().get(), kept);
}

TEST(FromGo, AChildContextIsOnlyEverStricter) {
    // [context]
    lifecycle::cancel_scope request({}, lifecycle::clock::now() + 1h);
    const context child = request.get().with_deadline(lifecycle::clock::now() + 2h).with(std::string("trace 7"));
    EXPECT_EQ(child.deadline(), request.get().deadline());  // two hours would be more than its parent has
    EXPECT_EQ(*child.find<std::string>(), "trace 7");
    request.cancel(lifecycle::cause::client_gone);
    EXPECT_EQ(child.why(), lifecycle::cause::client_gone);
    // [/context]
}

// [incomplete work]
/// Work that outlives the request that began it belongs to an owner that waits for it, as long as a deadline allows.
class background {
public:
    void start(std::function<void()> work) { running_.push_back(std::async(std::launch::async, std::move(work))); }
    /// How many have not ended by then.
    std::size_t shutdown(lifecycle::clock::time_point deadline) {
        const auto home = [&](auto& each) { return each.wait_until(deadline) == std::future_status::ready; };
        std::erase_if(running_, home);
        return running_.size();
    }

private:
    std::vector<std::future<void>> running_;
};
// [/incomplete work]

TEST(FromGo, AShutdownWaitsForWhatWasBegunAndCountsWhatIsLate) {
    std::promise<void> gate;
    background work;
    std::atomic<int> done{0};
    work.start([&] { ++done; });
    work.start([&, open = gate.get_future().share()] {
        open.wait();
        ++done;
    });
    EXPECT_EQ(work.shutdown(lifecycle::clock::now() + 50ms), 1U);
    gate.set_value();
    EXPECT_EQ(work.shutdown(lifecycle::clock::now() + 20s), 0U);
    EXPECT_EQ(done, 2);
}

}  // namespace
}  // namespace from_go
