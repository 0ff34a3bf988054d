#include "tests/simulator/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <sstream>
#include <stdexcept>

#include "tests/simulator/failure.hpp"
#include "tests/simulator/random.hpp"
#include "tests/simulator/shrink.hpp"

namespace simulator {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view sound =
    "set batch_events 1\nset budget 1\nset max_connections 1\nset max_in_flight 1\nset threads 1\n";

std::string refusal(std::string_view lines) {
    std::istringstream from(std::string(sound) + std::string(lines));
    try {
        read(from);
        return {};
    } catch (const std::runtime_error& why) {
        return why.what();
    }
}

// ── what a plan may be ──────────────────────────────────────────────────────────────────────────

TEST(Plan, OfASeedIsAllowed) {
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) ASSERT_THAT(fault_of(plan_of(seed)), IsEmpty()) << seed;
}

TEST(Plan, OfAnyNumbersIsAllowed) {
    for (std::uint64_t seed = 0; seed < 20'000; ++seed) ASSERT_THAT(fault_of(any_plan(seed)), IsEmpty()) << seed;
}

TEST(Plan, IsReadAsItWasWritten) {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        std::stringstream first, second;
        write(first, any_plan(seed));
        write(second, read(first));
        EXPECT_EQ(first.str(), second.str()) << seed;
    }
}

TEST(Plan, OfZerosIsRefused) {
    plan zeros = plan_of(1);
    for (auto& [name, value] : zeros.settings) value = 0;
    EXPECT_THAT(fault_of(zeros), HasSubstr("allowed is 1 to"));
}

TEST(Plan, IsRefusedForANumberThatNothingCanBeSimulatedBy) {
    EXPECT_THAT(refusal(""), IsEmpty());
    EXPECT_THAT(refusal("set budget 0\n"), HasSubstr("budget 0: allowed is 1 to 60000"));
    EXPECT_THAT(refusal("set threads 0\n"), HasSubstr("threads 0"));
    EXPECT_THAT(refusal("set sinks 3\n"), HasSubstr("sinks 3"));
    EXPECT_THAT(refusal("set preempts 4294967296\n"), HasSubstr("preempts 4294967296"));
    EXPECT_THAT(refusal("set loss -1\n"), HasSubstr("loss 18446744073709551615"));
    EXPECT_THAT(refusal("set colour 1\n"), HasSubstr("unknown: colour"));
    EXPECT_THAT(refusal("set sinks 2\n"), HasSubstr("several sinks"));
    EXPECT_THAT(refusal("life\nend 60000001 term\n"), HasSubstr("end: length 60000001"));
    EXPECT_THAT(refusal("life\n  client 0 18 0 0\nend 1 term\n"), HasSubstr("client: a script 18"));
    EXPECT_THAT(refusal("life\n  disk 0 7 0 0\nend 1 term\n"), HasSubstr("disk: a fault 7"));
    EXPECT_THAT(refusal("life\n  sink 0 5 0 0\nend 1 term\n"), HasSubstr("sink: a mode 5"));
    EXPECT_THAT(refusal("life\n  freeze 99999999 1 0 0\nend 1 term\n"), HasSubstr("freeze: at 99999999"));
    for (const int number : {0, SIGINT, SIGFPE, SIGSTOP, 65})
        EXPECT_THAT(refusal("life\n  signal 0 " + std::to_string(number) + " 0 0\nend 1 term\n"),
                    HasSubstr("signal " + std::to_string(number)));
}

TEST(Plan, IsRefusedForALineThatIsNotWhole) {
    EXPECT_THAT(refusal("set budget\n"), HasSubstr("too few numbers"));
    EXPECT_THAT(refusal("set budget x\n"), HasSubstr("too few numbers"));
    EXPECT_THAT(refusal("life\n  client 0 1 2\nend 1 term\n"), HasSubstr("too few numbers"));
    EXPECT_THAT(refusal("life\n  client 0 1 2 3 4\nend 1 term\n"), HasSubstr("too many"));
    EXPECT_THAT(refusal("client 0 1 2 3\n"), HasSubstr("outside of a life"));
}

TEST(Chance, NeverDividesByZero) {
    random_source chance(1);
    EXPECT_EQ(chance.below(0), 0U);
    EXPECT_FALSE(chance.one_in(0));
    EXPECT_NE(chance.upto(~std::uint64_t{0}), chance.upto(~std::uint64_t{0}));
}

// ── how it fails ────────────────────────────────────────────────────────────────────────────────

TEST(Failure, IsLikeAnotherOfTheSameSignalAndTheSameWords) {
    const auto first = of_signal(SIGABRT, "simulator: a.cpp:12: void f(): Assertion `a > 17' failed.\n");
    EXPECT_TRUE(first.is_like(of_signal(SIGABRT, "simulator: a.cpp:13: void f(): Assertion `a > 17' failed.\n")));
    EXPECT_FALSE(first.is_like(of_signal(SIGABRT, "simulator: a.cpp:12: void f(): Assertion `b' failed.\n")));
    EXPECT_FALSE(first.is_like(of_signal(SIGABRT, "")));
    EXPECT_FALSE(of_signal(SIGSEGV, "").is_like(of_signal(SIGFPE, "")));
    EXPECT_EQ(of_signal(SIGFPE, "").text(), "abort: ended by SIGFPE");
    EXPECT_EQ(of_signal(SIGPROF, "").law, "work");
}

/// Two faults in one plan: work of the first kind wants a client, and a short budget ends all by another signal.
std::optional<failure> two_faults(const plan& what) {
    if (what.get("budget") < 100) return of_signal(SIGFPE, "");
    for (const auto& life : what.lives)
        for (const auto& each : life.actions)
            if (each.what == deed::client) return of_signal(SIGABRT, "Assertion `x' failed.");
    return std::nullopt;
}

plan with_two_faults() {
    plan made;
    made.settings = {
        {"batch_events", 4}, {"budget", 400}, {"max_connections", 4}, {"max_in_flight", 4}, {"threads", 2}};
    for (int nth = 0; nth < 3; ++nth)
        made.lives.push_back({.actions = {{.what = deed::freeze, .at = 5'100, .a = 7},
                                          {.what = deed::client, .at = 7'300, .a = 1, .b = 50, .c = 77}},
                              .length = 33'333});
    return made;
}

TEST(Shrink, KeepsTheSameFailure) {
    const auto failing = with_two_faults();
    const auto found = two_faults(failing);
    ASSERT_TRUE(found);
    const auto small = shrink(failing, *found, two_faults);
    EXPECT_TRUE(two_faults(small)->is_like(*found));
    EXPECT_EQ(small.get("budget"), 400U);  // a smaller one fails too, otherwise
    ASSERT_EQ(small.lives.size(), 1U);
    ASSERT_EQ(small.lives[0].actions.size(), 1U);
    EXPECT_EQ(small.lives[0].actions[0].what, deed::client);
    EXPECT_EQ(small.lives[0].actions[0].at, 0U);
    EXPECT_EQ(small.lives[0].length, 20'000U);
}

TEST(Shrink, RunsOnlyWhatIsAllowed) {
    std::size_t runs = 0;
    const auto always = [&](const plan& what) {
        ++runs;
        EXPECT_THAT(fault_of(what), IsEmpty());
        return std::optional(of_signal(SIGABRT, ""));
    };
    const auto small = shrink(with_two_faults(), of_signal(SIGABRT, ""), always);
    EXPECT_GT(runs, 5U);
    EXPECT_THAT(small.lives, IsEmpty());
    EXPECT_EQ(small.get("budget"), 1U);
    EXPECT_EQ(small.get("threads"), 1U);
}

}  // namespace
}  // namespace simulator
