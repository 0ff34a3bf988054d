// What a loop knows of the time and of the stop, without a loop: the test says how late it is.
#include "server/loop/clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

lifecycle::shutdown_options with_lame_duck() {
    lifecycle::shutdown_options options;
    options.lame_duck = 10s;
    return options;
}

/// The clock of a loop, and each stop that it has noticed.
struct looking {
    lifecycle::stop_channel stop{with_lame_duck()};
    std::vector<std::uint64_t> noticed;
    server::loop_clock clock{&stop, [this](std::uint64_t nth) { noticed.push_back(nth); }};

    looking() { stop.complete(); }
};

TEST(LoopClock, AServerThatDoesNotDrainKnowsOfNoStop) {
    server::loop_clock clock(nullptr, [](std::uint64_t) { FAIL() << "there is none"; });
    EXPECT_FALSE(clock.now().stopping);
    EXPECT_FALSE(clock.has_noted_stop());
}

TEST(LoopClock, EachMomentOfAStopSaysSoFromTheFirst) {
    looking loop;
    EXPECT_FALSE(loop.clock.now().stopping);
    loop.stop.request("debug");
    EXPECT_TRUE(loop.clock.now().stopping);
    EXPECT_TRUE(loop.clock.now().stopping);
}

/// So that a time which is read afterwards is another.
void let_time_pass() {
    for (const auto before = lifecycle::clock::now(); lifecycle::clock::now() == before;) {}
}

TEST(LoopClock, WhatIsNextInATurnBeginsWhenTheLastHasEnded) {
    looking loop;
    const auto first = loop.clock.next_in(1);
    let_time_pass();
    const auto ended = loop.clock.now();
    EXPECT_GT(ended.now, first.now);
    let_time_pass();
    EXPECT_EQ(loop.clock.next_in(1).now, ended.now) << "it need not be read again";
    EXPECT_GT(loop.clock.next_in(1).now, ended.now) << "what came before this has not said when it ended";
    const auto last = loop.clock.now();
    let_time_pass();
    EXPECT_GT(loop.clock.next_in(2).now, last.now) << "the loop may have slept since";
}

TEST(LoopClock, AStopIsSeenAlsoWhereTheTimeIsNotReadAgain) {
    looking loop;
    loop.clock.next_in(1);
    loop.clock.now();
    loop.stop.request("test");
    EXPECT_TRUE(loop.clock.next_in(1).stopping);
}

TEST(LoopClock, AStopIsNoticedOnceAndSoIsItsWithdrawal) {
    looking loop;
    loop.stop.request("debug");
    EXPECT_THAT(loop.noticed, IsEmpty()) << "nobody has looked";
    loop.clock.stopping();
    loop.clock.stopping();
    EXPECT_THAT(loop.noticed, ElementsAre(1));
    ASSERT_TRUE(loop.stop.withdraw());
    EXPECT_FALSE(loop.clock.stopping());
    loop.clock.stopping();
    EXPECT_THAT(loop.noticed, ElementsAre(1, 0));
}

TEST(LoopClock, OneThatStoodStillBetweenTwoStopsNoticesTheSecond) {
    looking loop;
    loop.stop.request("debug");
    loop.clock.stopping();
    ASSERT_TRUE(loop.stop.withdraw());
    loop.stop.request("debug");
    EXPECT_TRUE(loop.clock.has_noted_stop()) << "as of the last look";
    EXPECT_TRUE(loop.clock.stopping());
    EXPECT_THAT(loop.noticed, ElementsAre(1, 2));
}

TEST(LoopClock, NewcomersPartInTheLastTenthOfTheLameDuck) {
    looking loop;
    loop.stop.request("test");
    const auto began = loop.stop.now().began;
    EXPECT_FALSE(loop.clock.at(began).parting);
    EXPECT_FALSE(loop.clock.at(began + 9s - 1ns).parting);
    EXPECT_TRUE(loop.clock.at(began + 9s).parting);
}

TEST(LoopClock, NewcomersPartAtOnceWhenTheLoopSaysSo) {
    looking loop;
    loop.stop.request("test");
    const auto began = loop.stop.now().began;
    ASSERT_FALSE(loop.clock.at(began + 1s).parting);
    loop.clock.part_from(began + 1s);
    EXPECT_FALSE(loop.clock.at(began + 1s - 1ns).parting);
    EXPECT_TRUE(loop.clock.at(began + 1s).parting);
}

TEST(LoopClock, NobodyPartsOutsideOfAStop) {
    looking loop;
    loop.clock.part_from({});
    EXPECT_FALSE(loop.clock.now().parting);
}

}  // namespace
