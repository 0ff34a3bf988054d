// What becomes of a WebSocket: the rows of docs/websocket.md, without socket and clock.
#include "server/websocket/machine.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/websocket/one_socket.hpp"

namespace {

using namespace one_socket;
using server::websocket::at_bound;

machine_limits limits(bool copies = false) {
    machine_limits made;
    made.copies = copies;
    return made;
}

TEST(WebSocket, EchoesInOrderHoweverTheBytesAreCut) {
    const auto bytes = frames::text("one") + frames::masked(2, "tw") + frames::ping("p") + frames::masked(0x80, "o") +
                       frames::text(std::string(300, 'x'));
    for (const std::size_t piece : {std::string::npos, std::size_t{1}, std::size_t{5}})
        for (const bool copies : {false, true}) {
            scene scene(limits(copies));
            scene.piece = piece;
            scene.send(bytes);
            ASSERT_EQ(scene.seen().size(), 4U);
            EXPECT_EQ(scene.seen()[0].payload, "one");
            EXPECT_EQ(scene.seen()[0].first, 0x81U);
            EXPECT_EQ(scene.seen()[1].kind(), 10U);
            EXPECT_EQ(scene.seen()[2].first, 0x82U);
            EXPECT_EQ(scene.seen()[2].payload, "two");
            EXPECT_EQ(scene.seen()[3].payload, std::string(300, 'x'));
            EXPECT_EQ(scene.opened, 1);
        }
}

TEST(WebSocket, ACloseOfThePeerIsAnsweredByItsCodeAndThenFin) {
    scene scene;
    scene.send(frames::text("last") + frames::close(4321, "bye"));
    EXPECT_EQ(scene.close_code(), 4321U);
    EXPECT_EQ(scene.seen().size(), 2U);
    EXPECT_TRUE(scene.half_closed);
    EXPECT_FALSE(scene.closed);
    EXPECT_EQ(scene.told_code, 4321U);
    EXPECT_EQ(scene.tested.end().reason, "bye");
    scene.finishes();
    EXPECT_TRUE(scene.closed);
    EXPECT_FALSE(scene.reset);
    EXPECT_EQ(scene.tested.how(), machine::ending::whole);
}

TEST(WebSocket, ACloseWithoutACodeIsAnsweredByOneWithoutACode) {
    scene scene;
    scene.send(frames::masked(0x88, ""));
    ASSERT_EQ(scene.seen().size(), 1U);
    EXPECT_EQ(scene.seen()[0].payload, "");
    EXPECT_EQ(scene.told_code, 1005U);
}

TEST(WebSocket, WhatComesBehindACloseIsNotLookedAt) {
    scene scene;
    scene.send(frames::close(1000) + frames::text("late"));
    scene.send(frames::text("later") + "no frame at all");
    EXPECT_TRUE(scene.messages.empty());
    EXPECT_EQ(scene.seen().size(), 1U);
    scene.tick_after(1s);
    EXPECT_TRUE(scene.closed);
    EXPECT_FALSE(scene.reset);
}

TEST(WebSocket, AFaultIsSaidAndThePeerHasASecondToReadIt) {
    scene scene;
    scene.send(frames::text("good") +
               "\x81\x01"
               "a");
    EXPECT_EQ(scene.close_code(), 1002U);
    EXPECT_EQ(scene.seen()[0].payload, "good");
    EXPECT_TRUE(scene.half_closed);
    scene.send("it sends on");
    scene.tick_after(990ms);
    EXPECT_FALSE(scene.closed);
    scene.tick_after(10ms);
    EXPECT_TRUE(scene.closed);
    EXPECT_FALSE(scene.reset);
    EXPECT_EQ(scene.told_code, 1002U);
}

TEST(WebSocket, APeerThatGoesWithoutAWordIs1006) {
    scene scene, reset;
    scene.finishes();
    EXPECT_TRUE(scene.closed);
    EXPECT_EQ(scene.told_code, 1006U);
    EXPECT_EQ(scene.tested.how(), machine::ending::gone);
    reset.gone = true;
    reset.send(frames::text("x"));
    EXPECT_TRUE(reset.closed);
    EXPECT_EQ(reset.told_code, 1006U);
}

TEST(WebSocket, AHandlerIsToldThatItsSocketHasEndedAlsoWhenWeEndedIt) {
    scene scene;
    scene.holds = true;
    scene.send(frames::text("work for it"));
    scene.tested.close_with(4000, "enough");
    scene.settle();
    scene.tick_after(1s);  // and the peer says nothing
    EXPECT_FALSE(scene.closed) << "its handler is waited for";
    EXPECT_EQ(scene.tested.cancels(), lifecycle::cause::client_gone);
    EXPECT_EQ(scene.tested.how(), machine::ending::by_us);
    scene.drain(0s, 0s);
    scene.tick_after(server::grace_after_deadline);
    EXPECT_EQ(scene.tested.how(), machine::ending::cut) << "a stop does not wait for one that does not hear";
    scene.returns();
    EXPECT_TRUE(scene.closed);
}

TEST(WebSocket, ACloseOfOursIsBehindWhatWasSentAndNothingIsBehindIt) {
    scene scene;
    scene.tested.send(opcode::text, "first");
    scene.tested.close_with(4000, "enough");
    EXPECT_EQ(scene.tested.send(opcode::text, "late"), sent::closed);
    scene.settle();
    scene.send(frames::ping() + frames::text("crosses"));
    ASSERT_EQ(scene.seen().size(), 2U);
    EXPECT_EQ(scene.seen()[1].code(), 4000U);
    EXPECT_EQ(scene.seen()[1].payload.substr(2), "enough");
    EXPECT_FALSE(scene.half_closed);
    scene.send(frames::close(1000));
    EXPECT_TRUE(scene.half_closed);
    EXPECT_EQ(scene.count(8), 1U);
    EXPECT_EQ(scene.told_code, 4000U);
    EXPECT_EQ(scene.tested.how(), machine::ending::whole);
}

TEST(WebSocket, AHandlerThatThrowsIs1011) {
    scene scene;
    scene.holds = true;
    scene.send(frames::text("x"));
    scene.tested.returned(true);
    scene.settle();
    EXPECT_EQ(scene.close_code(), 1011U);
}

// ── handlers that wait ──────────────────────────────────────────────────────────────────────────

TEST(WaitingHandler, GetsOneMessageAfterTheOtherAndPingsAreAnsweredMeanwhile) {
    scene scene(limits(true));
    scene.holds = true;
    scene.send(frames::text("1") + frames::ping("p") + frames::text("2") + frames::text("3"));
    EXPECT_EQ(scene.messages, std::vector<std::string>{"1"});
    EXPECT_EQ(scene.tested.current().data, "1");
    EXPECT_EQ(scene.count(10), 1U);
    scene.send(frames::text("4"));
    EXPECT_FALSE(scene.to_server.empty());  // nothing more is read: one message is ahead
    scene.reply("a1");
    EXPECT_EQ(scene.tested.current().data, "2");
    scene.reply("a2");
    scene.reply("a3");
    scene.reply("a4");
    EXPECT_EQ(scene.messages, (std::vector<std::string>{"1", "2", "3", "4"}));
    EXPECT_EQ(scene.count(1), 4U);
}

TEST(WaitingHandler, IsWaitedForWhenThePeerHasGone) {
    scene scene(limits(true));
    scene.holds = true;
    scene.send(frames::text("1"));
    scene.finishes();
    EXPECT_FALSE(scene.closed);
    EXPECT_EQ(scene.tested.cancels(), lifecycle::cause::client_gone);
    EXPECT_FALSE(scene.told_code);
    scene.returns();
    EXPECT_TRUE(scene.closed);
    EXPECT_EQ(scene.told_code, 1006U);
}

TEST(WaitingHandler, CannotAnswerWhomItHasClosed) {
    scene scene(limits(true));
    scene.holds = true;
    scene.send(frames::text("1") + frames::close(1000));
    EXPECT_EQ(scene.tested.send(opcode::text, "late"), sent::closed);
    scene.returns();
    EXPECT_EQ(scene.seen().size(), 1U);
    EXPECT_EQ(scene.told_code, 1000U);
}

// ── a peer that does not read, or is dead ───────────────────────────────────────────────────────

TEST(SlowPeer, IsNotReadWhileItDoesNotRead) {
    scene scene;
    scene.room = 100;
    for (int nth = 0; nth < 100; ++nth) scene.send(frames::text(std::string(90, 'x')));
    EXPECT_GT(scene.to_server.size(), 8'000U);
    EXPECT_LT(scene.tested.backlog(), 400U);
    while (!scene.to_server.empty() || scene.tested.backlog() > 0) scene.reads();
    EXPECT_EQ(scene.count(1), 100U);
}

TEST(SlowPeer, AtTheBoundIsClosedWith1013) {
    auto small = limits();
    small.max_backlog = 1'000;
    scene scene(small);
    scene.room = 100;
    EXPECT_EQ(scene.tested.send(opcode::text, std::string(900, 'x')), sent::queued);
    scene.settle();
    EXPECT_EQ(scene.tested.send(opcode::text, std::string(900, 'x')), sent::dropped);
    EXPECT_EQ(scene.tested.send(opcode::text, "x"), sent::closed);
    scene.settle();
    while (scene.unread > 0) scene.reads();
    EXPECT_EQ(scene.close_code(), 1013U);
}

TEST(SlowPeer, AtTheBoundMissesAMessageWhereThatIsAskedFor) {
    auto small = limits();
    small.max_backlog = 1'000;
    small.overflow = at_bound::drop;
    scene scene(small);
    scene.room = 100;
    scene.tested.send(opcode::text, std::string(900, 'x'));
    scene.settle();
    EXPECT_EQ(scene.tested.send(opcode::text, std::string(900, 'y')), sent::dropped);
    EXPECT_EQ(scene.tested.send(opcode::text, "z"), sent::queued);
    while (scene.unread > 0) scene.reads();
    ASSERT_EQ(scene.seen().size(), 2U);
    EXPECT_EQ(scene.seen()[1].payload, "z");
}

TEST(SlowPeer, ThatTakesNothingForAWriteTimeoutIsCut) {
    scene dead, slow;
    for (auto* each : {&dead, &slow}) {
        each->room = 100;
        each->send(frames::text(std::string(1'000, 'x')));
    }
    dead.tick_after(29s);
    slow.tick_after(29s);
    EXPECT_FALSE(dead.closed);
    slow.reads();
    dead.tick_after(1s);
    slow.tick_after(29s);
    EXPECT_TRUE(dead.reset);
    EXPECT_FALSE(slow.closed);
}

TEST(DeadPeer, IsPingedAndCutAfterTwoPingsWithoutASign) {
    scene scene;
    scene.tick_after(19'990ms);
    EXPECT_EQ(scene.count(9), 0U);
    scene.tick_after(10ms);
    EXPECT_EQ(scene.count(9), 1U);
    scene.tick_after(20s);
    EXPECT_EQ(scene.count(9), 2U);
    EXPECT_FALSE(scene.closed);
    scene.tick_after(20s);
    EXPECT_TRUE(scene.reset);
    EXPECT_EQ(scene.told_code, 1006U);
}

TEST(DeadPeer, IsNoneThatAnswers) {
    scene scene;
    for (int minutes = 0; minutes < 10; ++minutes) {
        scene.tick_after(20s);
        scene.send(frames::pong());
    }
    EXPECT_FALSE(scene.closed);
    EXPECT_EQ(scene.count(9), 10U);
}

// ── a stop ──────────────────────────────────────────────────────────────────────────────────────

TEST(StopOfWebSockets, AnIdleOneHears1001WithinHalfTheGraceAndIsClosedASecondLater) {
    scene scene;
    scene.drain();
    scene.live(510ms);
    EXPECT_EQ(scene.close_code(), 1001U);
    EXPECT_TRUE(scene.tested.told());
    EXPECT_FALSE(scene.half_closed);
    scene.live(1s);
    EXPECT_TRUE(scene.closed);
    EXPECT_FALSE(scene.reset);
    EXPECT_EQ(scene.tested.how(), machine::ending::by_us);
}

TEST(StopOfWebSockets, Both1000And1001AreAnswers) {
    for (const unsigned code : {1000U, 1001U}) {
        scene scene;
        scene.drain();
        scene.live(510ms);
        scene.send(frames::close(code));
        EXPECT_TRUE(scene.half_closed);
        scene.finishes();
        EXPECT_TRUE(scene.closed);
        EXPECT_EQ(scene.count(8), 1U);
        EXPECT_EQ(scene.tested.how(), machine::ending::whole);
    }
}

TEST(StopOfWebSockets, WhatHasArrivedIsAnsweredBeforeTheClose) {
    scene scene;
    scene.drain();
    scene.arrives(frames::text("in time"));
    while (scene.close_code() == 0) scene.tick_after(10ms);
    ASSERT_EQ(scene.seen().size(), 2U);
    EXPECT_EQ(scene.seen()[0].payload, "in time");
    EXPECT_EQ(scene.seen()[1].code(), 1001U);
}

TEST(StopOfWebSockets, AMessageWhoseHandlerWorksIsAnsweredFirst) {
    scene scene(limits(true));
    scene.holds = true;
    scene.send(frames::text("1") + frames::text("2"));
    scene.drain();
    scene.live(3s);
    EXPECT_EQ(scene.close_code(), 0U);
    scene.reply("a1");
    EXPECT_EQ(scene.close_code(), 0U);  // it has been read, so it is answered
    scene.reply("a2");
    ASSERT_EQ(scene.seen().size(), 3U);
    EXPECT_EQ(scene.seen()[1].payload, "a2");
    EXPECT_EQ(scene.close_code(), 1001U);
}

TEST(StopOfWebSockets, AHandlerThatDoesNotEndIsToldAndThenCut) {
    scene scene(limits(true));
    scene.holds = true;
    scene.send(frames::text("1"));
    scene.drain(1s, 5s);
    scene.live(4'990ms);
    EXPECT_EQ(scene.tested.cancels(), lifecycle::cause::none);
    scene.live(20ms);
    EXPECT_EQ(scene.tested.cancels(), lifecycle::cause::shutdown);
    EXPECT_EQ(scene.tested.how(), machine::ending::none);
    scene.live(110ms);
    EXPECT_EQ(scene.tested.how(), machine::ending::cut);
    scene.returns();
    EXPECT_TRUE(scene.reset);
}

TEST(StopOfWebSockets, OneThatDoesNotReadIsCut) {
    scene scene;
    scene.room = 100;
    scene.send(frames::text(std::string(1'000, 'x')) + frames::text("cannot be answered"));
    scene.drain();
    scene.live(990ms);
    EXPECT_FALSE(scene.closed);
    scene.live(1'020ms);
    EXPECT_TRUE(scene.reset);
    EXPECT_EQ(scene.tested.how(), machine::ending::cut);
}

TEST(StopOfWebSockets, InTheMiddleOfAMessageOfThePeerItIsClosedToo) {
    scene scene;
    scene.send(frames::masked(1, "begun"));
    scene.drain();
    scene.live(510ms);
    EXPECT_EQ(scene.close_code(), 1001U);
}

TEST(StopOfWebSockets, FiftyThousandIdleOnesCloseWithinTheGraceAndASecondSpread) {
    constexpr int many = 50'000;
    const machine_limits with;
    std::vector<std::unique_ptr<machine>> all;
    clock::time_point now{1'000'000h};
    for (int nth = 0; nth < many; ++nth) {
        now += 37us;
        all.push_back(std::make_unique<machine>(with, nullptr, now));
        EXPECT_EQ(all.back()->next(now), step::say_open);
        all.back()->returned();
        EXPECT_EQ(all.back()->next(now), step::wait);
    }
    const server::drain_view drain{.draining = true, .began = now, .idle_until = now + 1s, .over = now + 20s};
    std::multiset<clock::duration> told;
    std::size_t open = all.size();
    for (const auto end = now + 1'600ms; now < end && open > 0; now += 10ms)
        for (auto& each : all) {
            if (!each) continue;
            each->tick(drain, now, 0);
            for (bool waits = false; !waits && each;) switch (each->next(now)) {
                    case step::write:
                        told.insert(now - drain.began);
                        each->wrote(each->to_write().size());
                        break;
                    case step::say_closed: each->returned(); break;
                    case step::close:
                        each.reset();
                        --open;
                        break;
                    case step::wait: waits = true; break;
                    default: break;
                }
        }
    EXPECT_EQ(open, 0U);
    EXPECT_EQ(told.size(), static_cast<std::size_t>(many));
    for (auto from = 0ms; from < 500ms; from += 50ms) {  // each twentieth of the grace has its share
        const auto share = std::distance(told.lower_bound(from), told.lower_bound(from + 50ms));
        EXPECT_GT(share, many / 20) << from.count();
        EXPECT_LT(share, many / 5) << from.count();
    }
}

TEST(WebSocket, IdleOwnsLittleAndNoBuffer) {
    EXPECT_LE(sizeof(machine), 480U);
    scene scene;
    scene.send(frames::text(std::string(100'000, 'x')));
    EXPECT_EQ(scene.count(1), 1U);
    EXPECT_EQ(scene.tested.backlog(), 0U);
}

}  // namespace
