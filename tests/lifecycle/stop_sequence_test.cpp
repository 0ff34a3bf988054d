#include "lifecycle/stop_sequence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using lifecycle::shutdown_options;
using lifecycle::stop_phase;
using lifecycle::stop_sequence;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using time_point = stop_sequence::time_point;
using indices = std::vector<std::size_t>;

constexpr std::size_t debug = 0, tracker = 1, app = 2;

shutdown_options settings(milliseconds budget, milliseconds lame_duck = 0ms) {
    shutdown_options options;
    options.budget = budget;
    options.lame_duck = lame_duck;
    options.idle_grace = 1s;
    return options;
}

/// A sequence with the three parts of the service, on a clock that the test moves.
struct stop {
    explicit stop(const shutdown_options& options, milliseconds flush = 5s, milliseconds last = 100ms)
        : sequence(options) {
        EXPECT_EQ(sequence.add_part("debug", last), debug);
        EXPECT_EQ(sequence.add_part("tracker", flush), tracker);
        EXPECT_EQ(sequence.add_part("app", 0ms), app);
        sequence.ready();
    }

    /// Lets `gap` pass, in which every loop turns, and steps.
    stop_sequence::actions after(milliseconds gap) {
        ++turns;
        return stuck_for(gap);
    }
    /// The same, but no loop turns in it.
    stop_sequence::actions stuck_for(milliseconds gap) {
        now += gap;
        return sequence.step(now, turns);
    }
    void ended(std::size_t part) { sequence.part_ended(part, now); }
    void signal(const char* cause = "SIGTERM") { sequence.signal(cause, now); }
    void request() { sequence.begin("debug", now); }
    milliseconds since_begin(time_point when) const {
        return std::chrono::duration_cast<milliseconds>(when - sequence.began());
    }
    milliseconds patience(std::size_t part) const { return since_begin(sequence.patience(part)); }

    stop_sequence sequence;
    time_point now{1h};
    std::uint64_t turns = 100;
};

/// Moves in steps of `gap` until the lame duck is over or `limit` has passed; how long that took.
milliseconds lame_duck_lasts(stop& stop, milliseconds gap, milliseconds limit, bool turning = true) {
    const auto from = stop.now;
    stop.stuck_for(0ms);
    while (stop.sequence.phase() == stop_phase::lame_duck && stop.now - from < limit)
        turning ? stop.after(gap) : stop.stuck_for(gap);
    return std::chrono::duration_cast<milliseconds>(stop.now - from);
}

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
    EXPECT_EQ(stop.after(1ms).stop, indices{tracker}) << "asked although the app is not home";
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

TEST(StopSequence, TellsAPartToGiveUpBeforeItsPatienceEnds) {
    stop stop(settings(25s));
    stop.signal();
    for (const auto part : {debug, tracker, app})
        EXPECT_EQ(stop.sequence.patience(part) - stop.sequence.deadline(part), 250ms);
    stop.signal("SIGINT");
    for (const auto part : {debug, tracker, app}) EXPECT_LT(stop.sequence.deadline(part), stop.sequence.patience(part));
    EXPECT_EQ(stop.sequence.deadline(app), stop.now) << "forced: the app gives up at once";
}

TEST(StopSequence, ServesTheWholeLameDuckBeforeItAsksAnyone) {
    stop stop(settings(25s, 5s));
    stop.signal();
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 5s) << "that nothing happens does not shorten it";
}

TEST(StopSequence, SkipsALameDuckOfNoTime) {
    stop stop(settings(25s));
    stop.signal();
    EXPECT_EQ(stop.stuck_for(0ms).stop, indices{app}) << "not even a turn is waited for";
}

TEST(StopSequence, CountsAGapAsTwoTicksOfALameDuckAtMost) {
    stop stop(settings(25s, 1s));  // ticks of 50 ms
    stop.signal();
    stop.after(0ms);
    EXPECT_THAT(stop.after(3s).stop, IsEmpty()) << "a starved process has not served in these seconds";
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 900ms);
}

TEST(StopSequence, CountsOnlyTimeInWhichEveryLoopTurned) {
    stop stop(settings(25s, 1s));
    stop.signal();
    stop.stuck_for(0ms);
    for (int tick = 0; tick < 10; ++tick) stop.stuck_for(50ms);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 1s) << "the half second before does not count";
}

TEST(StopSequence, DoesNotTakeATurnBeforeTheStopForOneInIt) {
    stop stop(settings(25s, 1s));
    stop.after(10s);
    stop.turns += 1'000;  // turned while it served, not since
    stop.now += 10s;
    stop.signal();
    stop.stuck_for(0ms);
    stop.stuck_for(50ms);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 1s);
}

TEST(StopSequence, IsHeldUpByLoopsThatNeverTurnAsLongAgainAtMost) {
    stop stop(settings(25s, 1s));
    stop.signal();
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s, false), 2s);
}

TEST(StopSequence, EndsALameDuckWhereTheSharesOfTheOthersBegin) {
    stop stop(settings(10s, 9s));  // settings refuse it; the shares are kept all the same
    stop.signal();
    stop.after(0ms);
    EXPECT_THAT(stop.after(3'899ms).stop, IsEmpty());
    EXPECT_EQ(stop.after(1ms).stop, indices{app}) << "budget less flush, idle grace and the last share";
}

TEST(StopSequence, WithdrawsALameDuckThatARequestBegan) {
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

TEST(StopSequence, BeginsAgainWithTheWholeBudgetAfterAWithdrawal) {
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

TEST(StopSequence, DoesNotWithdrawAfterASignal) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.signal();
    EXPECT_FALSE(stop.sequence.withdraw());
    EXPECT_TRUE(stop.sequence.stopping());
}

TEST(StopSequence, DoesNotWithdrawWhatASignalBegan) {
    stop stop(settings(25s, 5s));
    stop.signal();
    stop.request();
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(StopSequence, DoesNotWithdrawAfterAPartHasEnded) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.ended(debug);
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(StopSequence, DoesNotWithdrawOnceTheAppHasBeenAsked) {
    stop stop(settings(25s, 0ms));
    stop.request();
    EXPECT_EQ(stop.after(0ms).stop, indices{app});
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(StopSequence, DoesNotWithdrawAStopOfAnotherCause) {
    stop stop(settings(25s, 5s));
    stop.sequence.begin("upgrade", stop.now);
    EXPECT_FALSE(stop.sequence.withdraw());
}

TEST(StopSequence, IsReadyAfterAWithdrawalIfItBecameSoInTheLameDuck) {
    stop_sequence sequence(settings(25s, 5s));
    sequence.add_part("app", 0ms);
    sequence.begin("debug", time_point{1h});
    sequence.ready();
    EXPECT_EQ(sequence.phase(), stop_phase::lame_duck) << "a stop has begun: not ready now";
    ASSERT_TRUE(sequence.withdraw());
    EXPECT_EQ(sequence.phase(), stop_phase::serving);
}

TEST(StopSequence, TakesARequestAndASignalForOneStop) {
    stop stop(settings(25s, 5s));
    stop.request();
    stop.after(2s);
    stop.signal();
    EXPECT_FALSE(stop.sequence.forced());
    EXPECT_EQ(stop.sequence.cause(), "debug") << "the first cause stays";
    EXPECT_EQ(stop.sequence.end(), stop.sequence.began() + 25s) << "the same budget";
    stop.signal();
    EXPECT_TRUE(stop.sequence.forced());
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
    sequence.add_part("app", 0ms);
    EXPECT_EQ(sequence.phase(), stop_phase::starting);
    const time_point now{1h};
    sequence.signal("SIGTERM", now);
    EXPECT_EQ(sequence.step(now, 0).stop, indices{1});
    sequence.ready();
    EXPECT_EQ(sequence.phase(), stop_phase::stopping) << "what becomes ready now stays unready";
    sequence.part_ended(1, now);
    EXPECT_EQ(sequence.step(now, 0).stop, indices{0});
    sequence.part_ended(0, now);
    EXPECT_TRUE(sequence.step(now, 0).finished);
}

TEST(StopSequence, EndsAtOnceWhenThereIsNoPart) {
    stop_sequence sequence(settings(25s, 5s));
    const time_point now{1h};
    sequence.signal("SIGTERM", now);
    EXPECT_TRUE(sequence.step(now, 0).finished);
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

TEST(StopSequence, KeepsTheLameDuckWhenAPartEndsThatDoesNotServe) {
    stop stop(settings(25s, 5s));
    stop.ended(tracker);
    EXPECT_EQ(lame_duck_lasts(stop, 50ms, 20s), 5s);
}

TEST(StopSequence, EndsTheLameDuckWhenTheServingPartIsGone) {
    stop stop(settings(25s, 5s));
    stop.ended(app);
    EXPECT_EQ(stop.sequence.cause(), "part:app");
    EXPECT_EQ(stop.after(0ms).stop, indices{tracker}) << "nobody serves any more: nothing to wait for";
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
    EXPECT_EQ(lifecycle::last_share(settings(25s)), 100ms);
    EXPECT_EQ(lifecycle::last_share(settings(1s)), 20ms);
}

TEST(StopSequence, HasANameForEachPhase) {
    EXPECT_EQ(to_string(stop_phase::starting), "starting");
    EXPECT_EQ(to_string(stop_phase::serving), "serving");
    EXPECT_EQ(to_string(stop_phase::lame_duck), "lame_duck");
    EXPECT_EQ(to_string(stop_phase::stopping), "stopping");
    EXPECT_EQ(to_string(stop_phase::stopped), "stopped");
}

}  // namespace
