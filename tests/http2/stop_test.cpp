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
    scene scene;
    scene.stop();
    scene.tick_after(1h);
    const auto id = scene.client.get("/");
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_THAT(scene.client.goaways, IsEmpty());
}

TEST(Http2Stop, TheNoticeNamesNoStreamAndTheLastOneComesAHundredMillisecondsBehindThePing) {
    scene scene;
    const auto before = scene.client.get("/");
    scene.settle();
    scene.client.holds_pings = true;
    const auto crossing = scene.client.get("/other");
    const auto under_way = scene.client.take();  // sent before the client could know
    scene.drain(1s, 20s);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
    scene.send(under_way);
    scene.client.holds_pings = false;
    scene.client.answer_pings();
    scene.settle();
    EXPECT_EQ(scene.answer(crossing).status, 200);
    scene.tick_after(99ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
    EXPECT_FALSE(scene.machine.over());
    scene.tick_after(1ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice, goaway{crossing, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(scene.machine.over());
    EXPECT_EQ(scene.account().finished, 2);
    EXPECT_NE(before, crossing);
}

TEST(Http2Stop, AClientThatAnswersNoPingIsToldAtTheEndOfTheIdleGrace) {
    scene scene;
    scene.client.holds_pings = true;
    scene.drain(1s, 20s);
    scene.tick_after(999ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
    scene.tick_after(1ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice, goaway{0, NGHTTP2_NO_ERROR}));
}

TEST(Http2Stop, ANewClientThatHasAcknowledgedOurSettingsIsAwaitedForASecond) {
    scene scene({}, 65'535, true, 0, 20s);
    scene.drain(5s, 60s);
    scene.tick_after(999ms);
    EXPECT_THAT(scene.client.goaways, IsEmpty()) << "its first request may be on the way";
    scene.tick_after(1ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
}

TEST(Http2Stop, ANewClientHearsTheNoticeTogetherWithItsFirstAnswer) {
    scene scene({}, 65'535, true, 0, 20s);
    scene.drain(5s, 60s);
    scene.tick_after(500ms);
    const auto id = scene.client.get("/");
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
}

TEST(Http2Stop, ABusyConnectionIsToldAtItsNextQuietMomentOrSoon) {
    scene play;
    play.holds_handlers = true;
    const auto id = play.client.get("/");
    play.settle();
    play.drain(1s, 20s);
    EXPECT_THAT(play.client.goaways, IsEmpty());
    play.reply(id);
    play.tick_after(10ms);
    EXPECT_THAT(play.client.goaways, ElementsAre(notice));

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
    scene scene;
    scene.holds_handlers = true;
    const auto first = scene.client.get("/"), second = scene.client.get("/");
    scene.settle();
    scene.drain(1s, 20s);
    scene.reply(first);
    EXPECT_THAT(scene.client.goaways, IsEmpty()) << "the other is under way";
    scene.reply(second);
    EXPECT_EQ(scene.answer(second).status, 200);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice)) << "and no tick has passed";
}

TEST(Http2Stop, WhatIsInAHandlerIsAnsweredBehindTheLastGoaway) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.get("/");
    scene.settle();
    scene.drain(1s, 20s);
    scene.tick_after(200ms);
    scene.tick_after(1s);
    ASSERT_EQ(scene.client.goaways.size(), 2);
    EXPECT_FALSE(scene.machine.over());
    scene.reply(id);
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_TRUE(scene.machine.over());
    EXPECT_FALSE(scene.machine.forced());
}

TEST(Http2Stop, AStreamAboveTheLastOneNeverBeganAndIsInNoAccount) {
    scene scene;
    scene.drain(0s, 20s);
    scene.tick_after(10ms);
    ASSERT_EQ(scene.client.goaways.size(), 2);
    const auto began = scene.account().began;
    peer late;  // bytes of a client that has not read the GOAWAY
    late.get("/");
    auto bytes = late.take();
    bytes.erase(0, preface.size());
    scene.send(bytes);
    EXPECT_EQ(scene.account().began, began);
    EXPECT_EQ(scene.calls, 0);
}

TEST(Http2Stop, AtTheEndAHandlerThatHasNotReturnedIsAnsweredInItsPlace) {
    scene scene;
    scene.holds_handlers = true;
    const auto plain = scene.client.get("/");
    const auto call = scene.client.ask("POST", "/", {{"content-type", "application/grpc+proto"}}, "");
    scene.settle();
    scene.drain(100ms, 1s);
    scene.tick_after(1s);
    EXPECT_EQ(scene.asked.at(plain)->current.scope.get().why(), lifecycle::cause::shutdown);
    scene.tick_after(10ms);
    EXPECT_EQ(scene.answer(plain).status, 503);
    EXPECT_EQ(scene.answer(plain).header("retry-after"), "1");
    EXPECT_EQ(scene.answer(call).status, 200);
    EXPECT_EQ(scene.answer(call).header("grpc-status"), "14");
    EXPECT_EQ(scene.answer(call).body, "");
    EXPECT_TRUE(scene.answer(call).ended);
    EXPECT_TRUE(scene.machine.forced());
    EXPECT_EQ(scene.account().cut, 2);
    EXPECT_EQ(scene.stragglers, 2);
    scene.reply(plain);
    scene.reply(call);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Stop, AStreamWhoseHeadIsOutIsCutByInternalErrorBeforeTheEnd) {
    scene play;
    play.holds_handlers = true;
    const auto id = play.client.get("/");
    play.settle();
    play.reply(id, scene::streamed());
    play.drain(100ms, 1s);
    play.tick_after(1s);
    EXPECT_EQ(play.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(play.account().cut, 1);
    play.give_piece(id, 0);
    play.tick_after(10ms);
    EXPECT_TRUE(play.machine.over());
}

/// A stream of events that has been told of the drain, and has said this much.
struct told_stream {
    explicit told_stream(std::uint32_t window, std::size_t bytes) : play({}, window, false) {
        play.holds_handlers = true;
        id = play.client.get("/ticks");
        play.settle();
        play.stream_events(id);
        play.say(id, std::string(bytes, 'x'));
        play.drain(1s, 20s);
        play.tick_after(500ms);
        EXPECT_EQ(play.account().told, 1);
    }
    const peer::answer& answer() { return play.answer(id); }

    scene play;
    std::int32_t id;
};

TEST(Http2Stop, AStreamWhoseEndNobodyReadsIsResetASecondAfterTheIdleGrace) {
    told_stream told(100, 1'000);
    told.play.tick_after(500ms);
    told.play.tick_after(990ms);
    EXPECT_FALSE(told.answer().reset);
    told.play.tick_after(10ms);
    EXPECT_EQ(told.answer().reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_FALSE(told.answer().ended);
    EXPECT_TRUE(told.play.machine.over());
    EXPECT_EQ(told.play.account().cut, 0) << "it is its client that does not read";
    EXPECT_EQ(told.play.account().gone, 1);
    EXPECT_EQ(told.play.account().cut_stream, 1);
    EXPECT_EQ(told.play.account().ended_by_us, 0);
}

TEST(Http2Stop, AClientThatReadsTheEndOfAStreamWithinThatSecondHasAllOfIt) {
    told_stream told(100, 1'000);
    told.play.tick_after(500ms);
    told.play.tick_after(990ms);
    told.play.client.open_window(told.id, 1'000);
    told.play.settle();
    EXPECT_TRUE(told.answer().ended);
    EXPECT_EQ(told.play.account().finished, 1);
    EXPECT_EQ(told.play.account().ended_by_us, 1);
}

TEST(Http2Stop, AStreamThatEndsByItselfLaterHasASecondFromThen) {
    told_stream told(100, 10);
    told.play.tick_after(2'500ms);
    told.play.say(told.id, std::string(1'000, 'x'));
    told.play.tick_after(990ms);
    EXPECT_FALSE(told.answer().reset);
    told.play.tick_after(10ms);
    EXPECT_EQ(told.answer().reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(told.play.account().gone, 1);
}

TEST(Http2Stop, AnAnswerThatIsNoStreamIsWaitedFor) {
    scene play({}, 100, false);
    play.holds_handlers = true;
    const auto id = play.client.get("/");
    play.settle();
    play.reply(id, server::response(http::status::ok, std::string(1'000, 'x')));
    play.drain(1s, 20s);
    play.tick_after(19s);
    EXPECT_FALSE(play.answer(id).reset);
    play.tick_after(1s);
    EXPECT_EQ(play.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(play.account().cut, 1);
}

TEST(Http2Stop, AnAnswerThatIsNoStreamOfTextsIsNeverEndedByUsBeforeItIsWhole) {
    for (const bool promised : {true, false}) {
        scene play;
        play.holds_handlers = true;
        const auto id = play.client.get("/poll");
        play.settle();
        play.reply(id, scene::streamed(promised ? std::optional(3'000U) : std::nullopt));
        play.drain(1s, 20s);
        play.tick_after(1s);
        EXPECT_EQ(play.account().told, 1) << promised;
        EXPECT_FALSE(play.asked.at(id)->current.scope.get().done()) << "it has until the app gives up";
        play.tick_after(5s);
        play.give_piece(id, 2'000);
        ASSERT_TRUE(play.asked.contains(id)) << "there is more to come, " << promised;
        play.give_piece(id, 995);
        if (!promised) play.give_piece(id, 0);
        EXPECT_EQ(play.answer(id).body.size(), 3'000) << promised;
        EXPECT_TRUE(play.answer(id).ended) << promised;
        EXPECT_FALSE(play.answer(id).reset) << promised;
        EXPECT_EQ(play.account().ended, 1) << promised;
        EXPECT_EQ(play.account().ended_by_us, 0) << promised;
    }
}

TEST(Http2Stop, TheLastOfItIsWaitedForLikeThatOfAnyAnswer) {
    for (const bool promised : {true, false}) {
        scene play({}, 100, false);
        play.holds_handlers = true;
        const auto id = play.client.get("/poll");
        play.settle();
        play.reply(id, scene::streamed(promised ? std::optional(1'005U) : std::nullopt));
        play.give_piece(id, 1'000);
        play.drain(1s, 20s);
        play.tick_after(1s);
        play.tick_after(5s);
        EXPECT_FALSE(play.answer(id).reset) << promised;
        play.client.open_window(id, 2'000);
        play.settle();
        if (!promised) play.give_piece(id, 0);
        EXPECT_TRUE(play.answer(id).ended) << promised;
        EXPECT_EQ(play.account().finished, 1) << promised;
    }
}

std::string letters(const scene& of) { return {of.machine.ending().who, of.machine.ending().when}; }

TEST(Http2Stop, TheLettersOfAConnectionSayWhoHasEndedIt) {
    scene told, forced, left, late;
    told.drain(0s, 20s);
    told.tick_after(10ms);
    EXPECT_EQ(letters(told), "D-");
    for (auto* each : {&forced, &left, &late}) {
        each->holds_handlers = true;
        each->client.get("/");
        each->settle();
    }
    forced.drain(100ms, 1s);
    forced.tick_after(1s);
    EXPECT_EQ(letters(forced), "K-");
    left.machine.lost(left.at());
    EXPECT_EQ(letters(left), "CD");
    late.machine.lost(late.at(), {'T', 'D'});
    EXPECT_EQ(letters(late), "TD");
}

TEST(Http2Stop, ARequestThatIsNotWholeAtTheEndIsRefusedAndCutIfItsBodyHasBegun) {
    for (const bool begun : {false, true}) {
        scene scene;
        const auto id = scene.client.ask("POST", "/", {}, std::nullopt, true);
        scene.settle();
        if (begun) scene.send_body(id, 3);
        scene.drain(100ms, 1s);
        scene.tick_after(1s);
        EXPECT_EQ(scene.answer(id).status, 503);
        EXPECT_EQ(scene.account().cut, begun ? 1 : 0);
        EXPECT_EQ(scene.account().finished, begun ? 0 : 1);
        EXPECT_EQ(scene.machine.forced(), begun);
    }
}

TEST(Http2Stop, ARequestForAStreamOfEventsThatIsNotWholeAtTheEndIsAnsweredByOneThatHoldsNothing) {
    scene scene;
    const auto id = scene.client.ask("GET", "/ticks", {}, std::nullopt, true);
    scene.settle();
    scene.send_body(id, 3);
    scene.drain(100ms, 1s);
    scene.tick_after(1s);
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_TRUE(scene.answer(id).body.starts_with("retry: ")) << scene.answer(id).body;
    EXPECT_EQ(scene.account().cut, 1);
}

TEST(Http2Stop, AConnectionThatHasHadItsRequestsGoesInTheSameTwoSteps) {
    server::options limits;
    limits.max_requests = 2;
    scene scene(limits);
    scene.client.get("/");
    const auto last = scene.client.get("/");
    scene.settle();
    scene.tick_after(10ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice));
    scene.tick_after(100ms);
    EXPECT_THAT(scene.client.goaways, ElementsAre(notice, goaway{last, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Stop, AConnectionThatIsToldToGoSaysWhichStreamWasTheLast) {
    scene scene;
    const auto id = scene.client.get("/");
    scene.settle();
    scene.machine.go({'R', 'I'}, scene.at());
    scene.settle();
    EXPECT_THAT(scene.client.goaways, ElementsAre(goaway{id, NGHTTP2_NO_ERROR}));
    EXPECT_TRUE(scene.machine.over());
}

}  // namespace
}  // namespace http2_tests
