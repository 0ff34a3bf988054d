// How far a loop has come in its end, without a loop: the test says what is asked of it and how late it is.
#include "server/loop/drain.hpp"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using lifecycle::clock;

constexpr clock::time_point start{1h};

/// The end of a loop that has that many connections, of a server that gives up 10 s later.
struct ending {
    lifecycle::stop_channel::deadline_function deadline = [] { return start + 10s; };
    server::counter open;
    int over = 0;
    server::loop_drain drain{deadline, 200ms, open, [this] { ++over; }};

    explicit ending(std::uint64_t connections = 0) { open.set(connections); }
    bool is_late(clock::time_point now) { return drain.is_late(drain.view(), now); }
};

TEST(LoopDrain, IsOverWhenItDrainsAndIsSealedAndNothingIsOpen) {
    ending loop(1);
    loop.drain.begin(start);
    loop.drain.end_if_empty();
    loop.drain.seal();
    loop.drain.end_if_empty();
    EXPECT_FALSE(loop.drain.ended()) << "somebody is there";
    loop.open.set(0);
    EXPECT_EQ(loop.over, 0) << "nobody has asked";
    loop.drain.end_if_empty();
    EXPECT_TRUE(loop.drain.ended());
    EXPECT_EQ(loop.over, 1);
}

TEST(LoopDrain, IsNotOverAsLongAsOneOfTheTwoIsMissing) {
    ending drains, sealed;
    drains.drain.begin(start);
    drains.drain.end_if_empty();
    EXPECT_FALSE(drains.drain.ended()) << "a client may still be adopted";
    sealed.drain.seal();
    sealed.drain.end_if_empty();
    EXPECT_FALSE(sealed.drain.ended()) << "it is to serve";
}

TEST(LoopDrain, IsOverOnce) {
    ending loop;
    loop.drain.begin(start);
    loop.drain.seal();
    loop.drain.end_if_empty();
    loop.drain.end_if_empty();
    EXPECT_EQ(loop.over, 1);
}

TEST(LoopDrain, OneThatClosesNeedsNoDrainToBeOver) {
    ending loop;
    loop.drain.close();
    loop.drain.seal();
    loop.drain.end_if_empty();
    EXPECT_TRUE(loop.drain.ended());
}

TEST(LoopDrain, TakesClientsWhileItDrainsButNotWhenItClosesOrIsOver) {
    ending drains, closes;
    EXPECT_TRUE(drains.drain.takes());
    drains.drain.begin(start);
    drains.drain.seal();
    EXPECT_TRUE(drains.drain.takes());
    drains.drain.end_if_empty();
    EXPECT_FALSE(drains.drain.takes());
    closes.drain.close();
    EXPECT_FALSE(closes.drain.takes());
    EXPECT_TRUE(closes.drain.closing());
}

TEST(LoopDrain, TheTickSeesNoDrainBeforeItBegins) {
    ending loop;
    loop.drain.seal();
    const auto seen = loop.drain.view();
    EXPECT_FALSE(seen.draining);
    EXPECT_EQ(seen.idle_until, clock::time_point::max());
    EXPECT_EQ(seen.over, clock::time_point::max());
}

TEST(LoopDrain, TheTickSeesWhenItBeganAndUntilWhenIdleConnectionsStayAndWhenTheAppGivesUp) {
    ending loop;
    loop.drain.begin(start);
    const auto seen = loop.drain.view();
    EXPECT_TRUE(seen.draining);
    EXPECT_EQ(seen.began, start);
    EXPECT_EQ(seen.idle_until, start + 200ms);
    EXPECT_EQ(seen.over, start + 10s);
    loop.deadline = {};
    EXPECT_EQ(loop.drain.view().over, clock::time_point::max()) << "of a server that never gives up";
}

TEST(LoopDrain, IsLateOnceAtFourFifthsOfItsTime) {
    ending loop(1);
    EXPECT_FALSE(loop.is_late(start + 9s)) << "it does not drain";
    loop.drain.begin(start);
    EXPECT_FALSE(loop.is_late(start + 8s - 1ns));
    EXPECT_TRUE(loop.is_late(start + 8s));
    EXPECT_FALSE(loop.is_late(start + 9s)) << "it was said";
}

TEST(LoopDrain, IsNotLateWhenItsTimeIsOverOrItHasForever) {
    ending over(1), forever(1);
    over.drain.begin(start);
    EXPECT_FALSE(over.is_late(start + 10s)) << "what is left is closed now";
    forever.deadline = {};
    forever.drain.begin(start);
    EXPECT_FALSE(forever.is_late(clock::time_point::max() - 1ns));
}

}  // namespace
