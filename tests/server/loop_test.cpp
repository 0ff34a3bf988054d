// A loop, turn by turn: what it adopts, counts, makes room with and ends by. No thread, no tick, no time.
#include "server/loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/turning.hpp"

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using turning::loops;
using turning::says;

TEST(Loop, ServesWhatItHasAdopted) {
    loops loops(says("hello"));
    auto client = loops.connect();
    EXPECT_EQ(loops.open(), 1U);
    client.ask();
    loops.turn();
    EXPECT_THAT(client.seen(), HasSubstr("\r\n\r\nhello"));
    EXPECT_EQ(loops.first().account().accepted.get(), 1U);
    EXPECT_EQ(loops.first().account().requests.get(), 1U);
    EXPECT_EQ(loops.first().account().in_flight.get(), 0U);
}

TEST(Loop, ForgetsAClientThatHasGone) {
    loops loops(says("hello"));
    auto client = loops.connect(), other = loops.connect();
    EXPECT_EQ(loops.open(), 2U);
    client.leave();
    loops.turn();
    EXPECT_EQ(loops.open(), 1U);
}

TEST(Loop, MakesRoomByTheConnectionThatHasBeenIdleLongest) {
    loops loops(says("hello"));
    auto asks = loops.connect(), idles = loops.connect();
    asks.ask();
    loops.turn();
    loops.first().make_room();
    loops.turn();
    EXPECT_TRUE(idles.closed()) << "it was accepted later, and has been idle for longer";
    EXPECT_FALSE(asks.closed());
    EXPECT_EQ(loops.open(), 1U);
}

TEST(Loop, ARequestThatHasComeIsNotClosedForRoom) {
    loops loops(says("hello"));
    auto client = loops.connect();
    client.ask();  // and no turn has seen it
    EXPECT_FALSE(loops.first().here().make_room());
    loops.turn();
    EXPECT_EQ(client.answers(), 1U);
    EXPECT_FALSE(client.closed());
}

TEST(Loop, OneThatNeverDrainsMakesRoomByAHeadThatIsHalfSent) {
    loops loops(says("hello"));
    auto half = loops.connect();
    half.send("GET / HT");
    loops.turn();
    EXPECT_EQ(loops.first().account().idle.get(), 0U);
    EXPECT_TRUE(loops.first().here().make_room());
    loops.turn();
    EXPECT_TRUE(half.closed());
}

TEST(Loop, EndsWithItsLastConnectionOnceItDrainsAndNothingMoreComes) {
    loops loops(says("hello"));
    auto client = loops.connect();
    loops.first().drain();
    loops.turn();
    EXPECT_FALSE(loops.ended());
    loops.first().seal();
    loops.turn();
    EXPECT_FALSE(loops.ended()) << "somebody is there";
    client.leave();
    loops.turn();
    EXPECT_TRUE(loops.ended());
}

TEST(Loop, ClosesEverythingWhenItIsToClose) {
    loops loops(says("hello"));
    auto idle = loops.connect(), half = loops.connect();
    half.send("GET /");
    loops.turn();
    loops.first().close();
    loops.turn();
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(half.closed());
    EXPECT_EQ(loops.open(), 0U);
    auto late = loops.connect();
    EXPECT_TRUE(late.closed()) << "and takes nothing more";
}

TEST(Loop, SaysOnceThatItHasFailedAndServesNobodyFromThenOn) {
    loops loops(says("hello"));
    auto client = loops.connect();
    loops.first().begin([] { throw std::runtime_error("no listener"); });
    loops.first().begin([] { throw std::runtime_error("no listener either"); });
    loops.turn();
    EXPECT_THAT(loops.failed, ElementsAre(0U));
    EXPECT_TRUE(client.closed());
}

TEST(Loop, NewLimitsAreForTheNextRequest) {
    loops loops(says("hello"));
    auto client = loops.connect();
    client.ask();
    loops.turn();
    EXPECT_EQ(client.answers(), 1U);
    auto fresh = std::make_shared<server::options>();
    fresh->max_target_bytes = 4;
    loops.first().apply(fresh);
    loops.turn();
    client.ask("/a-longer-one");
    loops.turn();
    EXPECT_EQ(client.answers("HTTP/1.1 414"), 1U);
}

TEST(Loop, NamesWhatIsAliveOnIt) {
    loops loops(says("hello"));
    auto client = loops.connect();
    const auto rows = loops.first().here().describe();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].name, "connection");
    EXPECT_EQ(rows[0].kind, "connection");
    EXPECT_EQ(rows[0].client, "unix");
}

}  // namespace
