// The tracker as a part: batches, retries, the stop and the account.

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <set>
#include <stdexcept>

#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/backoff.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::eventually;
using fakes::make_event;
using fakes::prompt;
using fakes::running_tracker;
using tracker::verdict;

using strings = std::vector<std::string>;

void fail(int) { throw std::runtime_error("out of order"); }

TEST(EventTracker, DeliversEverythingAcceptedBeforeTheStop) {
    auto options = prompt();
    options.batch_age = 1h;  // only the stop makes them due
    running_tracker running(options);
    running.start();
    for (const auto* data : {"a", "b", "c"}) EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    running.stop();
    EXPECT_EQ(running.sink.data(), (strings{"a", "b", "c"}));
    const auto account = running.events.account();
    EXPECT_EQ(account.accepted, 3U);
    EXPECT_EQ(account.delivered, 3U);
    EXPECT_EQ(account.queued, 0U);
    EXPECT_TRUE(account.balanced());
}

TEST(EventTracker, DeliversWhatWasAcceptedBeforeItRan) {
    running_tracker running(prompt());
    EXPECT_EQ(running.events.try_record(make_event("early")), verdict::accepted);
    running.start();
    running.stop();
    EXPECT_EQ(running.sink.data(), strings{"early"});
}

TEST(EventTracker, AnEventAfterTheStopGetsClosedAndNeverCrashes) {
    running_tracker running(prompt());
    fakes::loop loop(running.workers);
    running.start();
    running.stop();
    EXPECT_EQ(running.events.try_record(make_event("late")), verdict::closed);
    EXPECT_EQ(loop.spawn(running.events.record({}, make_event("late"))).get(), verdict::closed);
    EXPECT_EQ(running.events.account().refused, 2U);
    EXPECT_TRUE(running.sink.data().empty());
}

TEST(EventTracker, StopsWhenItWasAskedToBeforeItRan) {
    running_tracker running(prompt());
    std::stop_source stop;
    stop.request_stop();
    running.events.run(stop.get_token());
    EXPECT_EQ(running.events.try_record(make_event("late")), verdict::closed);
}

TEST(EventTracker, MakesAnIdWhereThereIsNone) {
    running_tracker running(prompt());
    running.start();
    running.events.try_record(make_event("a", ""));
    running.events.try_record(make_event("b", "given"));
    running.stop();
    strings ids;
    for (const auto& batch : running.sink.batches())
        for (const auto& event : batch) ids.push_back(event.id);
    ASSERT_EQ(ids.size(), 2U);
    EXPECT_EQ(ids[0].size(), 26U);
    EXPECT_EQ(ids[1], "given");
}

TEST(EventTracker, RecordWaitsForRoomThatAWorkerMakes) {
    auto options = prompt();
    options.queue_capacity = 1;
    running_tracker running(options);
    std::latch at_sink(1), go_on(1);
    running.sink.before = [&](int number) {
        if (number > 1) return;
        at_sink.count_down();
        go_on.wait();
    };
    fakes::loop loop(running.workers);
    running.start();
    EXPECT_EQ(running.events.try_record(make_event("a")), verdict::accepted);
    at_sink.wait();
    EXPECT_EQ(loop.spawn(running.events.record({}, make_event("b"))).get(), verdict::accepted);
    auto waits = loop.spawn(running.events.record({}, make_event("c")));
    EXPECT_TRUE(eventually([&] { return running.events.waiting() == 1; }));
    EXPECT_EQ(running.events.depth(), 1U);
    go_on.count_down();
    EXPECT_EQ(waits.get(), verdict::accepted);
    running.stop();
    EXPECT_EQ(running.sink.data(), (strings{"a", "b", "c"}));
}

TEST(EventTracker, AContextThatHasEndedGetsDeadlineEvenWhenThereIsRoom) {
    running_tracker running(prompt());
    fakes::loop loop(running.workers);
    const auto ended = lifecycle::context().with_deadline(clock::now());
    EXPECT_EQ(loop.spawn(running.events.record(ended, make_event("a"))).get(), verdict::deadline);
    EXPECT_EQ(running.events.account().accepted, 0U);
    EXPECT_EQ(running.events.account().refused, 1U);
}

TEST(EventTracker, RecordDoesNotWaitUnlessThePolicyIsToBlock) {
    auto options = prompt();
    options.queue_capacity = 1;
    options.overflow = tracker::overflow::reject;
    running_tracker running(options);
    fakes::loop loop(running.workers);
    EXPECT_EQ(loop.spawn(running.events.record({}, make_event("a"))).get(), verdict::accepted);
    EXPECT_EQ(loop.spawn(running.events.record({}, make_event("b"))).get(), verdict::full);
}

TEST(EventTracker, AStopAnswersThoseWhoWaitWithClosed) {
    auto options = prompt();
    options.queue_capacity = 1;
    running_tracker running(options);
    std::latch go_on(1);
    running.sink.before = [&](int) { go_on.wait(); };
    fakes::loop loop(running.workers);
    running.start();
    running.events.try_record(make_event("in hand"));
    EXPECT_TRUE(running.sink.wait_for_tries(1));
    running.events.try_record(make_event("queued"));
    auto waits = loop.spawn(running.events.record({}, make_event("never")));
    EXPECT_TRUE(eventually([&] { return running.events.waiting() == 1; }));
    running.thread.request_stop();
    EXPECT_EQ(waits.get(), verdict::closed);
    go_on.count_down();
    running.stop();
    EXPECT_EQ(running.sink.data(), (strings{"in hand", "queued"}));
}

TEST(EventTracker, TriesTheSameBatchUntilItSucceeds) {
    running_tracker running(prompt());
    running.sink.before = [](int number) {
        if (number <= 3) fail(number);
        if (number == 4) throw 7;  // nor does it mind what is thrown
    };
    running.start();
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(running.sink.wait_for_tries(5));
    running.stop();
    EXPECT_EQ(running.sink.data(), strings{"a"});
    EXPECT_EQ(running.sink.tries(), 5);
    EXPECT_EQ(running.events.account().delivered, 1U);
}

TEST(EventTracker, IsNotHealthyWhileDeliveriesFail) {
    running_tracker running(prompt());
    std::atomic<bool> broken{true};
    running.sink.before = [&](int number) {
        if (broken) fail(number);
    };
    running.start();
    EXPECT_TRUE(running.events.healthy());
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(eventually([&] { return !running.events.healthy(); }));
    broken = false;
    EXPECT_TRUE(eventually([&] { return running.events.healthy(); }));
}

TEST(EventTracker, SaysOnceThatItFailsAndOnceThatItIsWellAgain) {
    running_tracker running(prompt());
    running.sink.before = [](int number) {
        if (number <= 50) fail(number);
    };
    running.start();
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(running.sink.wait_for_tries(51));
    running.stop();
    const auto text = running.book.text.str();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
    EXPECT_NE(text.find("out of order"), text.npos);
    EXPECT_NE(text.find("delivers again after 50 failures"), text.npos);
}

TEST(EventTracker, AllThatASinkRefusesInATryIsBuriedAtOnceAndThePausesBeginAgain) {
    const support::temporary_directory place;
    auto options = prompt();
    options.directory = place.path().string();
    options.retry_max = 24h;  // after ten failures nobody would wait for the next try
    running_tracker running(options);
    running.sink.before = [](int number) {
        if (number <= 3) throw tracker::rejected_event({0, 2, 3}, "not these");
        if (number <= 6) throw tracker::rejected_event(1, "nor this");
    };
    for (const auto* data : {"a", "b", "c", "d", "e", "f"})
        EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    running.start();
    EXPECT_TRUE(eventually([&] { return running.events.account().delivered == 2; }));
    running.stop();
    EXPECT_EQ(running.sink.tries(), 7);
    EXPECT_EQ(running.sink.data(), (strings{"b", "f"}));
    EXPECT_EQ(running.events.account().dropped.at("dead_letter"), 4U);
}

TEST(EventTracker, AnEventThatIsRefusedWhileOthersAreTakenIsNoFailureOfTheSink) {
    const support::temporary_directory place;
    auto options = prompt();
    options.directory = place.path().string();
    running_tracker running(options);
    running.sink.refuses = [](const auto& batch) {
        return std::ranges::any_of(batch, [](const auto& event) { return event.data == "poison"; });
    };
    for (const auto* data : {"a", "b", "poison", "c"})
        EXPECT_EQ(running.events.try_record(make_event(data)), verdict::accepted);
    running.start();
    EXPECT_TRUE(eventually([&] { return running.events.account().queued == 0; }));
    EXPECT_TRUE(running.events.healthy());
    running.stop();
    EXPECT_EQ(running.sink.data(), (strings{"a", "b", "c"}));
    EXPECT_EQ(running.book.text.str().find("fails"), std::string::npos) << running.book.text.str();
}

TEST(EventTracker, AStopCutsThePauseShort) {
    auto options = prompt();
    options.retry_initial = options.retry_max = 24h;
    running_tracker running(options);
    running.sink.before = [](int number) {
        if (number == 1) fail(number);
    };
    running.start();
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(eventually([&] { return !running.events.healthy(); }));
    running.stop();
    EXPECT_EQ(running.sink.data(), strings{"a"});
}

TEST(EventTracker, NothingIsTriedAfterTheFlushDeadline) {
    auto options = prompt();
    options.retry_initial = options.retry_max = 24h;
    options.batch_events = 1;
    running_tracker running(options);
    running.sink.before = fail;
    running.start();
    for (const auto* data : {"a", "b", "c"}) running.events.try_record(make_event(data));
    EXPECT_TRUE(eventually([&] { return !running.events.healthy(); }));
    running.flush_until = clock::now();
    running.stop();
    EXPECT_EQ(running.sink.tries(), 1);
    const auto account = running.events.account();
    EXPECT_EQ(account.dropped.at("deadline"), 3U);
    EXPECT_EQ(account.queued, 0U);
    EXPECT_TRUE(account.balanced());
    EXPECT_NE(running.book.text.str().find("3 events could not be delivered"), std::string::npos);
}

TEST(EventTracker, TriesAgainAfterTheStopUntilTheFlushDeadline) {
    running_tracker running(prompt());
    running.sink.before = fail;
    running.start();
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(running.sink.wait_for_tries(1));
    running.thread.request_stop();
    EXPECT_TRUE(eventually([&] { return running.events.try_record(make_event("x")) == verdict::closed; }));
    EXPECT_TRUE(running.sink.wait_for_tries(running.sink.tries() + 5));
    running.flush_until = clock::now();
    running.stop();
    EXPECT_TRUE(running.events.account().balanced());
    EXPECT_GE(running.events.account().dropped.at("deadline"), 1U);
}

TEST(EventTracker, AFlushDeadlineThatMovesNearerEndsAPause) {
    auto options = prompt();
    options.retry_initial = options.retry_max = 24h;
    running_tracker running(options);
    running.sink.before = fail;
    running.start();
    running.events.try_record(make_event("a"));
    EXPECT_TRUE(running.sink.wait_for_tries(1));
    running.thread.request_stop();
    EXPECT_TRUE(running.sink.wait_for_tries(2));  // the pause that follows is not cut short by the stop
    running.flush_until = clock::now();           // a second signal
    running.stop();
    EXPECT_EQ(running.events.account().dropped.at("deadline"), 1U);
}

TEST(EventTracker, AnswersForWhatABlockedSinkHoldsAtTheFlushDeadline) {
    auto options = prompt();
    options.batch_events = 1;
    running_tracker running(options);
    std::latch go_on(1);
    running.sink.before = [&](int) { go_on.wait(); };
    running.start();
    for (const auto* data : {"in hand", "queued", "queued too"}) running.events.try_record(make_event(data));
    EXPECT_TRUE(running.sink.wait_for_tries(1));
    running.thread.request_stop();
    EXPECT_EQ(running.events.account().queued, 3U);
    EXPECT_TRUE(running.events.account().balanced());

    running.flush_until = clock::now();
    const auto at_deadline = running.events.account();
    EXPECT_EQ(at_deadline.dropped.at("deadline"), 3U);
    EXPECT_EQ(at_deadline.queued, 0U);
    EXPECT_TRUE(at_deadline.balanced());

    go_on.count_down();  // it comes back after all: what it delivered was delivered, the rest is not tried
    running.stop();
    const auto after = running.events.account();
    EXPECT_EQ(after.delivered, 1U);
    EXPECT_EQ(after.dropped.at("deadline"), 2U);
    EXPECT_TRUE(after.balanced());
    EXPECT_EQ(running.sink.data(), strings{"in hand"});
}

TEST(EventTracker, OneWorkerAtATimeIsAtTheSink) {
    auto options = prompt();
    options.workers = 4;
    options.batch_events = 1;
    running_tracker running(options);
    std::atomic<int> inside{0};
    std::atomic<bool> alone{true};
    running.sink.before = [&](int) {
        if (++inside != 1) alone = false;
        std::this_thread::yield();
        --inside;
    };
    running.start();
    for (int i = 0; i < 500; ++i) EXPECT_EQ(running.events.try_record(make_event("x")), verdict::accepted);
    running.stop();
    EXPECT_TRUE(alone);
    EXPECT_EQ(running.events.account().delivered, 500U);
}

TEST(EventTracker, NamesItsWorkersAndJoinsThem) {
    auto options = prompt();
    options.workers = 2;
    running_tracker running(options);
    running.start();
    EXPECT_TRUE(eventually([&] { return running.workers.live() == 3; }));
    strings names;
    for (const auto& worker : running.workers.list()) names.push_back(worker.name);
    EXPECT_EQ(names, (strings{"tracker", "tracker-fake-1", "tracker-fake-2"}));
    running.stop();
    EXPECT_EQ(running.workers.live(), 0U);
}

TEST(Backoff, DoublesItsBoundUpToTheLimitAndJittersBelowIt) {
    tracker::backoff backoff(50ms, 400ms, 1);
    for (const auto bound : {50ms, 100ms, 200ms, 400ms, 400ms, 400ms}) {
        const auto pause = backoff.next();
        EXPECT_GE(pause, 0ms);
        EXPECT_LE(pause, bound);
    }
    backoff.reset();
    EXPECT_LE(backoff.next(), 50ms);
}

TEST(Backoff, UsesTheWholeRange) {
    std::set<std::int64_t> seen;
    for (std::uint32_t seed = 1; seed < 2'000; ++seed)
        seen.insert(tracker::backoff(9ms, 9ms, seed * 7919).next().count());
    EXPECT_EQ(seen.size(), 10U);
}

TEST(Backoff, BearsOddSettings) {
    EXPECT_EQ(tracker::backoff(0ms, 0ms, 1).next(), 0ms);
    EXPECT_LE(tracker::backoff(100ms, 10ms, 1).next(), 10ms);
    tracker::backoff huge(std::chrono::milliseconds::max(), std::chrono::milliseconds::max(), 1);
    for (int i = 0; i < 3; ++i) EXPECT_GE(huge.next(), 0ms);
}

}  // namespace
