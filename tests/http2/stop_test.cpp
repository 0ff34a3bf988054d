// A stop in two steps: nothing that a client sent before it could know is lost, and what is cut does not look whole.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using goaway = peer::goaway;

constexpr goaway notice{0x7fff'ffff, NGHTTP2_NO_ERROR};

TEST(Http2Stop, NobodyIsToldToGoBeforeTheDrain) {
    scene one;
    one.stop();
    one.tick_after(1h);
    const auto id = one.client.get("/");
    one.settle();
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_THAT(one.client.goaways, IsEmpty());
}

TEST(Http2Stop, TheNoticeNamesNoStreamAndTheLastOneComesAHundredMillisecondsBehindThePing) {
    scene one;
    const auto before = one.client.get("/");
    one.settle();
    one.client.holds_pings = true;
    const auto crossing = one.client.get("/other");
    const auto under_way = one.client.take();  // sent before the client could know
    one.drain(1s, 20s);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice));
    one.send(under_way);
    one.client.holds_pings = false;
    one.client.answer_pings();
    one.settle();
    EXPECT_EQ(one.answer(crossing).status, 200);
    one.tick_after(99ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice));
    EXPECT_FALSE(one.machine.over());
    one.tick_after(1ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice, goaway{crossing, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(one.machine.over());
    EXPECT_EQ(one.account().finished, 2);
    EXPECT_NE(before, crossing);
}

TEST(Http2Stop, AClientThatAnswersNoPingIsToldAtTheEndOfTheIdleGrace) {
    scene one;
    one.client.holds_pings = true;
    one.drain(1s, 20s);
    one.tick_after(999ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice));
    one.tick_after(1ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice, goaway{0, NGHTTP2_NO_ERROR}));
}

TEST(Http2Stop, ABusyConnectionIsToldAtItsNextQuietMomentOrSoon) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    one.drain(1s, 20s);
    EXPECT_THAT(one.client.goaways, IsEmpty());
    one.reply(id);
    one.tick_after(10ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice));

    scene other;
    other.holds_handlers = true;
    const auto long_one = other.client.get("/");
    other.settle();
    other.drain(1s, 20s);
    other.tick_after(125ms);
    EXPECT_THAT(other.client.goaways, ElementsAre(notice));
    other.reply(long_one);
}

TEST(Http2Stop, ABusyClientHearsTheNoticeTogetherWithTheAnswerThatLeavesItQuiet) {
    scene one;
    one.holds_handlers = true;
    const auto first = one.client.get("/"), second = one.client.get("/");
    one.settle();
    one.drain(1s, 20s);
    one.reply(first);
    EXPECT_THAT(one.client.goaways, IsEmpty()) << "the other is under way";
    one.reply(second);
    EXPECT_EQ(one.answer(second).status, 200);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice)) << "and no tick has passed";
}

TEST(Http2Stop, WhatIsInAHandlerIsAnsweredBehindTheLastGoaway) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    one.drain(1s, 20s);
    one.tick_after(200ms);
    one.tick_after(1s);
    ASSERT_EQ(one.client.goaways.size(), 2);
    EXPECT_FALSE(one.machine.over());
    one.reply(id);
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_TRUE(one.machine.over());
    EXPECT_FALSE(one.machine.forced());
}

TEST(Http2Stop, AStreamAboveTheLastOneNeverBeganAndIsInNoAccount) {
    scene one;
    one.drain(0s, 20s);
    one.tick_after(10ms);
    ASSERT_EQ(one.client.goaways.size(), 2);
    const auto began = one.account().began;
    peer late;  // bytes of a client that has not read the GOAWAY
    late.get("/");
    auto bytes = late.take();
    bytes.erase(0, preface.size());
    one.send(bytes);
    EXPECT_EQ(one.account().began, began);
    EXPECT_EQ(one.calls, 0);
}

TEST(Http2Stop, AtTheEndAHandlerThatHasNotReturnedIsAnsweredInItsPlace) {
    scene one;
    one.holds_handlers = true;
    const auto plain = one.client.get("/");
    const auto call = one.client.ask("POST", "/", {{"content-type", "application/grpc+proto"}}, "");
    one.settle();
    one.drain(100ms, 1s);
    one.tick_after(1s);
    EXPECT_EQ(one.asked.at(plain)->current.scope.get().why(), lifecycle::cause::shutdown);
    one.tick_after(10ms);
    EXPECT_EQ(one.answer(plain).status, 503);
    EXPECT_EQ(one.answer(plain).header("retry-after"), "1");
    EXPECT_EQ(one.answer(call).status, 200);
    EXPECT_EQ(one.answer(call).header("grpc-status"), "14");
    EXPECT_EQ(one.answer(call).body, "");
    EXPECT_TRUE(one.answer(call).ended);
    EXPECT_TRUE(one.machine.forced());
    EXPECT_EQ(one.account().cut, 2);
    EXPECT_EQ(one.stragglers, 2);
    one.reply(plain);
    one.reply(call);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Stop, AStreamWhoseHeadIsOutIsCutByInternalErrorBeforeTheEnd) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    one.reply(id, scene::streamed());
    one.drain(100ms, 1s);
    one.tick_after(1s);
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(one.account().cut, 1);
    one.give_piece(id, 0);
    one.tick_after(10ms);
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Stop, ARequestThatIsNotWholeAtTheEndIsRefused) {
    scene one;
    const auto id = one.client.ask("POST", "/", {}, std::nullopt, true);
    one.settle();
    one.drain(100ms, 1s);
    one.tick_after(1s);
    EXPECT_EQ(one.answer(id).status, 503);
    EXPECT_EQ(one.account().cut, 1);
}

TEST(Http2Stop, AConnectionThatHasHadItsRequestsGoesInTheSameTwoSteps) {
    server::options limits;
    limits.max_requests = 2;
    scene one(limits);
    one.client.get("/");
    const auto last = one.client.get("/");
    one.settle();
    one.tick_after(10ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice));
    one.tick_after(100ms);
    EXPECT_THAT(one.client.goaways, ElementsAre(notice, goaway{last, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(one.machine.over());
}

TEST(Http2Stop, AConnectionThatIsToldToGoSaysWhichStreamWasTheLast) {
    scene one;
    const auto id = one.client.get("/");
    one.settle();
    one.machine.go({'R', 'I'}, one.at());
    one.settle();
    EXPECT_THAT(one.client.goaways, ElementsAre(goaway{id, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(one.machine.over());
}

}  // namespace
}  // namespace http2_tests
