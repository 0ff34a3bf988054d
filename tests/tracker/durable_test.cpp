// The tracker with a spool: the law across runs, and what a crash leaves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>

#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::make_event;
using fakes::running_tracker;
using tracker::verdict;
using ids = std::set<std::string>;

/// What producers were told, as it happens.
struct ledger {
    void add(std::string id, verdict answer) {
        const std::scoped_lock lock(mutex);
        (answer == verdict::accepted ? accepted : refused).insert(std::move(id));
    }
    std::size_t count() const {
        const std::scoped_lock lock(mutex);
        return accepted.size();
    }
    ids accepted_now() const {
        const std::scoped_lock lock(mutex);
        return accepted;
    }
    mutable std::mutex mutex;
    ids accepted, refused;
};

lifecycle::awaitable<int> produce(tracker::event_tracker& events, std::string name, int count, ledger& told) {
    std::minstd_rand random(static_cast<std::uint32_t>(std::hash<std::string>()(name)));
    for (int i = 0; i < count; ++i) {
        const auto id = name + "-" + std::to_string(i);
        auto recording = events.record({}, make_event(std::string(random() % 300, 'x'), id));
        const auto answer = co_await std::move(recording);
        told.add(id, answer);
    }
    co_return count;
}

ids delivered_to(const fakes::recording_sink& sink) {
    ids all;
    for (const auto& batch : sink.batches())
        for (const auto& event : batch) all.insert(event.id);
    return all;
}

tracker::options random_options(std::minstd_rand& random, const std::string& directory) {
    auto options = fakes::prompt();
    options.durability = random() % 3 == 0 ? tracker::durability::disk : tracker::durability::process;
    options.directory = directory;
    options.queue_capacity = 1 + random() % 20;
    options.batch_events = 1 + random() % 20;
    options.spool_bytes = std::size_t{1} << 20U;
    options.segment_bytes = 32768 * (1 + random() % 4);
    options.replay_rate = random() % 2 == 0 ? 0 : 5000;
    return options;
}

struct Durable : testing::Test, fakes::spool_place {
    verdict record(running_tracker& running, fakes::loop& loop, tracker::event event) {
        return loop.spawn(running.events.record({}, std::move(event))).get();
    }
    void expect_lawful(const tracker::account& account) {
        EXPECT_TRUE(account.balanced());
        EXPECT_EQ(account.queued, 0U);
    }
};

TEST_F(Durable, WhatTheSinkDoesNotTakeIsSpooledAndTheNextRunDeliversIt) {
    ids ids_of_first;
    {
        running_tracker first(options);
        first.sink.before = [](int) { throw std::runtime_error("away"); };
        first.start();
        fakes::loop loop(first.workers);
        for (int i = 0; i < 3; ++i) {
            auto event = make_event("x");
            ids_of_first.insert(event.id);
            EXPECT_EQ(record(first, loop, std::move(event)), verdict::accepted);
        }
        first.flush_until = clock::now();
        first.stop();
        const auto account = first.events.account();
        EXPECT_EQ(account.spooled, 3U);
        EXPECT_TRUE(account.dropped.empty());
        expect_lawful(account);
    }
    {
        running_tracker second(options);
        second.start();
        EXPECT_TRUE(fakes::eventually([&] { return second.events.account().delivered == 3; }));
        second.stop();
        EXPECT_EQ(second.events.account().recovered, 3U);
        EXPECT_EQ(delivered_to(second.sink), ids_of_first);
        expect_lawful(second.events.account());
    }
    EXPECT_TRUE(std::filesystem::is_empty(spool_directory()));
}

TEST_F(Durable, AnswersOnlyWhatItHasWritten) {
    running_tracker running(options);
    running.sink.before = [](int) { throw std::runtime_error("away"); };
    running.start();
    fakes::loop loop(running.workers);
    auto event = make_event("kept");
    const auto id = event.id;
    ASSERT_EQ(record(running, loop, std::move(event)), verdict::accepted);
    std::string all;
    for (const auto& segment : segments()) all += support::read_file(segment);
    EXPECT_NE(all.find(id + "kept"), std::string::npos);
    running.flush_until = clock::now();
}

TEST_F(Durable, ADirectoryThatCannotBeWrittenRefusesAndHealsByItself) {
    running_tracker running(options);
    running.start();
    fakes::loop loop(running.workers);
    EXPECT_TRUE(fakes::eventually([&] {  // what it removes itself meanwhile is an error here
        std::error_code error;
        std::filesystem::remove_all(options.directory, error);
        return !error;
    }));
    support::write_file(options.directory, "a file in its place");
    EXPECT_EQ(record(running, loop, make_event("a")), verdict::unwritable);
    EXPECT_FALSE(running.events.writable());
    EXPECT_EQ(running.events.try_record(make_event("b")), verdict::unwritable);
    std::filesystem::remove(options.directory);
    EXPECT_TRUE(fakes::eventually([&] { return running.events.writable(); }));  // nobody records
    EXPECT_EQ(record(running, loop, make_event("c")), verdict::accepted);
    running.stop();
    EXPECT_EQ(running.sink.data(), std::vector<std::string>{"c"});
    expect_lawful(running.events.account());
}

TEST_F(Durable, AnEventThatTheSinkNeverTakesBecomesADeadLetterAndTheOthersGoOn) {
    options.batch_events = 3;
    options.batch_age = 50ms;
    running_tracker running(options);
    std::atomic<int> tries = 0;
    running.sink.before = [&](int) {
        if (++tries <= 3) throw tracker::rejected_event(1, "not this one");
    };
    for (const auto* data : {"a", "poison", "c"})
        EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    running.start();
    EXPECT_TRUE(fakes::eventually([&] { return running.events.account().delivered == 2; }));
    running.stop();
    EXPECT_EQ(running.sink.data(), (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(running.events.account().dropped.at("dead_letter"), 1U);
    expect_lawful(running.events.account());
    const auto letters = support::read_file(std::filesystem::path(options.directory) / "dead-letter.jsonl");
    EXPECT_NE(letters.find("\"data\":\"poison\""), std::string::npos) << letters;
}

TEST_F(Durable, ADeadLetterThatCannotBeWrittenIsInTheLog) {
    std::filesystem::create_symlink("/dev/full", std::filesystem::path(options.directory) / "dead-letter.jsonl");
    running_tracker running(options);
    running.sink.before = [](int) { throw tracker::rejected_event(0, "not this one"); };
    ASSERT_EQ(running.events.try_record(make_event("poison")), verdict::accepted);
    running.start();
    EXPECT_TRUE(fakes::eventually([&] { return running.events.account().dropped.contains("dead_letter"); }));
    running.stop();
    EXPECT_NE(running.book.text.str().find("dead letter: {\"id\""), std::string::npos) << running.book.text.str();
}

TEST_F(Durable, ABatchIsNeverLargerThanTheSpool) {
    options.spool_bytes = 64 * 1024;
    running_tracker running(options);
    for (int i = 0; i < 100; ++i)
        ASSERT_EQ(running.events.try_record(make_event(std::string(2000, 'x'))), verdict::accepted);
    running.start();
    running.stop();
    const auto account = running.events.account();
    EXPECT_GE(account.delivered, 8U);
    EXPECT_EQ(account.accepted, 100U);
    expect_lawful(account);
}

TEST_F(Durable, ADeadlineTakesAnEventThatHasNotBeenWrittenOut) {
    running_tracker running(options);  // nobody appends yet
    fakes::loop loop(running.workers);
    const auto soon = lifecycle::context().with_deadline(clock::now() + 20ms);
    EXPECT_EQ(loop.spawn(running.events.record(soon, make_event("late"))).get(), verdict::deadline);
    auto waits = loop.spawn(running.events.record({}, make_event("in time")));
    running.start();
    EXPECT_EQ(waits.get(), verdict::accepted);
    running.stop();
    EXPECT_EQ(running.sink.data(), std::vector<std::string>{"in time"});
    EXPECT_EQ(running.events.account().accepted, 1U);
}

/// A run with random producers and a sink that fails at random; in the middle of it the directory is copied,
/// which is what a SIGKILL at that moment would have left.
void one_round(std::uint32_t seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    const support::temporary_directory root;
    const auto image = root.path() / "image";
    ledger told;
    ids before_crash, delivered_before_crash, spooled;
    const auto options = random_options(random, (root.path() / "events").string());
    {
        running_tracker running(options);
        const auto fails_in_ten = random() % 11;
        std::minstd_rand sink_random(seed + 1);
        running.sink.before = [&](int) {
            if (sink_random() % 10 < fails_in_ten) throw std::runtime_error("now and then");
        };
        running.start();
        std::vector<std::unique_ptr<fakes::loop>> loops;
        loops.reserve(2);
        std::vector<std::future<int>> producers;
        producers.reserve(8);
        for (int i = 0; i < 2; ++i) loops.push_back(std::make_unique<fakes::loop>(running.workers));
        for (std::size_t i = 0; i < 8; ++i)
            producers.push_back(loops[i % 2]->spawn(produce(running.events, std::to_string(i), 40, told)));
        const auto crash_after = random() % 250;
        ASSERT_TRUE(fakes::eventually([&] { return told.count() >= crash_after; }));
        before_crash = told.accepted_now();
        for (int tries = 0; tries < 50; ++tries) try {  // files come and go meanwhile
                std::filesystem::remove_all(image);
                std::filesystem::copy(options.directory, image, std::filesystem::copy_options::recursive);
                break;
            } catch (const std::filesystem::filesystem_error&) {
                ASSERT_LT(tries, 49);
            }
        delivered_before_crash = delivered_to(running.sink);
        EXPECT_TRUE(running.events.account().balanced());
        if (random() % 2 == 0)
            for (auto& producer : producers) producer.wait();
        running.flush_until = clock::now() + 1ms * (random() % 20);
        running.stop();
        for (auto& producer : producers) producer.wait();
        const auto account = running.events.account();
        EXPECT_TRUE(account.balanced());
        EXPECT_EQ(account.queued, 0U);
        EXPECT_EQ(account.accepted, told.accepted.size());
        EXPECT_TRUE(account.dropped.empty());
        const auto delivered = delivered_to(running.sink);
        EXPECT_EQ(account.delivered, delivered.size());
        std::ranges::set_difference(told.accepted, delivered, std::inserter(spooled, spooled.end()));
        EXPECT_EQ(account.spooled, spooled.size());
    }
    const auto rest_of = [&](const std::string& directory) {
        auto again = options;
        again.directory = directory;
        again.replay_rate = 0;
        running_tracker running(again);
        running.start();
        EXPECT_TRUE(fakes::eventually(
            [&] { return tracker::sets_in(std::filesystem::path(directory) / "spool").size() <= 1; }));
        running.stop();
        const auto account = running.events.account();
        EXPECT_TRUE(account.balanced());
        EXPECT_EQ(account.recovered, account.delivered);
        return delivered_to(running.sink);
    };
    EXPECT_EQ(rest_of(options.directory), spooled);
    auto after_crash = rest_of(image.string());
    for (const auto& id : before_crash)
        EXPECT_TRUE(after_crash.contains(id) || delivered_before_crash.contains(id)) << id;
}

TEST(DurableLaw, HoldsForRandomSchedulesOfProducersFailuresStopsAndCrashes) {
    for (std::uint32_t seed = 1; seed <= 25; ++seed) one_round(seed);
}

}  // namespace
