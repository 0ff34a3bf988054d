// Channels and what is built of them. The marked regions are the code blocks of docs/from-go.md.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/from_go/channel.hpp"

namespace from_go {
namespace {

using namespace std::chrono_literals;
using lifecycle::cancel_scope;
using lifecycle::context;

TEST(FromGo, ASendToAFullChannelEndsWithItsContext) {
    channel<int> full(1);
    EXPECT_TRUE(full.send({}, 1));
    const cancel_scope soon({}, lifecycle::clock::now() + 5ms);
    EXPECT_FALSE(full.send(soon.get(), 2)) << "by its deadline";
    cancel_scope cancelled;
    cancelled.cancel(lifecycle::cause::cancelled);
    EXPECT_FALSE(full.send(cancelled.get(), 2)) << "by its cancellation";
    EXPECT_EQ(full.receive(), 1);
}

TEST(FromGo, WhatWasSentIsReceivedAfterTheClose) {
    channel<int> some(2);
    some.send({}, 1);
    some.send({}, 2);
    some.close();
    EXPECT_EQ(some.receive(), 1);
    EXPECT_EQ(some.receive(), 2);
    EXPECT_EQ(some.receive(), std::nullopt);
}

TEST(FromGo, AnUnbufferedSendIsAPromise) {
    // [unbuffered]
    std::promise<std::string> hand_over;
    auto taken = hand_over.get_future();
    const std::jthread sender([&] { hand_over.set_value("signed"); });
    EXPECT_EQ(taken.get(), "signed");  // happens after set_value, as a receive does after its send
    // [/unbuffered]
}

// [timing out]
/// Waits as long as its context lets it. What works for it has room for the answer, and so is never left hanging.
std::optional<int> ask_in_time(const context& context, std::future<int>& answer) {
    if (answer.wait_until(context.deadline()) == std::future_status::timeout) return std::nullopt;
    return answer.get();
}
// [/timing out]

TEST(FromGo, WhoTimesOutLeavesNobodyHanging) {
    std::promise<int> late;
    auto answer = late.get_future();
    const cancel_scope soon({}, lifecycle::clock::now() + 5ms);
    EXPECT_EQ(ask_in_time(soon.get(), answer), std::nullopt);
    late.set_value(1);  // does not block: the future is its buffer of one
    EXPECT_EQ(ask_in_time({}, answer), 1);
}

// [moving on]
/// The first answer wins, and the others are asked to stop. All have ended when it returns; nothing: no answer came.
template <class Ask>
std::optional<int> first_of(std::size_t replicas, Ask ask) {
    std::stop_source others;
    std::once_flag once;
    std::optional<int> first;
    {
        std::vector<std::jthread> asked;
        asked.reserve(replicas);
        for (std::size_t nth = 0; nth < replicas; ++nth)
            asked.emplace_back([&, nth] {
                const std::optional<int> value = ask(nth, others.get_token());
                if (!value) return;
                std::call_once(once, [&] { first = value; });
                others.request_stop();
            });
    }  // joined
    return first;
}
// [/moving on]

TEST(FromGo, TheFirstAnswerWinsAndTheOthersStop) {
    std::atomic<int> stopped{0};
    const auto winner = first_of(4, [&](std::size_t nth, const std::stop_token& token) -> std::optional<int> {
        if (nth == 2) return 7;
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any never;
        never.wait(lock, token, [] { return false; });
        ++stopped;
        return std::nullopt;
    });
    EXPECT_EQ(winner, 7);
    EXPECT_EQ(stopped, 3);
    EXPECT_EQ(first_of(2, [](std::size_t, const std::stop_token&) -> std::optional<int> { return std::nullopt; }),
              std::nullopt);
}

// [pipeline]
/// A stage owns what it sends on, and closes it when there is no more: so the end of the first ends them all.
void square(const context& context, channel<int>& in, channel<int>& out) {
    while (const auto value = in.receive())
        if (!out.send(context, *value * *value)) break;  // nobody waits for the rest
    out.close();
}
// [/pipeline]

TEST(FromGo, APipelineEndsFromItsFront) {
    channel<int> numbers(2);
    channel<int> squares(2);
    const std::jthread first([&] {
        for (int i = 1; i <= 10; ++i) numbers.send({}, i);
        numbers.close();
    });
    const std::jthread second([&] { square({}, numbers, squares); });
    int sum = 0;
    while (const auto value = squares.receive()) sum += *value;
    EXPECT_EQ(sum, 385);
}

// [fan out]
/// Several take from one channel and send to another. The last to end closes it: no sender may close under another.
template <class Work>
std::vector<std::jthread> fan_out(std::size_t workers, channel<int>& in, channel<int>& out, Work work) {
    const auto left = std::make_shared<std::atomic<std::size_t>>(workers);
    std::vector<std::jthread> threads;
    threads.reserve(workers);
    for (std::size_t nth = 0; nth < workers; ++nth)
        threads.emplace_back([&in, &out, left, work] {
            while (const auto value = in.receive()) out.send({}, work(*value));
            if (--*left == 0) out.close();
        });
    return threads;
}
// [/fan out]

TEST(FromGo, WhatIsFannedOutComesTogetherAgain) {
    channel<int> in(4);
    channel<int> out(1);
    const auto workers = fan_out(3, in, out, [](int value) { return value + 1; });
    const std::jthread sender([&] {
        for (int i = 0; i < 100; ++i) in.send({}, i);
        in.close();
    });
    int sum = 0;
    while (const auto value = out.receive()) sum += *value;
    EXPECT_EQ(sum, 5050);
}

TEST(FromGo, AWaitEndsWhenItIsAskedToStop) {
    // [cancellation]
    std::mutex mutex;
    std::condition_variable_any arrived;
    bool work = false;
    std::jthread worker([&](const std::stop_token& stop) {
        std::unique_lock lock(mutex);
        while (arrived.wait(lock, stop, [&] { return work; })) work = false;  // false: asked to stop
    });
    worker.request_stop();  // wakes the wait; nothing has to be polled
    worker.join();
    // [/cancellation]
    EXPECT_FALSE(work);
}

}  // namespace
}  // namespace from_go
