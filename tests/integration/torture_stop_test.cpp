// Everything at once through a SIGTERM, again and again: nothing lost, nothing cut, nothing truncated.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "tests/integration/service.hpp"
#include "tests/integration/torture.hpp"

namespace integration {
namespace {

/// Eight in the ordinary run; TORTURE_ROUNDS asks for more (tests/all/torture: 50).
int rounds() {
    const char* const asked = std::getenv("TORTURE_ROUNDS");
    return asked == nullptr ? 8 : std::atoi(asked);
}

void stops_in_a_row(int count) {
    toll all;
    for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
        SCOPED_TRACE(fmt::format("stop {}", i));
        service service({"--shutdown.idle_grace=500ms"});
        const auto seen = stop_under_torture(service.app(), service.process());
        EXPECT_EQ(seen.losses(), 0U) << seen.in_words() << '\n' << service.err();
        EXPECT_EQ(seen.errors, 0U) << seen.in_words();
        EXPECT_EQ(seen.unused_reset, 0U) << seen.in_words();
        ASSERT_EQ(seen.code, 0) << seen.in_words() << '\n' << service.err();
        const auto report = service.report();
        EXPECT_EQ(faults(report), "");
        EXPECT_EQ(number(report, "requests", "cut"), 0);
        EXPECT_EQ(number(report, "connections", "forced"), 0);
        all += seen;
    }
    fmt::print("{} stops: {}\n", count, all.in_words());
}

TEST(Torture, StopsInARowLoseNothing) { stops_in_a_row(rounds()); }

TEST(Torture, StopsInARowLoseNothingWithEveryCoreBusy) {
    for (int left = rounds(); left > 0 && !testing::Test::HasFailure(); left -= 8) {
        const busy_cores busy;  // they give up after a minute, so new ones now and then
        stops_in_a_row(std::min(left, 8));
    }
}

}  // namespace
}  // namespace integration
