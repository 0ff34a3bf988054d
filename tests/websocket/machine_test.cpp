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
            scene one(limits(copies));
            one.piece = piece;
            one.send(bytes);
            ASSERT_EQ(one.seen().size(), 4U);
            EXPECT_EQ(one.seen()[0].payload, "one");
            EXPECT_EQ(one.seen()[0].first, 0x81U);
            EXPECT_EQ(one.seen()[1].kind(), 10U);
            EXPECT_EQ(one.seen()[2].first, 0x82U);
            EXPECT_EQ(one.seen()[2].payload, "two");
            EXPECT_EQ(one.seen()[3].payload, std::string(300, 'x'));
            EXPECT_EQ(one.opened, 1);
        }
}

TEST(WebSocket, ACloseOfThePeerIsAnsweredByItsCodeAndThenFin) {
    scene one;
    one.send(frames::text("last") + frames::close(4321, "bye"));
    EXPECT_EQ(one.close_code(), 4321U);
    EXPECT_EQ(one.seen().size(), 2U);
    EXPECT_TRUE(one.half_closed);
    EXPECT_FALSE(one.closed);
    EXPECT_EQ(one.told_code, 4321U);
    EXPECT_EQ(one.one.end().reason, "bye");
    one.finishes();
    EXPECT_TRUE(one.closed);
    EXPECT_FALSE(one.reset);
    EXPECT_EQ(one.one.how(), machine::ending::whole);
}

TEST(WebSocket, ACloseWithoutACodeIsAnsweredByOneWithoutACode) {
    scene one;
    one.send(frames::masked(0x88, ""));
    ASSERT_EQ(one.seen().size(), 1U);
    EXPECT_EQ(one.seen()[0].payload, "");
    EXPECT_EQ(one.told_code, 1005U);
}

TEST(WebSocket, WhatComesBehindACloseIsNotLookedAt) {
    scene one;
    one.send(frames::close(1000) + frames::text("late"));
    one.send(frames::text("later") + "no frame at all");
    EXPECT_TRUE(one.messages.empty());
    EXPECT_EQ(one.seen().size(), 1U);
    one.tick_after(1s);
    EXPECT_TRUE(one.closed);
    EXPECT_FALSE(one.reset);
}

TEST(WebSocket, AFaultIsSaidAndThePeerHasASecondToReadIt) {
    scene one;
    one.send(frames::text("good") +
             "\x81\x01"
             "a");
    EXPECT_EQ(one.close_code(), 1002U);
    EXPECT_EQ(one.seen()[0].payload, "good");
    EXPECT_TRUE(one.half_closed);
    one.send("it sends on");
    one.tick_after(990ms);
    EXPECT_FALSE(one.closed);
    one.tick_after(10ms);
    EXPECT_TRUE(one.closed);
    EXPECT_FALSE(one.reset);
    EXPECT_EQ(one.told_code, 1002U);
}

TEST(WebSocket, APeerThatGoesWithoutAWordIs1006) {
    scene one, reset;
    one.finishes();
    EXPECT_TRUE(one.closed);
    EXPECT_EQ(one.told_code, 1006U);
    EXPECT_EQ(one.one.how(), machine::ending::gone);
    reset.gone = true;
    reset.send(frames::text("x"));
    EXPECT_TRUE(reset.closed);
    EXPECT_EQ(reset.told_code, 1006U);
}

TEST(WebSocket, AHandlerIsToldThatItsSocketHasEndedAlsoWhenWeEndedIt) {
    scene one;
    one.holds = true;
    one.send(frames::text("work for it"));
    one.one.close_with(4000, "enough");
    one.settle();
    one.tick_after(1s);  // and the peer says nothing
    EXPECT_FALSE(one.closed) << "its handler is waited for";
    EXPECT_EQ(one.one.cancels(), lifecycle::cause::client_gone);
    EXPECT_EQ(one.one.how(), machine::ending::by_us);
    one.drain(0s, 0s);
    one.tick_after(server::grace_after_deadline);
    EXPECT_EQ(one.one.how(), machine::ending::cut) << "a stop does not wait for one that does not hear";
    one.returns();
    EXPECT_TRUE(one.closed);
}

TEST(WebSocket, ACloseOfOursIsBehindWhatWasSentAndNothingIsBehindIt) {
    scene one;
    one.one.send(opcode::text, "first");
    one.one.close_with(4000, "enough");
    EXPECT_EQ(one.one.send(opcode::text, "late"), sent::closed);
    one.settle();
    one.send(frames::ping() + frames::text("crosses"));
    ASSERT_EQ(one.seen().size(), 2U);
    EXPECT_EQ(one.seen()[1].code(), 4000U);
    EXPECT_EQ(one.seen()[1].payload.substr(2), "enough");
    EXPECT_FALSE(one.half_closed);
    one.send(frames::close(1000));
    EXPECT_TRUE(one.half_closed);
    EXPECT_EQ(one.count(8), 1U);
    EXPECT_EQ(one.told_code, 4000U);
    EXPECT_EQ(one.one.how(), machine::ending::whole);
}

TEST(WebSocket, AHandlerThatThrowsIs1011) {
    scene one;
    one.holds = true;
    one.send(frames::text("x"));
    one.one.returned(true);
    one.settle();
    EXPECT_EQ(one.close_code(), 1011U);
}

// ── handlers that wait ──────────────────────────────────────────────────────────────────────────

TEST(WaitingHandler, GetsOneMessageAfterTheOtherAndPingsAreAnsweredMeanwhile) {
    scene one(limits(true));
    one.holds = true;
    one.send(frames::text("1") + frames::ping("p") + frames::text("2") + frames::text("3"));
    EXPECT_EQ(one.messages, std::vector<std::string>{"1"});
    EXPECT_EQ(one.one.current().data, "1");
    EXPECT_EQ(one.count(10), 1U);
    one.send(frames::text("4"));
    EXPECT_FALSE(one.to_server.empty());  // nothing more is read: one message is ahead
    one.reply("a1");
    EXPECT_EQ(one.one.current().data, "2");
    one.reply("a2");
    one.reply("a3");
    one.reply("a4");
    EXPECT_EQ(one.messages, (std::vector<std::string>{"1", "2", "3", "4"}));
    EXPECT_EQ(one.count(1), 4U);
}

TEST(WaitingHandler, IsWaitedForWhenThePeerHasGone) {
    scene one(limits(true));
    one.holds = true;
    one.send(frames::text("1"));
    one.finishes();
    EXPECT_FALSE(one.closed);
    EXPECT_EQ(one.one.cancels(), lifecycle::cause::client_gone);
    EXPECT_FALSE(one.told_code);
    one.returns();
    EXPECT_TRUE(one.closed);
    EXPECT_EQ(one.told_code, 1006U);
}

TEST(WaitingHandler, CannotAnswerWhomItHasClosed) {
    scene one(limits(true));
    one.holds = true;
    one.send(frames::text("1") + frames::close(1000));
    EXPECT_EQ(one.one.send(opcode::text, "late"), sent::closed);
    one.returns();
    EXPECT_EQ(one.seen().size(), 1U);
    EXPECT_EQ(one.told_code, 1000U);
}

// ── a peer that does not read, or is dead ───────────────────────────────────────────────────────

TEST(SlowPeer, IsNotReadWhileItDoesNotRead) {
    scene one;
    one.room = 100;
    for (int nth = 0; nth < 100; ++nth) one.send(frames::text(std::string(90, 'x')));
    EXPECT_GT(one.to_server.size(), 8'000U);
    EXPECT_LT(one.one.backlog(), 400U);
    while (!one.to_server.empty() || one.one.backlog() > 0) one.reads();
    EXPECT_EQ(one.count(1), 100U);
}

TEST(SlowPeer, AtTheBoundIsClosedWith1013) {
    auto small = limits();
    small.max_backlog = 1'000;
    scene one(small);
    one.room = 100;
    EXPECT_EQ(one.one.send(opcode::text, std::string(900, 'x')), sent::queued);
    one.settle();
    EXPECT_EQ(one.one.send(opcode::text, std::string(900, 'x')), sent::dropped);
    EXPECT_EQ(one.one.send(opcode::text, "x"), sent::closed);
    one.settle();
    while (one.unread > 0) one.reads();
    EXPECT_EQ(one.close_code(), 1013U);
}

TEST(SlowPeer, AtTheBoundMissesAMessageWhereThatIsAskedFor) {
    auto small = limits();
    small.max_backlog = 1'000;
    small.overflow = at_bound::drop;
    scene one(small);
    one.room = 100;
    one.one.send(opcode::text, std::string(900, 'x'));
    one.settle();
    EXPECT_EQ(one.one.send(opcode::text, std::string(900, 'y')), sent::dropped);
    EXPECT_EQ(one.one.send(opcode::text, "z"), sent::queued);
    while (one.unread > 0) one.reads();
    ASSERT_EQ(one.seen().size(), 2U);
    EXPECT_EQ(one.seen()[1].payload, "z");
}

TEST(SlowPeer, ThatTakesNothingForAWriteTimeoutIsCut) {
    scene dead, slow;
    for (auto* one : {&dead, &slow}) {
        one->room = 100;
        one->send(frames::text(std::string(1'000, 'x')));
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
    scene one;
    one.tick_after(19'990ms);
    EXPECT_EQ(one.count(9), 0U);
    one.tick_after(10ms);
    EXPECT_EQ(one.count(9), 1U);
    one.tick_after(20s);
    EXPECT_EQ(one.count(9), 2U);
    EXPECT_FALSE(one.closed);
    one.tick_after(20s);
    EXPECT_TRUE(one.reset);
    EXPECT_EQ(one.told_code, 1006U);
}

TEST(DeadPeer, IsNoneThatAnswers) {
    scene one;
    for (int minutes = 0; minutes < 10; ++minutes) {
        one.tick_after(20s);
        one.send(frames::pong());
    }
    EXPECT_FALSE(one.closed);
    EXPECT_EQ(one.count(9), 10U);
}

// ── a stop ──────────────────────────────────────────────────────────────────────────────────────

TEST(StopOfWebSockets, AnIdleOneHears1001WithinHalfTheGraceAndIsClosedASecondLater) {
    scene one;
    one.drain();
    one.live(510ms);
    EXPECT_EQ(one.close_code(), 1001U);
    EXPECT_TRUE(one.one.told());
    EXPECT_FALSE(one.half_closed);
    one.live(1s);
    EXPECT_TRUE(one.closed);
    EXPECT_FALSE(one.reset);
    EXPECT_EQ(one.one.how(), machine::ending::by_us);
}

TEST(StopOfWebSockets, Both1000And1001AreAnswers) {
    for (const unsigned code : {1000U, 1001U}) {
        scene one;
        one.drain();
        one.live(510ms);
        one.send(frames::close(code));
        EXPECT_TRUE(one.half_closed);
        one.finishes();
        EXPECT_TRUE(one.closed);
        EXPECT_EQ(one.count(8), 1U);
        EXPECT_EQ(one.one.how(), machine::ending::whole);
    }
}

TEST(StopOfWebSockets, WhatHasArrivedIsAnsweredBeforeTheClose) {
    scene one;
    one.drain();
    one.arrives(frames::text("in time"));
    while (one.close_code() == 0) one.tick_after(10ms);
    ASSERT_EQ(one.seen().size(), 2U);
    EXPECT_EQ(one.seen()[0].payload, "in time");
    EXPECT_EQ(one.seen()[1].code(), 1001U);
}

TEST(StopOfWebSockets, AMessageWhoseHandlerWorksIsAnsweredFirst) {
    scene one(limits(true));
    one.holds = true;
    one.send(frames::text("1") + frames::text("2"));
    one.drain();
    one.live(3s);
    EXPECT_EQ(one.close_code(), 0U);
    one.reply("a1");
    EXPECT_EQ(one.close_code(), 0U);  // it has been read, so it is answered
    one.reply("a2");
    ASSERT_EQ(one.seen().size(), 3U);
    EXPECT_EQ(one.seen()[1].payload, "a2");
    EXPECT_EQ(one.close_code(), 1001U);
}

TEST(StopOfWebSockets, AHandlerThatDoesNotEndIsToldAndThenCut) {
    scene one(limits(true));
    one.holds = true;
    one.send(frames::text("1"));
    one.drain(1s, 5s);
    one.live(4'990ms);
    EXPECT_EQ(one.one.cancels(), lifecycle::cause::none);
    one.live(20ms);
    EXPECT_EQ(one.one.cancels(), lifecycle::cause::shutdown);
    EXPECT_EQ(one.one.how(), machine::ending::none);
    one.live(110ms);
    EXPECT_EQ(one.one.how(), machine::ending::cut);
    one.returns();
    EXPECT_TRUE(one.reset);
}

TEST(StopOfWebSockets, OneThatDoesNotReadIsCut) {
    scene one;
    one.room = 100;
    one.send(frames::text(std::string(1'000, 'x')) + frames::text("cannot be answered"));
    one.drain();
    one.live(990ms);
    EXPECT_FALSE(one.closed);
    one.live(1'020ms);
    EXPECT_TRUE(one.reset);
    EXPECT_EQ(one.one.how(), machine::ending::cut);
}

TEST(StopOfWebSockets, InTheMiddleOfAMessageOfThePeerItIsClosedToo) {
    scene one;
    one.send(frames::masked(1, "begun"));
    one.drain();
    one.live(510ms);
    EXPECT_EQ(one.close_code(), 1001U);
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
        for (auto& one : all) {
            if (!one) continue;
            one->tick(drain, now, 0);
            for (bool waits = false; !waits && one;) switch (one->next(now)) {
                    case step::write:
                        told.insert(now - drain.began);
                        one->wrote(one->to_write().size());
                        break;
                    case step::say_closed: one->returned(); break;
                    case step::close:
                        one.reset();
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
    scene one;
    one.send(frames::text(std::string(100'000, 'x')));
    EXPECT_EQ(one.count(1), 1U);
    EXPECT_EQ(one.one.backlog(), 0U);
}

}  // namespace
