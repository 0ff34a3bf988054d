// More than one sink at a time: each at its own pace, one account.

#include <gtest/gtest.h>

#include <latch>
#include <random>
#include <stdexcept>

#include "tests/tracker/spool_fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::eventually;
using fakes::make_event;
using fakes::some_events;
using tracker::outcome;
using tracker::spool;
using tracker::verdict;
using strings = std::vector<std::string>;

struct SeveralSinks : testing::Test, fakes::spool_place {
    SeveralSinks() {
        options.sinks = {"fast", "slow"};
        options.retry_initial = options.retry_max = 1ms;
    }
    std::unique_ptr<spool> open() { return std::make_unique<spool>(options, book.log); }
    strings deliver(spool& from, std::size_t sink, std::size_t events) const {
        strings data;
        tracker::batch batch(options);
        while (data.size() < events && from.of_sink(sink).take(batch)) {
            for (const auto& event : batch.events) data.push_back(event.data);
            from.of_sink(sink).settle(batch, outcome::delivered);
        }
        return data;
    }
};

/// A tracker with two sinks, which runs.
struct two_sinks {
    explicit two_sinks(const tracker::options& options)
        : events(options, {unowned(fast), unowned(slow)}, workers, book.log, [this] { return flush_until.load(); }),
          thread(workers.start("tracker", "part", [this](std::stop_token stop) { events.run(std::move(stop)); })) {}
    ~two_sinks() { stop(); }
    void stop() {
        thread.request_stop();
        if (thread.joinable()) thread.join();
    }
    static std::shared_ptr<tracker::sink> unowned(tracker::sink& sink) { return {std::shared_ptr<void>(), &sink}; }

    lifecycle::workers workers;
    fakes::log_book book;
    fakes::recording_sink fast, slow;
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
    tracker::event_tracker events;
    std::jthread thread;
};

TEST_F(SeveralSinks, EachGetsEveryEventAndAllCountOnce) {
    two_sinks running(options);
    for (const auto* data : {"a", "b", "c"}) ASSERT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 3; }));
    running.stop();
    EXPECT_EQ(running.fast.data(), (strings{"a", "b", "c"}));
    EXPECT_EQ(running.slow.data(), (strings{"a", "b", "c"}));
    EXPECT_EQ(running.events.account().accepted, 3U);
    EXPECT_TRUE(running.events.account().balanced());
}

TEST_F(SeveralSinks, ASlowOneNeverStopsAnother) {
    options.batch_events = 1;
    two_sinks running(options);
    std::latch go_on(1);
    running.slow.before = [&](int) { go_on.wait(); };
    for (int i = 0; i < 100; ++i) ASSERT_EQ(running.events.try_record(make_event("x")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return running.fast.data().size() == 100; }));
    const auto account = running.events.account();
    EXPECT_EQ(account.delivered, 0U) << "delivered means by all sinks";
    EXPECT_EQ(account.queued, 100U);
    const auto states = running.events.sink_states();
    EXPECT_EQ(states.at(0).waiting, 0U);
    EXPECT_EQ(states.at(1).waiting, 100U);
    go_on.count_down();
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 100; }));
}

TEST_F(SeveralSinks, OneThatFailsIsNamedAndTheOtherIsWell) {
    two_sinks running(options);
    running.slow.before = [](int) { throw std::runtime_error("away"); };
    ASSERT_EQ(running.events.try_record(make_event("a")), verdict::accepted);
    EXPECT_TRUE(eventually([&] { return !running.events.healthy() && running.fast.data().size() == 1; }));
    EXPECT_TRUE(running.events.sink_states().at(0).healthy);
    EXPECT_FALSE(running.events.sink_states().at(1).healthy);
    running.flush_until = clock::now();
    running.stop();
    EXPECT_EQ(running.events.account().spooled, 1U);
    EXPECT_TRUE(running.events.account().balanced());
}

TEST_F(SeveralSinks, TheNextRunDeliversToEachWhatItLacks) {
    {
        const auto first = open();
        ASSERT_EQ(first->append(some_events({"a", "b"})), verdict::accepted);
        EXPECT_EQ(deliver(*first, 0, 2), (strings{"a", "b"}));
        EXPECT_EQ(first->account().delivered, 0U);
        ASSERT_EQ(first->append(some_events({"c"})), verdict::accepted);
    }
    const auto next = open();
    EXPECT_EQ(deliver(*next, 0, 1), strings{"c"});
    EXPECT_EQ(next->account().recovered, 3U);
    EXPECT_EQ(next->account().delivered, 0U);
    EXPECT_EQ(deliver(*next, 1, 3), (strings{"a", "b", "c"}));
    EXPECT_EQ(next->account().delivered, 3U);
    EXPECT_TRUE(next->account().balanced());
    EXPECT_EQ(tracker::sets_in(spool_directory()).size(), 1U) << "the old set goes when all have it";
}

TEST_F(SeveralSinks, ASegmentGoesWhenTheLastOneHasIt) {
    options.segment_bytes = 4096;
    options.batch_events = 1;
    const auto spool = open();
    for (int i = 0; i < 5; ++i) ASSERT_EQ(spool->append(some_events({std::string(3000, 'x')})), verdict::accepted);
    EXPECT_EQ(deliver(*spool, 0, 5).size(), 5U);
    EXPECT_EQ(segments().size(), 5U);
    EXPECT_EQ(deliver(*spool, 1, 3).size(), 3U);
    EXPECT_EQ(segments().size(), 2U);
    EXPECT_EQ(spool->account().delivered, 3U);
}

TEST_F(SeveralSinks, ANewOneBeginsWhereTheOthersWereAndOneThatWasTakenOutIsNamed) {
    options.batch_events = 1;
    {
        const auto first = open();
        ASSERT_EQ(first->append(some_events({"a", "b", "c"})), verdict::accepted);
        EXPECT_EQ(deliver(*first, 0, 2), (strings{"a", "b"}));
        EXPECT_EQ(deliver(*first, 1, 1), strings{"a"});
    }
    options.sinks = {"fast", "new"};
    const auto next = open();
    EXPECT_EQ(deliver(*next, 0, 1), strings{"c"});
    EXPECT_EQ(deliver(*next, 1, 2), (strings{"b", "c"}));
    EXPECT_EQ(next->account().recovered, 2U);
    EXPECT_EQ(next->account().delivered, 2U);
    EXPECT_NE(log().find("sink slow is not in the settings any more, it does not get the 2 events that it lacks; 2 of "
                         "them go to others now"),
              std::string::npos)
        << log();
    EXPECT_EQ(next->stranded(), 0U);
}

TEST_F(SeveralSinks, WhatOnlyOneLacksThatWasTakenOutIsCounted) {
    options.batch_events = 1;
    {
        const auto first = open();
        ASSERT_EQ(first->append(some_events({"a", "b", "c"})), verdict::accepted);
        EXPECT_EQ(deliver(*first, 0, 2), (strings{"a", "b"}));
    }
    options.sinks = {"fast"};
    const auto next = open();
    EXPECT_EQ(deliver(*next, 0, 1), strings{"c"});
    EXPECT_EQ(next->stranded(), 2U);
    EXPECT_NE(log().find("the 3 events that it lacks; 1 of them go to others now"), std::string::npos) << log();
}

TEST_F(SeveralSinks, WhatOneWillNeverTakeIsADeadLetterOnceAllAreDoneWithIt) {
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"a", "poison", "c"})), verdict::accepted);
    for (const std::size_t sink : {0U, 1U}) {
        tracker::batch batch(options);
        ASSERT_TRUE(spool->of_sink(sink).take(batch));
        spool->of_sink(sink).bury(batch, 1);  // both refuse it
        EXPECT_EQ(batch.events.size(), 2U);
        spool->of_sink(sink).settle(batch, outcome::delivered);
    }
    EXPECT_EQ(spool->account().dropped.at("dead_letter"), 1U);
    EXPECT_EQ(spool->account().delivered, 2U);
    EXPECT_TRUE(spool->account().balanced());
}

TEST_F(SeveralSinks, AFullSpoolNeverDropsWhatAnyOfThemHasInHand) {
    options.spool_bytes = 20'000;
    options.batch_events = 1;
    options.overflow = tracker::overflow::drop_oldest;
    const auto spool = open();
    ASSERT_EQ(spool->append(some_events({"first"})), verdict::accepted);
    EXPECT_EQ(deliver(*spool, 0, 1), strings{"first"});
    tracker::batch batch(options);
    ASSERT_TRUE(spool->of_sink(1).take(batch));
    for (int i = 0; i < 100; ++i) ASSERT_EQ(spool->append(some_events({std::string(1000, 'x')})), verdict::accepted);
    spool->of_sink(1).settle(batch, outcome::delivered);
    EXPECT_EQ(spool->account().delivered, 1U);
    EXPECT_TRUE(spool->account().balanced());
}

/// Random runs: the law holds whenever one looks, and in the end both have all that was accepted.
TEST_F(SeveralSinks, TheLawHoldsAtEveryMoment) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        std::minstd_rand random(seed);
        std::filesystem::remove_all(options.directory);
        options.batch_events = 1 + random() % 8;
        options.segment_bytes = 4096 * (1 + random() % 4);
        std::set<std::string> accepted;
        std::array<std::set<std::string>, 2> got;
        const auto step = [&](spool& on, std::size_t sink) {
            tracker::batch batch(options);
            if (on.of_sink(sink).queued() == 0 || !on.of_sink(sink).take(batch)) return;
            if (random() % 5 == 0) {
                got[sink].insert(batch.events[0].data);  // a letter that is dead has arrived too
                on.of_sink(sink).bury(batch, 0);
            }
            for (const auto& event : batch.events) got[sink].insert(event.data);
            on.of_sink(sink).settle(batch, outcome::delivered);
        };
        for (int run = 0; run < 5; ++run) {
            const auto spool = open();
            for (auto steps = random() % 80; steps > 0; --steps) {
                if (random() % 2 == 0) {
                    const auto data = std::to_string(accepted.size()) + std::string(random() % 900, 'x');
                    ASSERT_EQ(spool->append(some_events({data})), verdict::accepted);
                    accepted.insert(data);
                }
                step(*spool, random() % 3 == 0 ? 1 : 0);
                ASSERT_TRUE(spool->account().balanced());
            }
        }
        const auto last = open();
        ASSERT_EQ(last->append(some_events({"last"})), verdict::accepted);
        accepted.insert("last");
        for (std::size_t i = 0; i < 10'000 && last->account().queued > 0; ++i) step(*last, i % 2);
        EXPECT_EQ(last->account().queued, 0U);
        EXPECT_TRUE(last->account().balanced());
        EXPECT_EQ(got[0], accepted);
        EXPECT_EQ(got[1], accepted);
    }
}

}  // namespace
