// How a listening socket closes: which clients are waited for, and how long.

#include "server/net/closing_listener.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;
using server::closing_listener;
using server::round_trips;
using step = closing_listener::step;

constexpr clock::time_point start{1h};

TEST(RoundTrips, AreRememberedForFiveToTenSeconds) {
    round_trips seen;
    EXPECT_FALSE(seen.any(start));
    seen.add(60ms, start);
    seen.add(2ms, start + 1s);
    EXPECT_EQ(seen.slowest(start + 1s), 60ms);
    seen.add(3ms, start + 6s);
    EXPECT_EQ(seen.slowest(start + 6s), 60ms) << "of the window before";
    seen.add(4ms, start + 12s);
    EXPECT_EQ(seen.slowest(start + 12s), 4ms);
    EXPECT_TRUE(seen.any(start + 21s));
    EXPECT_FALSE(seen.any(start + 22s));
    EXPECT_EQ(seen.slowest(start + 22s), 0ms);
}

/// When it has said what, from its start; somebody comes in each millisecond before `come_until`.
std::vector<std::pair<std::chrono::milliseconds, step>> said(closing_listener& closing_listener,
                                                             std::chrono::milliseconds come_until = 0ms) {
    std::vector<std::pair<std::chrono::milliseconds, step>> all;
    for (auto passed = 0ms; passed < 10s; passed += 1ms) {
        const auto next = closing_listener.next(passed < come_until, start + passed);
        if (next != step::wait) all.emplace_back(passed, next);
        if (next == step::over) break;
    }
    return all;
}

using list = std::vector<std::pair<std::chrono::milliseconds, step>>;

TEST(ClosingListener, LetsInWhoHadSentASynAndWaitsForWhoIsInAHandshake) {
    closing_listener near(0us, 1s, false, start), far(60ms, 1s, false, start);
    EXPECT_EQ(said(near), (list{{3ms, step::turn_away}, {8ms, step::over}}));
    EXPECT_EQ(said(far, 500ms), (list{{40ms, step::turn_away}, {120ms, step::over}})) << "60 ms, a quarter, and 5 ms";
}

TEST(ClosingListener, WaitsForNobodyLongerThanItsPatience) {
    closing_listener listener(800ms, 100ms, false, start);
    EXPECT_EQ(said(listener), (list{{100ms, step::over}}));
    closing_listener other(800ms, 1s, false, start);
    EXPECT_EQ(said(other), (list{{503ms, step::turn_away}, {1s, step::over}}));
}

TEST(ClosingListener, WithOthersOnItsPortSendsNewcomersToAnotherOneIfTheyKeepComing) {
    closing_listener left_alone(60ms, 1s, true, start), not_left_alone(60ms, 1s, true, start);
    EXPECT_EQ(said(left_alone, 120ms), (list{{40ms, step::turn_away}, {160ms, step::over}}));
    EXPECT_EQ(said(not_left_alone, 160ms),
              (list{{40ms, step::turn_away}, {160ms, step::turn_away_again}, {280ms, step::over}}));
}

TEST(ClosingListener, DoesNotSendThemOnForEver) {
    closing_listener closing_listener(60ms, 10s, true, start);
    EXPECT_EQ(said(closing_listener, 10s).back(), (std::pair{280ms, step::over}));
}

}  // namespace
