// The law under random schedules: whatever producers, sinks and stops do, every accepted event is in
// exactly one column, and what was refused was never delivered.

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <stdexcept>

#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using tracker::verdict;

constexpr int loops = 2;
constexpr int producers = 6;
constexpr int events_each = 40;

struct tally {
    std::set<std::string> accepted, refused;

    void merge_from(tally other) {
        accepted.merge(other.accepted);
        refused.merge(other.refused);
    }
};

lifecycle::awaitable<tally> produce(tracker::event_tracker& events, std::uint32_t seed) {
    std::minstd_rand random(seed);
    tally result;
    lifecycle::cancel_scope scope;
    for (int i = 0; i < events_each; ++i) {
        const auto id = std::to_string(seed) + "-" + std::to_string(i);
        auto event = fakes::make_event(std::string(random() % 30, 'x'), id);
        verdict answer = verdict::full;
        if (random() % 4 == 0) {
            answer = events.try_record(std::move(event));
        } else {
            lifecycle::context context = scope.get();
            if (random() % 3 == 0) context = context.with_deadline(clock::now() + 1us * (random() % 400));
            auto recording = events.record(context, std::move(event));
            answer = co_await std::move(recording);
        }
        (answer == verdict::accepted ? result.accepted : result.refused).insert(id);
    }
    co_return result;
}

tracker::options random_options(std::minstd_rand& random) {
    auto options = fakes::prompt();
    options.queue_capacity = 1 + random() % 20;
    options.queue_bytes = 20 + random() % 400;
    options.overflow = static_cast<tracker::overflow>(random() % 3);
    options.workers = 1 + random() % 3;
    options.batch_events = 1 + random() % 10;
    options.batch_bytes = 1 + random() % 200;
    options.batch_age = std::chrono::milliseconds(random() % 2);
    return options;
}

void one_round(std::uint32_t seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    fakes::running_tracker running(random_options(random));
    const auto fails_in_ten = random() % 10;
    const auto stop_after = random() % (producers * events_each);
    const bool has_deadline = random() % 2 == 0;
    std::minstd_rand sink_random(seed + 1);
    running.sink.before = [&](int) {
        if (sink_random() % 10 < fails_in_ten) throw std::runtime_error("now and then");
    };

    std::vector<std::unique_ptr<fakes::loop>> all;
    all.reserve(loops);
    for (int i = 0; i < loops; ++i) all.push_back(std::make_unique<fakes::loop>(running.workers));
    std::vector<std::future<tally>> tallies;
    tallies.reserve(producers);
    running.start();
    for (std::uint32_t i = 0; i < producers; ++i)
        tallies.push_back(all[i % loops]->spawn(produce(running.events, seed * 1000 + i)));

    ASSERT_TRUE(fakes::eventually([&] {
        const auto account = running.events.account();
        return account.accepted + account.refused >= stop_after;
    }));
    if (has_deadline) running.flush_until = clock::now() + 1ms * (random() % 3);
    EXPECT_TRUE(running.events.account().balanced());
    running.stop();

    tally offered;
    for (auto& future : tallies) offered.merge_from(future.get());
    const auto account = running.events.account();
    EXPECT_TRUE(account.balanced());
    EXPECT_EQ(account.queued, 0U);
    EXPECT_EQ(account.accepted, offered.accepted.size());
    EXPECT_EQ(account.refused, offered.refused.size());
    EXPECT_EQ(running.events.waiting(), 0U);

    std::set<std::string> delivered;
    for (const auto& batch : running.sink.batches())
        for (const auto& event : batch) EXPECT_TRUE(delivered.insert(event.id).second) << event.id;
    EXPECT_EQ(account.delivered, delivered.size());
    for (const auto& id : delivered) EXPECT_TRUE(offered.accepted.contains(id)) << id;
    if (!has_deadline) {
        EXPECT_FALSE(account.dropped.contains("deadline"));
    }
}

TEST(Account, KeepsTheLawUnderRandomSchedules) {
    for (std::uint32_t seed = 1; seed <= 60; ++seed) one_round(seed);
}

TEST(Account, KnowsWhenItDoesNotBalance) {
    tracker::account account;
    account.accepted = 3;
    account.recovered = 2;
    account.delivered = 1;
    account.spooled = 1;
    account.dropped["overflow"] = 1;
    account.dropped["deadline"] = 1;
    EXPECT_FALSE(account.balanced());
    account.queued = 1;
    EXPECT_TRUE(account.balanced());
    account.refused = 9;  // never accepted
    EXPECT_TRUE(account.balanced());
}

}  // namespace
