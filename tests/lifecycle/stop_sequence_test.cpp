#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lifecycle/stop_sequence.hpp"
#include "tests/lifecycle/stopping.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::actions_of, fakes::settings, fakes::stop, fakes::lame_duck_lasts, fakes::time_point;
using fakes::app, fakes::debug, fakes::tracker;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using indices = std::vector<std::size_t>;

TEST(StopSequence, DoesNothingWhileNobodyStops) {
    stop stop(settings(25s));
    const auto actions = stop.after(1h);
    EXPECT_THAT(actions.stop, IsEmpty());
    EXPECT_FALSE(actions.warn || actions.finished || actions.over);
    EXPECT_EQ(stop.sequence.next_step(stop.now), time_point::max());
    EXPECT_EQ(stop.sequence.patience(app), time_point::max());
    EXPECT_EQ(stop.sequence.deadline(app), time_point::max());
    EXPECT_EQ(stop.sequence.end(), time_point::max());
    EXPECT_FALSE(stop.sequence.withdraw());
    EXPECT_EQ(stop.sequence.phase(), stop_phase::serving);
}

TEST(StopSequence, AsksThePartsInTheReverseOrderOfTheirStart) {
    stop stop(settings(25s));
    stop.signal();
    EXPECT_EQ(stop.after(0ms).stop, indices{app});
    EXPECT_THAT(stop.after(10ms).stop, IsEmpty()) << "the app is still at home";
    stop.ended(app);
    EXPECT_EQ(stop.after(0ms).stop, indices{tracker});
    stop.ended(tracker);
    EXPECT_EQ(stop.after(0ms).stop, indices{debug});
    EXPECT_FALSE(stop.after(1ms).finished);
    stop.ended(debug);
    EXPECT_TRUE(stop.after(0ms).finished);
    EXPECT_EQ(stop.sequence.phase(), stop_phase::stopped);
    EXPECT_EQ(stop.sequence.next_step(stop.now), time_point::max());
    EXPECT_FALSE(stop.after(1h).over) << "finished is told once";
}

TEST(StopSequence, SharesOneBudgetBetweenThePhases) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(0ms);
    EXPECT_EQ(stop.patience(app), 25s - 5s - 100ms);
    EXPECT_EQ(stop.patience(tracker), 25s - 100ms);
    EXPECT_EQ(stop.patience(debug), 25s);
    stop.after(19'900ms);  // the app overran; nobody's share grows for it
    EXPECT_EQ(stop.patience(tracker), 25s - 100ms);
    stop.after(5s);
    EXPECT_TRUE(stop.after(100ms).over) << "the shares never add up to more than the budget";
}

TEST(StopSequence, AShorterBudgetIsSharedInProportionAndNeverGrows) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(0ms);
    stop.now += 1s;
    stop.sequence.shorten(4s, stop.now);
    stop.after(0ms);
    EXPECT_EQ(stop.patience(app), 5s - 1s - 20ms) << "a fifth of everything";
    EXPECT_EQ(stop.patience(tracker), 5s - 20ms);
    EXPECT_EQ(stop.patience(debug), 5s);
    stop.sequence.shorten(1h, stop.now);
    EXPECT_EQ(stop.patience(debug), 5s);
    EXPECT_FALSE(stop.after(3'999ms).over);
    EXPECT_TRUE(stop.after(1ms).over);
}

TEST(StopSequence, AShorterBudgetShortensTheLameDuckToo) {
    stop stop(settings(25s, 10s));
    stop.request();
    stop.sequence.shorten(5s, stop.now);
    EXPECT_EQ(lame_duck_lasts(stop, 10ms, 20s), 2s);
    EXPECT_EQ(stop.sequence.phase(), stop_phase::stopping);
}

TEST(StopSequence, LetsUnusedTimeFlowOnToTheNextPart) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(0ms);
    stop.now += 1s;
    stop.ended(app);
    stop.after(0ms);
    const auto phases = stop.sequence.phases(stop.now);
    ASSERT_EQ(phases.size(), 3U);
    EXPECT_EQ(phases[2].name, "tracker");
    EXPECT_EQ(phases[2].allowed, 23'900ms) << "its own five seconds and what the app has left";
}

TEST(StopSequence, KeepsTheShareOfTheTrackerFromTheApp) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(0ms);
    EXPECT_THAT(stop.after(19'899ms).stop, IsEmpty());
    EXPECT_EQ(stop.sequence.next_step(stop.now), stop.sequence.began() + 19'900ms);
    EXPECT_EQ(stop.after(1ms).stop, indices{tracker}) << "asked although the app has not ended";
    EXPECT_EQ(stop.sequence.end() - stop.now, 5'100ms);
}

TEST(StopSequence, AsksDebugEvenWhenNobodyBeforeItComesHome) {
    stop stop(settings(10s), 2s);
    stop.signal();
    stop.after(0ms);
    EXPECT_EQ(stop.after(7'900ms).stop, indices{tracker});
    EXPECT_EQ(stop.after(2s).stop, indices{debug});
    EXPECT_TRUE(stop.after(100ms).over);
}

TEST(StopSequence, CatchesUpWithAllSharesAfterALongGap) {
    stop stop(settings(10s), 2s);
    stop.signal();
    const auto actions = stop.after(1h);
    EXPECT_THAT(actions.stop, ElementsAre(app, tracker, debug)) << "each is asked, even too late";
    EXPECT_TRUE(actions.over);
    EXPECT_FALSE(actions.finished);
}

TEST(StopSequence, LeavesASmallShareItsHalfUntilThePartGivesUp) {
    stop stop(settings(700ms), 100ms);
    stop.signal();
    EXPECT_EQ(stop.sequence.patience(tracker) - stop.sequence.deadline(tracker), 50ms);
    EXPECT_EQ(stop.sequence.patience(app) - stop.sequence.deadline(app), 35ms) << "a twentieth of the budget";
}

TEST(StopSequence, TellsAPartToGiveUpBeforeItsPatienceEnds) {
    stop stop(settings(25s));
    stop.signal();
    const auto moment = [&](std::size_t part) { return stop.sequence.patience(part) - stop.sequence.deadline(part); };
    for (const auto part : {debug, app}) EXPECT_EQ(moment(part), 250ms);
    EXPECT_EQ(moment(tracker), 1s) << "what it leaves is written to a disk that may be slow";
    stop.now += 250ms;
    stop.signal("SIGINT");
    for (const auto part : {debug, tracker, app}) EXPECT_LT(stop.sequence.deadline(part), stop.sequence.patience(part));
    EXPECT_EQ(stop.sequence.deadline(app), stop.now) << "forced: the app gives up at once";
}

TEST(StopSequence, TakesARequestAndASignalForOneStop) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.after(2s);
    stop.signal();
    EXPECT_FALSE(stop.sequence.forced());
    EXPECT_EQ(stop.sequence.cause(), "debug") << "the first cause stays";
    EXPECT_EQ(stop.sequence.end(), stop.sequence.began() + 25s) << "the same budget";
    stop.after(250ms);
    stop.signal();
    EXPECT_TRUE(stop.sequence.forced());
}

TEST(StopSequence, TakesSignalsCloserThan250MillisecondsForOneOrder) {
    stop stop(settings(25s, 5s));
    stop.signal();
    stop.signal("SIGINT");
    stop.after(249ms);
    stop.signal("SIGINT");
    EXPECT_FALSE(stop.sequence.forced());
    EXPECT_EQ(stop.sequence.cause(), "SIGTERM") << "the first cause stays";
    EXPECT_EQ(stop.sequence.end(), stop.sequence.began() + 25s);
    EXPECT_FALSE(stop.sequence.withdraw());
    stop.after(1ms);
    stop.signal("SIGINT");
    EXPECT_TRUE(stop.sequence.forced());
}

TEST(StopSequence, CountsFromTheFirstSignalSoThatPressingCtrlCAgainAndAgainForces) {
    stop stop(settings(25s, 5s));
    for (int pressed = 0; pressed < 3; ++pressed) {
        stop.signal("SIGINT");
        EXPECT_FALSE(stop.sequence.forced());
        stop.after(100ms);
    }
    stop.signal("SIGINT");
    EXPECT_TRUE(stop.sequence.forced()) << "300 ms after the first, though 100 ms after the last";
}

TEST(StopSequence, CountsFromTheFirstSignalNotFromTheRequestBeforeIt) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.after(2s);
    stop.signal();
    stop.after(100ms);
    stop.signal();
    EXPECT_FALSE(stop.sequence.forced());
}

TEST(StopSequence, ForcesBySignalsOnly) {
    stop stop(settings(25s, 5s));
    stop.signal();
    stop.request();
    stop.request();
    EXPECT_FALSE(stop.sequence.forced()) << "stopped twice, but one signal";
    EXPECT_EQ(stop.sequence.cause(), "SIGTERM");
}

TEST(StopSequence, EndsWithin800MillisecondsOfTheSecondSignal) {
    stop stop(settings(25s, 5s));
    stop.signal();
    stop.after(1s);
    stop.signal("SIGINT");
    EXPECT_EQ(stop.sequence.end(), stop.now + 800ms);
    EXPECT_EQ(stop.sequence.cause(), "SIGTERM");
    EXPECT_EQ(stop.after(0ms).stop, indices{app}) << "it leaves the lame duck at once";
    EXPECT_EQ(stop.after(267ms).stop, indices{tracker});
    EXPECT_EQ(stop.after(267ms).stop, indices{debug});
    EXPECT_FALSE(stop.after(265ms).over);
    EXPECT_TRUE(stop.after(1ms).over);
}

TEST(StopSequence, IsNotLengthenedByTheThirdSignal) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(250ms);
    stop.signal();
    const auto end = stop.sequence.end();
    stop.after(500ms);
    stop.signal();
    EXPECT_EQ(stop.sequence.end(), end);
}

TEST(StopSequence, GivesNobodyMoreTimeWhenForcedNearItsEnd) {
    stop stop(settings(10s), 200ms);
    stop.signal();
    stop.after(0ms);
    stop.after(9'600ms);
    const auto before = std::vector{stop.patience(debug), stop.patience(tracker), stop.patience(app)};
    stop.signal();
    EXPECT_EQ(stop.sequence.end(), stop.sequence.began() + 10s);
    EXPECT_LE(stop.patience(debug), before[debug]);
    EXPECT_LE(stop.patience(tracker), before[tracker]);
    EXPECT_LE(stop.patience(app), before[app]) << "or the app would have eaten the share of the tracker";
}

TEST(StopSequence, StopsWhileItStarts) {
    stop_sequence sequence(settings(25s));
    sequence.add_part("debug", 100ms);
    sequence.add_part("app", lifecycle::serves_clients);
    const time_point now{1h};
    sequence.complete(now);
    EXPECT_EQ(sequence.phase(), stop_phase::starting);
    sequence.signal("SIGTERM", now);
    EXPECT_EQ(actions_of(sequence.step(now, 0)).stop, indices{1});
    sequence.up(1);
    EXPECT_EQ(sequence.phase(), stop_phase::stopping) << "what becomes ready now stays unready";
    sequence.part_ended(1, now);
    EXPECT_EQ(actions_of(sequence.step(now, 0)).stop, indices{0});
    sequence.part_ended(0, now);
    EXPECT_TRUE(actions_of(sequence.step(now, 0)).finished);
}

TEST(StopSequence, EndsAtOnceWhenThereIsNoPart) {
    stop_sequence sequence(settings(25s, 5s));
    const time_point now{1h};
    sequence.signal("SIGTERM", now);
    EXPECT_TRUE(actions_of(sequence.step(now, 0)).finished);
}

TEST(StopSequence, StopsTheOthersWhenAPartEndsUnasked) {
    stop stop(settings(25s));
    stop.ended(tracker);
    EXPECT_EQ(stop.sequence.cause(), "part:tracker");
    EXPECT_EQ(stop.after(0ms).stop, indices{app});
    stop.ended(app);
    EXPECT_EQ(stop.after(0ms).stop, indices{debug}) << "who has ended is not asked";
    stop.ended(debug);
    EXPECT_TRUE(stop.after(0ms).finished);
}

TEST(StopSequence, DoesNotCountTheTimeInWhichTheProcessWasFrozen) {
    stop stop(settings(10s), 2s);
    stop.signal();
    stop.after(0ms);
    stop.now += 5s;
    stop.sequence.frozen(4s, stop.now);
    EXPECT_EQ(stop.sequence.end(), stop.sequence.began() + 12s) << "4 s later, but 2 s beyond the budget at most";
    EXPECT_EQ(stop.patience(debug), 12s);
    EXPECT_EQ(stop.patience(tracker), 12s - 100ms);
    EXPECT_EQ(stop.patience(app), 12s - 100ms - 2s) << "each has its share still";
    EXPECT_EQ(stop.sequence.frozen(), 4s);
    EXPECT_EQ(stop.sequence.phases(stop.now).back().used, 1s) << "nobody has used it";
    EXPECT_FALSE(stop.after(4'999ms).warn) << "80 % of the budget, lived";
    EXPECT_TRUE(stop.after(1ms).warn);
    EXPECT_FALSE(stop.after(1'999ms).over);
    EXPECT_TRUE(stop.after(1ms).over);
}

TEST(StopSequence, HasTwoSecondsAtMostAfterAFreezeThatOutlastedItsBudget) {
    stop stop(settings(10s), 2s);
    stop.signal();
    stop.after(0ms);
    stop.now += 1h;
    stop.sequence.frozen(1h, stop.now);
    EXPECT_EQ(stop.sequence.end(), stop.now + 2s);
    EXPECT_FALSE(stop.after(0ms).over);
    EXPECT_TRUE(stop.after(2s).over);
}

TEST(StopSequence, HasWhatItHadLeftWhenThatIsLess) {
    stop stop(settings(10s), 2s);
    stop.signal();
    stop.after(9'500ms);
    stop.now += 1h;
    stop.sequence.frozen(1h, stop.now);
    EXPECT_EQ(stop.sequence.end(), stop.now + 500ms);
}

TEST(StopSequence, MovesTheEndOfAForceBehindAFreezeToo) {
    stop stop(settings(25s));
    stop.signal();
    stop.after(1s);
    stop.signal();
    const auto app_ends = stop.patience(app);
    stop.now += 5s;
    stop.sequence.frozen(5s, stop.now);
    EXPECT_EQ(stop.sequence.end(), stop.now + 800ms);
    EXPECT_EQ(stop.patience(app), app_ends + 5s);
}

TEST(StopSequence, KnowsOfNoFreezeWhileNobodyStopsAndForgetsThoseOfAStopThatWasLeft) {
    stop stop(settings(25s, 5s));
    stop.sequence.frozen(4s, stop.now);
    EXPECT_EQ(stop.sequence.frozen(), 0s);
    stop.request();
    stop.now += 4s;
    stop.sequence.frozen(4s, stop.now);
    EXPECT_TRUE(stop.sequence.withdraw());
    stop.request();
    EXPECT_EQ(stop.sequence.frozen(), 0s);
    EXPECT_EQ(stop.sequence.end(), stop.now + 25s);
}

TEST(StopSequence, WarnsOnceWhenFourFifthsAreUsed) {
    stop stop(settings(10s), 100ms);
    stop.signal();
    stop.after(0ms);
    EXPECT_EQ(stop.sequence.next_step(stop.now), stop.sequence.began() + 8s);
    EXPECT_FALSE(stop.after(7'999ms).warn);
    EXPECT_TRUE(stop.after(1ms).warn);
    EXPECT_FALSE(stop.after(1ms).warn);
}

TEST(StopSequence, IsOverAtTheEndOfTheBudgetAndNotBefore) {
    stop stop(settings(10s));
    stop.signal();
    stop.after(9'999ms);
    EXPECT_THAT(stop.sequence.running(), ElementsAre("debug", "tracker", "app"));
    EXPECT_EQ(stop.sequence.phase(), stop_phase::stopping);
    stop.ended(app);
    const auto actions = stop.after(1ms);
    EXPECT_TRUE(actions.over);
    EXPECT_FALSE(actions.finished);
    EXPECT_EQ(stop.sequence.phase(), stop_phase::stopped);
    EXPECT_THAT(stop.sequence.running(), ElementsAre("debug", "tracker"));
}

TEST(StopSequence, IsFinishedRatherThanOverWhenTheLastComesHomeAtTheEnd) {
    stop stop(settings(10s));
    stop.signal();
    stop.after(0ms);
    stop.now += 10s;
    for (const auto part : {app, tracker, debug}) stop.ended(part);
    const auto actions = stop.after(0ms);
    EXPECT_TRUE(actions.finished);
    EXPECT_FALSE(actions.over);
}

TEST(StopSequence, RecordsWhatEachPhaseMayUseAndHasUsed) {
    stop stop(settings(25s, 1s));
    stop.signal();
    ASSERT_EQ(lame_duck_lasts(stop, 50ms, 20s), 1s);
    stop.now += 300ms;
    stop.ended(app);
    stop.after(0ms);
    stop.now += 200ms;
    EXPECT_EQ(stop.sequence.phases(stop.now).back().used, 200ms) << "the running one with what it has used";
    stop.ended(tracker);
    stop.after(0ms);
    stop.now += 10ms;
    stop.ended(debug);
    stop.after(0ms);

    const auto phases = stop.sequence.phases(stop.now + 1h);
    std::vector<std::string> names;
    std::vector<milliseconds> allowed, used;
    for (const auto& phase : phases) {
        names.push_back(phase.name);
        allowed.push_back(phase.allowed);
        used.push_back(phase.used);
    }
    EXPECT_THAT(names, ElementsAre("lame_duck", "app", "tracker", "debug"));
    EXPECT_THAT(allowed, ElementsAre(1s, 18'900ms, 23'600ms, 23'500ms));
    EXPECT_THAT(used, ElementsAre(1s, 300ms, 200ms, 10ms)) << "the last one does not go on after the end";
}

TEST(StopSequence, GivesTheLastPartAFiftiethOfTheBudgetButNoMoreThan100Milliseconds) {
    EXPECT_EQ(lifecycle::last_share.of(settings(25s)), 100ms);
    EXPECT_EQ(lifecycle::last_share.of(settings(1s)), 20ms);
}

TEST(StopSequence, HasANameForEachPhase) {
    EXPECT_EQ(to_string(stop_phase::starting), "starting");
    EXPECT_EQ(to_string(stop_phase::serving), "serving");
    EXPECT_EQ(to_string(stop_phase::lame_duck), "lame_duck");
    EXPECT_EQ(to_string(stop_phase::stopping), "stopping");
    EXPECT_EQ(to_string(stop_phase::stopped), "stopped");
}

}  // namespace
