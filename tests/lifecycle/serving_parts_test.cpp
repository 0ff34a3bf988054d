// Several parts that serve clients: the stop treats them alike, wherever they stand in the order of the start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lifecycle/stop_order.hpp"
#include "tests/lifecycle/stopping.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::actions_of, fakes::settings;
using lifecycle::serves_clients;
using lifecycle::stop_phase;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::size_t grpc = 1, tracker = 2, app = 3, admin = 4;

/// debug, grpc, tracker, app, admin: three of them serve, one of those was started before the tracker.
struct three_that_serve {
    explicit three_that_serve(std::chrono::milliseconds lame_duck = 0ms) : sequence(settings(25s, lame_duck)) {
        sequence.add_part("debug", lifecycle::last_share);
        sequence.add_part("grpc", serves_clients);
        sequence.add_part("tracker", 5s);
        sequence.add_part("app", serves_clients);
        sequence.add_part("admin", serves_clients);
        sequence.complete(now);
        for (const auto part : {grpc, app, admin}) sequence.up(part);
        sequence.step(now, turns);
    }
    fakes::actions step(std::chrono::milliseconds gap = 0ms) {
        now += gap;
        return actions_of(sequence.step(now, ++turns));
    }

    fakes::stop_sequence sequence;
    fakes::time_point now{1'000'000h};
    std::uint64_t turns = 1;
};

TEST(ServingParts, AreAskedTogetherAndBeforeWhatTheirHandlersUse) {
    three_that_serve stop;
    stop.sequence.signal("SIGTERM", stop.now);
    EXPECT_THAT(stop.step().stop, UnorderedElementsAre(grpc, app, admin));
    stop.sequence.part_ended(app, stop.now);
    stop.sequence.part_ended(admin, stop.now);
    EXPECT_THAT(stop.step().stop, IsEmpty()) << "one still serves, with the tracker";
    stop.sequence.part_ended(grpc, stop.now);
    EXPECT_THAT(stop.step().stop, ElementsAre(tracker));
}

TEST(ServingParts, HaveOneDeadlineAndOnePhase) {
    three_that_serve stop;
    stop.sequence.signal("SIGTERM", stop.now);
    stop.step();
    for (const auto part : {grpc, app, admin}) {
        EXPECT_EQ(stop.sequence.patience(part), stop.now + 25s - 5s - 100ms);
        EXPECT_EQ(stop.sequence.deadline(part), stop.sequence.deadline(app));
    }
    EXPECT_EQ(stop.sequence.phases(stop.now).back().name, "grpc+app+admin");
}

TEST(ServingParts, AllGiveUpAtOnceWhenTheStopIsForced) {
    three_that_serve stop;
    stop.sequence.signal("SIGTERM", stop.now);
    stop.step(1s);
    stop.sequence.signal("SIGTERM", stop.now);
    for (const auto part : {grpc, app, admin}) EXPECT_EQ(stop.sequence.deadline(part), stop.now);
    EXPECT_GT(stop.sequence.deadline(tracker), stop.now);
}

TEST(ServingParts, TheLameDuckLastsAsLongAsOneOfThemServes) {
    three_that_serve stop(5s);
    stop.sequence.part_ended(admin, stop.now);
    stop.step(50ms);
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    EXPECT_EQ(stop.sequence.cause(), "part:admin");
    stop.sequence.part_ended(grpc, stop.now);
    stop.step(50ms);
    EXPECT_EQ(stop.sequence.phase(), stop_phase::lame_duck);
    stop.sequence.part_ended(app, stop.now);
    EXPECT_THAT(stop.step().stop, ElementsAre(tracker)) << "nobody serves any more: nothing to wait for";
}

TEST(ServingParts, AreAllWaitedForUntilTheProcessIsReady) {
    fakes::stop_sequence sequence(settings(25s));
    fakes::time_point now{1'000'000h};
    sequence.add_part("app", serves_clients);
    sequence.add_part("admin", serves_clients);
    sequence.up(0);
    sequence.complete(now);
    EXPECT_EQ(sequence.phase(), stop_phase::starting);
    sequence.up(1);
    EXPECT_EQ(sequence.phase(), stop_phase::serving);
}

TEST(StopOrder, CountsThoseThatServeAsOneTurn) {
    lifecycle::stop_order order;
    order.parts = {{.name = "debug", .reserved = 100ms},
                   {.name = "grpc", .serves = true},
                   {.name = "tracker", .reserved = 5s},
                   {.name = "app", .serves = true}};
    EXPECT_EQ(order.turns(), 3U);
    EXPECT_EQ(order.turn_of(1), 3U);
    EXPECT_FALSE(order.has_a_turn(1));
    EXPECT_EQ(order.turns_after(1), 2U);
    EXPECT_EQ(order.reserved_after(1), 5'100ms);
    EXPECT_EQ(order.reserved_after(2), 100ms);
    EXPECT_EQ(order.name_of_turn(3), "grpc+app");
}

}  // namespace
