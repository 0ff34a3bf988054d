#include "lifecycle/stop_channel.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "tests/lifecycle/fakes.hpp"
#include "tests/lifecycle/test_clock.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;
using lifecycle::stop_channel;
using lifecycle::stop_phase;

lifecycle::shutdown_options settings(std::chrono::milliseconds lame_duck = 0ms) {
    auto options = fakes::process::brisk();
    options.lame_duck = lame_duck;
    return options;
}

TEST(StopChannel, IsReadyFromReadyOnUntilAStopBegins) {
    stop_channel stop(settings());
    const auto app = stop.add_part("app", lifecycle::serves_clients);
    app.up();
    EXPECT_FALSE(stop.is_ready()) << "there may be more parts to come";
    EXPECT_FALSE(stop.has_been_ready());
    stop.complete();
    EXPECT_TRUE(stop.is_ready());
    stop.request("debug");
    EXPECT_FALSE(stop.is_ready()) << "from the first moment";
    EXPECT_TRUE(stop.stopping());
    EXPECT_TRUE(stop.has_been_ready());
    app.up();
    EXPECT_FALSE(stop.is_ready());
}

TEST(StopChannel, KeepsTheFirstCause) {
    stop_channel stop(settings());
    stop.request("debug");
    stop.request("upgrade");
    stop.signal("SIGTERM");
    EXPECT_EQ(stop.now().cause, "debug");
    EXPECT_FALSE(stop.now().forced);
}

TEST(StopChannel, IsForcedByASignalOnlyWhenItComes250MillisecondsAfterTheFirst) {
    fakes::test_clock time;
    stop_channel stop(settings());
    stop.signal("SIGTERM");
    time.advance(2ms);
    stop.signal("SIGINT");
    EXPECT_FALSE(stop.now().forced);
    time.advance(247ms);
    stop.signal("SIGINT");
    EXPECT_FALSE(stop.now().forced);
    EXPECT_EQ(stop.now().cause, "SIGTERM");
    time.advance(1ms);
    stop.signal("SIGINT");
    EXPECT_TRUE(stop.now().forced);
    EXPECT_EQ(stop.now().left, 800ms);
}

TEST(StopChannel, SeesAFreezeOfAProcessWhoseMainWasAtWork) {
    lifecycle::shutdown_options brief = fakes::process::brisk();
    brief.budget = 2s;
    fakes::process process(brief);
    auto frozen = 0ms;
    process.run("app", [&](const std::stop_token& token) {
        fakes::until_asked(token);
        frozen = process.stop.now().frozen;
    });
    fakes::test_clock time;
    process.lines->on_line = [&](std::string_view line) {  // on main's thread
        if (line.starts_with("stop begun")) time.advance(4s);
    };
    process.stop.request("debug");
    EXPECT_EQ(process.done.wait({}), 0) << "it has answered whom it could";
    EXPECT_EQ(frozen, 3'900ms);
}

TEST(StopChannel, TellsOfAFreezeWhoeverIsTheFirstToAsk) {
    fakes::test_clock time;
    stop_channel stop(settings());
    stop.request("debug");
    time.advance(4s);
    EXPECT_EQ(stop.now().frozen, 3'900ms);
    EXPECT_EQ(stop.now().elapsed, 100ms);
}

TEST(StopChannel, MovesItsDeadlinesWhenNobodyHasLookedForSoLongThatItWasFrozen) {
    fakes::process process;
    const auto app = process.run("app", fakes::until_asked);
    std::optional<fakes::test_clock> stands_still(std::in_place);
    auto& time = *stands_still;
    process.stop.request("debug");
    const auto before = app();
    time.advance(499ms);
    EXPECT_EQ(app(), before) << "a pause, in which it may well have lived";
    EXPECT_EQ(process.stop.now().frozen, 0ms);
    time.advance(30s);
    EXPECT_GT(app(), clock::now()) << "the first to look after the freeze has time left";
    EXPECT_EQ(process.stop.now().left, 2s);
    EXPECT_EQ(process.stop.now().frozen, 29'900ms) << "less a pulse, which it may have lived";
    EXPECT_EQ(process.stop.now().elapsed, 599ms);
    time.advance(100ms);
    app();
    EXPECT_EQ(process.stop.now().left, 1'900ms) << "and from then on it counts again";
    stands_still.reset();
    process.done.wait({});
}

TEST(StopChannel, TellsWhatIsLeftOfTheBudget) {
    stop_channel stop(settings());
    EXPECT_EQ(stop.now().left, 20s) << "the whole of it while there is no stop";
    EXPECT_EQ(stop.now().elapsed, 0ms);
    stop.signal("SIGTERM");
    const auto first = stop.now();
    EXPECT_LE(first.left, 20s);
    EXPECT_GT(first.left, 10s);
    EXPECT_TRUE(fakes::eventually([&] { return stop.now().left < first.left; })) << "it runs down";
    EXPECT_EQ(first.phase, stop_phase::lame_duck);
    ASSERT_EQ(first.phases.size(), 1U);
    EXPECT_EQ(first.phases[0].name, "lame_duck");
}

TEST(StopChannel, LeavesALameDuckThatARequestBegan) {
    stop_channel stop(settings(5s));
    EXPECT_FALSE(stop.withdraw()) << "there is none";
    stop.complete();
    stop.request("debug");
    EXPECT_TRUE(stop.withdraw());
    EXPECT_TRUE(stop.is_ready());
    EXPECT_EQ(stop.now().left, 20s);
    stop.signal("SIGTERM");
    EXPECT_FALSE(stop.withdraw());
}

TEST(StopChannel, NumbersItsStops) {
    stop_channel stop(settings(5s));
    stop.complete();
    EXPECT_EQ(stop.nth_stop(), 0U) << "there is no stop";
    stop.request("debug");
    stop.request("debug");
    EXPECT_EQ(stop.nth_stop(), 1U);
    EXPECT_TRUE(stop.withdraw());
    EXPECT_EQ(stop.nth_stop(), 0U);
    stop.signal("SIGTERM");
    EXPECT_EQ(stop.nth_stop(), 2U);
}

TEST(StopChannel, HasBeenReadyIfThatCameInALameDuckThatWasLeft) {
    stop_channel stop(settings(5s));
    const auto app = stop.add_part("app", lifecycle::serves_clients);
    stop.complete();
    stop.request("debug");
    app.up();
    EXPECT_FALSE(stop.has_been_ready()) << "readiness has not been 200 yet";
    EXPECT_TRUE(stop.withdraw());
    EXPECT_TRUE(stop.is_ready());
    EXPECT_TRUE(stop.has_been_ready());
}

TEST(StopChannel, GivesEachPartItsDeadlineOnceAStopHasBegun) {
    fakes::process process;
    const auto tracker = process.run("tracker", fakes::until_asked, 5s), app = process.run("app", fakes::until_asked);
    EXPECT_EQ(app(), clock::time_point::max());
    const auto before = clock::now();
    process.stop.request("debug");
    const auto after = clock::now();
    EXPECT_GE(app(), before + 20s - 5s - 250ms);
    EXPECT_LE(app(), after + 20s - 5s - 250ms);
    EXPECT_EQ(tracker() - app(), 5s - (1s - 250ms)) << "each gives up a moment before its share ends";
    EXPECT_EQ(process.done.wait({}), 0);
}

TEST(StopChannel, CountsTheTurnsOfTheLoopsForTheLameDuck) {
    fakes::process process(settings(100ms));
    std::atomic<std::uint64_t> asked{0};
    const auto app = process.run("app", fakes::until_asked);
    app.count_turns_with([&] { return ++asked, std::uint64_t{7}; });  // loops that never turn
    process.send(SIGTERM);
    lifecycle::shutdown_report seen;
    EXPECT_EQ(process.done.wait({.account = [&](auto& report) { seen = report; }}), 0);
    ASSERT_GE(seen.phases.size(), 1U);
    EXPECT_GE(seen.phases[0].used, 200ms) << "held up as long again";
    EXPECT_GT(asked, 1U);
}

TEST(StopChannel, ServesTheWholeLameDuck) {
    fakes::process process(settings(100ms));
    process.run("app", fakes::until_asked);
    process.send(SIGTERM);
    lifecycle::shutdown_report seen;
    EXPECT_EQ(process.done.wait({.account = [&](auto& report) { seen = report; }}), 0);
    ASSERT_EQ(seen.phases.size(), 2U);
    EXPECT_GE(seen.phases[0].used, 100ms);
}

TEST(StopChannel, IsOneStopWhoeverAsksAtTheSameTime) {
    for (int round = 0; round < 20; ++round) {
        stop_channel stop(settings());
        const auto app = stop.add_part("app", lifecycle::serves_clients);
        stop.complete();
        app.up();
        {
            std::vector<std::jthread> threads;
            for (const char* cause : {"one", "two", "three"})
                threads.emplace_back([&stop, &app, cause](std::stop_token) {
                    stop.request(cause);
                    EXPECT_TRUE(stop.stopping());
                    EXPECT_FALSE(stop.is_ready());
                    EXPECT_LE(app.deadline(), clock::now() + 20s);
                    EXPECT_FALSE(stop.now().forced);
                });
        }
        const auto cause = stop.now().cause;
        EXPECT_TRUE(cause == "one" || cause == "two" || cause == "three");
    }
}

}  // namespace
