// When a connection tells its client to go, and how much of what is cheap a client may do, by values of a clock.

#include "server/http2/drain.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "server/http2/allowance.hpp"

namespace http2_tests {
namespace {

using namespace std::chrono_literals;
using lifecycle::clock;
using server::http2::allowance;
using server::http2::departure;
using step = server::http2::goodbye::step;

constexpr clock::time_point start{1'000'000h};

server::drain_view drain_of(clock::duration idle_grace) {
    return {.draining = true, .began = start, .idle_until = start + idle_grace, .over = start + 1h};
}

TEST(Departure, ABusyConnectionIsToldAfterAnEighthOfTheIdleGrace) {
    departure some;
    EXPECT_EQ(some.next(true, start), step::none) << "there is no drain";
    some.see(drain_of(8s));
    EXPECT_EQ(some.next(false, start + 999ms), step::none);
    EXPECT_EQ(some.next(false, start + 1s), step::notice);
    departure quiet;
    quiet.see(drain_of(8s));
    EXPECT_EQ(quiet.next(true, start), step::notice);
}

TEST(Departure, TheLastStreamIsNamedOnceAHundredMillisecondsAfterThePing) {
    departure some;
    some.see(drain_of(8s));
    some.answered(start);  // of a PING that is not ours
    EXPECT_EQ(some.next(true, start), step::notice);
    EXPECT_EQ(some.next(true, start + 1s), step::none);
    some.answered(start + 2s);
    some.answered(start + 3s);
    EXPECT_EQ(some.next(true, start + 2099ms), step::none);
    EXPECT_FALSE(some.told_last());
    EXPECT_EQ(some.next(true, start + 2100ms), step::last);
    EXPECT_TRUE(some.told_last());
    EXPECT_EQ(some.next(true, start + 1h), step::none);
}

TEST(Departure, AConnectionThatHasHadItsRequestsGoesAsInADrainOfASecond) {
    departure some;
    some.begin(start);
    EXPECT_EQ(some.next(true, start), step::none) << "the next tick sees to it";
    some.see({});
    EXPECT_EQ(some.next(true, start), step::notice);
    EXPECT_EQ(some.next(true, start + 999ms), step::none);
    EXPECT_EQ(some.next(true, start + 1s), step::last);
}

TEST(Departure, ANewClientIsToldWithItsFirstAnswer) {
    departure some;
    some.await_first(start + 20s);
    some.see(drain_of(8s));
    EXPECT_EQ(some.next(true, start + 10s), step::none) << "it has shaken hands, and its request is on the way";
    some.begun(start + 10s);
    EXPECT_EQ(some.next(false, start + 10'999ms), step::none);
    EXPECT_EQ(some.next(true, start + 10'999ms), step::notice);
    EXPECT_EQ(some.next(true, start + 11'998ms), step::none) << "it may have sent more";
    EXPECT_EQ(some.next(true, start + 11'999ms), step::last);
    departure busy;
    busy.see(drain_of(8s));
    busy.begun(start + 10s);
    EXPECT_EQ(busy.next(false, start + 11s), step::notice);
}

TEST(Departure, ANewClientThatAsksNothingIsAwaitedForItsTime) {
    departure some;
    some.await_first(start + 10s);
    some.see(drain_of(8s));
    EXPECT_EQ(some.next(true, start + 9'999ms), step::none);
    EXPECT_EQ(some.next(true, start + 10s), step::notice);
    EXPECT_EQ(some.next(true, start + 10s), step::last);
    departure settled;
    settled.await_first(start + 10s);
    settled.await_no_longer(start + 2s);
    settled.await_no_longer(start + 3s);
    settled.see(drain_of(8s));
    EXPECT_EQ(settled.next(true, start + 1'999ms), step::none);
    EXPECT_EQ(settled.next(true, start + 2s), step::notice);
    departure until_the_end;
    until_the_end.await_first(start + 2h);
    until_the_end.see(drain_of(8s));
    EXPECT_EQ(until_the_end.next(true, start + 1h), step::notice);
}

TEST(Departure, OneThatIsToldByOtherMeansIsNotToldAgain) {
    departure some;
    some.skip();
    some.see(drain_of(8s));
    EXPECT_TRUE(some.told_last());
    EXPECT_EQ(some.next(true, start + 8s), step::none);
}

TEST(Allowance, IsANumberAtOnceAndANumberMoreEachSecond) {
    allowance some(3, 10);
    for (int nth = 0; nth < 3; ++nth) EXPECT_TRUE(some.take(start));
    EXPECT_FALSE(some.take(start));
    EXPECT_FALSE(some.take(start + 99ms));
    EXPECT_TRUE(some.take(start + 100ms));
    EXPECT_FALSE(some.take(start + 100ms));
    for (int nth = 0; nth < 3; ++nth) EXPECT_TRUE(some.take(start + 1h));
    EXPECT_FALSE(some.take(start + 1h)) << "what has not been used is not saved up";
}

TEST(Allowance, WhatIsOfUseGivesOneMore) {
    allowance some(2, 0);
    some.give();
    EXPECT_TRUE(some.take(start));
    EXPECT_TRUE(some.take(start));
    EXPECT_FALSE(some.take(start)) << "there are never more than at the start";
    some.give();
    EXPECT_TRUE(some.take(start));
}

}  // namespace
}  // namespace http2_tests
