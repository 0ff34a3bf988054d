// What the tick does to a connection: one that has no other test, for it takes a request that becomes whole at the very
// end of a drain.

#include "server/decision.hpp"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using server::connection_state;
using action = server::decision::action;
using lifecycle::clock;

constexpr clock::time_point now{1h};

server::drain_view over() { return {.draining = true, .idle_until = now - 2s, .over = now - 1s}; }

action decided(bool told, bool forced) {
    const server::connection_view one{.state = connection_state::handling,
                                      .since = now - 10ms,
                                      .deadline = now + 5s,
                                      .rests = false,
                                      .told = told,
                                      .forced = forced,
                                      .abandoned = false};
    return server::decide(one, over(), now).what;
}

TEST(Decision, AHandlerIsToldOfTheEndOfTheDrainBeforeItIsAnsweredFor) {
    EXPECT_EQ(decided(false, false), action::tell_handler);
    EXPECT_EQ(decided(false, true), action::tell_handler) << "its request was forced, before it was whole";
    EXPECT_EQ(decided(true, false), action::tell_handler) << "of its own deadline, not of this one";
    EXPECT_EQ(decided(true, true), action::answer);
}

}  // namespace
