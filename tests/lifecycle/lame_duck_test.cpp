#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lifecycle/stop_sequence.hpp"
#include "tests/lifecycle/stopping.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::app, fakes::debug, fakes::tracker;
using fakes::settings, fakes::stop, fakes::lame_duck_lasts, fakes::time_point;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using ::testing::IsEmpty;
using indices = std::vector<std::size_t>;

TEST(LameDuck, ServesTheWholeOfItsTimeBeforeAnyoneIsAsked) {
    stop stop(settings(25s, 5s));
    stop.signal();
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 5s) << "that nothing happens does not shorten it";
}

TEST(LameDuck, IsSkippedWhenItHasNoTime) {
    stop stop(settings(25s));
    stop.signal();
    EXPECT_EQ(stop.stuck_for(0ms).stop, indices{app}) << "not even a turn is waited for";
}

TEST(LameDuck, CountsAGapAsTwoTicksAtMost) {
    stop stop(settings(25s, 1s));  // ticks of 50 ms
    stop.signal();
    stop.after(0ms);
    EXPECT_THAT(stop.after(3s).stop, IsEmpty()) << "a starved process has not served in these seconds";
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 900ms);
}

TEST(LameDuck, CountsOnlyTimeInWhichEveryLoopTurned) {
    stop stop(settings(25s, 1s));
    stop.signal();
    stop.stuck_for(0ms);
    for (int tick = 0; tick < 10; ++tick) stop.stuck_for(50ms);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 1s) << "the half second before does not count";
}

TEST(LameDuck, DoesNotTakeATurnBeforeTheStopForOneInIt) {
    stop stop(settings(25s, 1s));
    stop.after(10s);
    stop.turns += 1'000;  // turned while it served, not since
    stop.now += 10s;
    stop.signal();
    stop.stuck_for(0ms);
    stop.stuck_for(50ms);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 1s);
}

TEST(LameDuck, IsHeldUpByLoopsThatNeverTurnAsLongAgainAtMost) {
    stop stop(settings(25s, 1s));
    stop.signal();
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s, false), 2s);
}

TEST(LameDuck, EndsWhereTheSharesOfTheOthersBegin) {
    stop stop(settings(10s, 9s));  // settings refuse it; the shares are kept all the same
    stop.signal();
    stop.after(0ms);
    EXPECT_THAT(stop.after(3'899ms).stop, IsEmpty());
    EXPECT_EQ(stop.after(1ms).stop, indices{app}) << "budget less flush, idle grace and the last share";
}

TEST(LameDuck, IsLeftWhenTheRequestThatBeganItIsWithdrawn) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.after(1s);
    EXPECT_TRUE(stop.sequence.withdraw());
    EXPECT_EQ(stop.sequence.phase(), stop_phase::serving);
    EXPECT_FALSE(stop.sequence.stopping());
    EXPECT_EQ(stop.sequence.cause(), "");
    EXPECT_EQ(stop.sequence.patience(app), time_point::max());
    EXPECT_EQ(stop.sequence.next_step(stop.now), time_point::max());
    EXPECT_THAT(stop.sequence.phases(stop.now), IsEmpty());
    EXPECT_FALSE(stop.sequence.withdraw()) << "there is nothing left to withdraw";
}

TEST(LameDuck, SaysWhatBeganItAlsoWhenItHasBeenWithdrawnSince) {
    stop stop(settings(25s, 5s));
    stop.after(0ms);
    stop.request();
    ASSERT_TRUE(stop.sequence.withdraw());
    const auto events = stop.sequence.step(stop.now, 0);
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].what, lifecycle::stop_sequence::happening::began);
    EXPECT_EQ(events[0].cause, "debug");
    EXPECT_EQ(events[1].what, lifecycle::stop_sequence::happening::withdrawn);
}

TEST(LameDuck, BeginsAgainWithTheWholeBudgetAfterAWithdrawal) {
    stop stop(settings(25s, 5s));
    stop.request();
    for (int tick = 0; tick < 80; ++tick) stop.after(50ms);
    ASSERT_TRUE(stop.sequence.withdraw());
    stop.after(1min);
    stop.signal();
    EXPECT_EQ(stop.sequence.cause(), "SIGTERM");
    EXPECT_EQ(stop.sequence.end(), stop.now + 25s);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 5s) << "and with the whole lame duck";
}

TEST(LameDuck, IsNotLeftAfterASignal) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.signal();
    EXPECT_FALSE(stop.sequence.withdraw());
    EXPECT_TRUE(stop.sequence.stopping());
}

TEST(LameDuck, IsNotLeftWhenASignalBeganIt) {
    stop stop(settings(25s, 5s));
    stop.signal();
    stop.request();
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(LameDuck, IsNotLeftAfterAPartHasEnded) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.ended(debug);
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(LameDuck, IsNotLeftOnceTheAppHasBeenAsked) {
    stop stop(settings(25s, 0ms));
    stop.request();
    EXPECT_EQ(stop.after(0ms).stop, indices{app});
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(LameDuck, IsNotLeftWhenItHasAnotherCause) {
    stop stop(settings(25s, 5s));
    stop.sequence.begin("upgrade", stop.now);
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(LameDuck, IsReadyAfterAWithdrawalIfItBecameSoInTheLameDuck) {
    stop_sequence sequence(settings(25s, 5s));
    sequence.add_part("app", lifecycle::serves_clients);
    sequence.complete(time_point{1h});
    sequence.begin("debug", time_point{1h});
    sequence.up(0);
    EXPECT_EQ(sequence.phase(), stop_phase::lame_duck) << "a stop has begun: not ready now";
    ASSERT_TRUE(sequence.withdraw());
    EXPECT_EQ(sequence.phase(), stop_phase::serving);
}

TEST(LameDuck, GoesOnWhenAPartEndsThatDoesNotServe) {
    stop stop(settings(25s, 5s));
    stop.ended(tracker);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 5s);
}

TEST(LameDuck, EndsWhenTheServingPartIsGone) {
    stop stop(settings(25s, 5s));
    stop.ended(app);
    EXPECT_EQ(stop.sequence.cause(), "part:app");
    EXPECT_EQ(stop.after(0ms).stop, indices{tracker}) << "nobody serves any more: nothing to wait for";
}

}  // namespace
