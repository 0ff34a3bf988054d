// What the tick does to a connection: one that has no other test, for it takes a request that becomes whole at the very
// end of a drain.

#include "server/decision.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace std::chrono_literals;
using server::connection_state;
using action = server::decision::action;
using lifecycle::clock;

constexpr clock::time_point now{1h};

server::drain_view over() { return {.draining = true, .idle_until = now - 2s, .over = now - 1s}; }

action decided(bool told, bool forced) {
    const server::connection_view view{.state = connection_state::handling,
                                       .since = now - 10ms,
                                       .deadline = now + 5s,
                                       .rests = false,
                                       .told = told,
                                       .forced = forced,
                                       .abandoned = false};
    return server::decide(view, over(), now).what;
}

TEST(Decision, AHandlerIsToldOfTheEndOfTheDrainBeforeItIsAnsweredFor) {
    EXPECT_EQ(decided(false, false), action::tell_handler);
    EXPECT_EQ(decided(false, true), action::tell_handler) << "its request was forced, before it was whole";
    EXPECT_EQ(decided(true, false), action::tell_handler) << "of its own deadline, not of this one";
    EXPECT_EQ(decided(true, true), action::answer);
}

action lingering(bool sends_on, clock::duration silent_for, bool draining = true) {
    const server::connection_view view{.state = connection_state::lingering,
                                       .since = now - silent_for,
                                       .deadline = now - silent_for + 1s,
                                       .rests = true,
                                       .told = false,
                                       .forced = false,
                                       .abandoned = false,
                                       .sends_on = sends_on};
    return server::decide(view, {.draining = draining, .idle_until = now, .over = now + 5s}, now).what;
}

TEST(Decision, WhoStillSendsWhatHasBeenRefusedIsReadInADrainAsWhileServing) {
    for (const bool draining : {false, true}) {
        EXPECT_EQ(lingering(true, 900ms, draining), action::none);
        EXPECT_EQ(lingering(true, 1s, draining), action::hang_up) << "not without a byte for a second";
    }
    EXPECT_EQ(lingering(false, 31ms), action::hang_up_if_acknowledged) << "nothing more is due from this one";
    EXPECT_EQ(lingering(false, 30ms), action::none);
}

server::connection_view waiting(connection_state state, clock::time_point since) {
    return {.state = state,
            .since = since,
            .deadline = since + 120s,
            .rests = true,
            .told = false,
            .forced = false,
            .abandoned = false};
}

TEST(Decision, ConnectionsThatBecameIdleTogetherAreClosedOneAfterTheOther) {
    constexpr int connections = 1'000, ticks = 100;  // of 50 ms, in the five seconds after their time
    int closed = 0, most = 0;
    for (int tick = 0; tick <= ticks; ++tick) {
        int by_now = 0;
        for (int nth = 0; nth < connections; ++nth)
            by_now +=
                server::decide(waiting(connection_state::idle, now + nth * 1us), {}, now + 120s + tick * 50ms).what ==
                action::look_and_close;
        EXPECT_TRUE(tick > 0 || by_now < 20) << "not before its time";
        most = std::max(most, by_now - closed);
        closed = by_now;
    }
    EXPECT_EQ(closed, connections);
    EXPECT_LE(most, 30) << "at one tick";
}

TEST(Decision, OneThatHasSentNothingIsClosedAtItsTime) {
    EXPECT_EQ(server::decide(waiting(connection_state::fresh, now), {}, now + 120s).what, action::look_and_close);
}

}  // namespace
