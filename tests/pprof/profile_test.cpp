// The bytes of a profile, read by a decoder that knows nothing of the encoder: profile.proto of
// github.com/google/pprof and protobuf.dev/programming-guides/encoding.

#include "server/admin/pprof/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/admin/pprof/code_map.hpp"
#include "tests/pprof/decoded.hpp"

namespace server::pprof {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

TEST(Profile, IsWhatTheFormatSays) {
    profile made({{"samples", "count"}, {"cpu", "nanoseconds"}}, {"cpu", "nanoseconds"}, 10'000'000);
    const auto program = made.add({0x1000, 0x9000, 0x200, "/bin/service", "abcdef", true});
    const auto inner = made.location(program, 0x1234, "spin()", "main.cpp", 42);
    const auto outer = made.location(program, 0x2345, "run()");
    const std::vector<profile::id> stack{inner, outer};
    const std::vector<profile::label> labels{{"route", "GET /spin"}, {"thread", "app-1"}};
    made.sample(stack, {300, 3'000'000'000}, labels);
    made.comment("2 samples found no room");
    made.lasted(std::chrono::seconds(5));

    const decoded read(made.encode());
    EXPECT_EQ(read.texts.at(0), "");
    EXPECT_THAT(read.types, ElementsAre("samples/count", "cpu/nanoseconds"));
    EXPECT_EQ(read.period_type, "cpu/nanoseconds");
    EXPECT_EQ(read.period, 10'000'000U);
    EXPECT_EQ(read.duration, 5'000'000'000U);
    EXPECT_THAT(read.comments, ElementsAre("2 samples found no room"));
    EXPECT_THAT(read.mappings, ElementsAre("1: 1000-9000+200 /bin/service abcdef named"));
    ASSERT_THAT(read.samples, SizeIs(1));
    EXPECT_THAT(read.samples[0].values, ElementsAre(300U, 3'000'000'000U));
    EXPECT_THAT(read.samples[0].frames, ElementsAre("spin() main.cpp:42", "run() :0"));
    EXPECT_THAT(read.samples[0].labels, ElementsAre("route=GET /spin", "thread=app-1"));
}

TEST(Profile, StoresAFunctionOnce) {
    profile made({{"tasks", "count"}}, {"tasks", "count"}, 1);
    for (std::uint64_t address : {1U, 2U, 3U}) made.location(0, address, "same()");
    EXPECT_EQ(decoded(made.encode()).functions, 1U);
}

TEST(CodeMap, NamesThisProgramsFunctionsAndItsFile) {
    profile made({{"samples", "count"}}, {"samples", "count"}, 1);
    code_map code;
    code.describe(made);
    const auto here = code.location(made, reinterpret_cast<const void*>(&testing::UnitTest::GetInstance), false);
    EXPECT_GT(here, 0U);
    made.sample(std::vector{here}, {1}, {});
    const decoded read(made.encode());
    EXPECT_THAT(read.samples.at(0).frames, ElementsAre(testing::HasSubstr("testing::UnitTest::GetInstance")));
    EXPECT_THAT(read.mappings.at(0), testing::HasSubstr("pprof_tests"));
    EXPECT_THAT(read.mappings.at(0), testing::EndsWith("named"));
}

}  // namespace
}  // namespace server::pprof
