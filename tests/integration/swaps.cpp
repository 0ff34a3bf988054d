#include "tests/integration/swaps.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace integration {
namespace {

std::string mixed(std::uint64_t nth) {
    return nth % 8 == 0 ? support::get("/slow?ms=100") : support::request("POST", "/events", {}, std::to_string(nth));
}

}  // namespace

int swaps() {
    const char* const wanted = std::getenv("SWAPS");
    return wanted == nullptr ? 3 : std::atoi(wanted);
}

traffic::traffic(const support::endpoint& to)
    : kept_(to, {16, mixed}),
      anew_(to, {16, [](std::uint64_t) { return support::get("/", "Connection: close\r\n"); }}) {}

void traffic::expect_none_failed() {
    for (auto* const load : {&kept_, &anew_}) {
        const auto& seen = load->finish();
        fmt::print("{} answered in {} swaps: {} lost, {} refused, {} errors\n", seen.answered, swaps(), seen.lost(),
                   seen.refused, seen.errors);
        EXPECT_EQ(seen.lost(), 0U);
        EXPECT_EQ(seen.refused, 0U);
        EXPECT_EQ(seen.errors, 0U);
        EXPECT_GT(seen.answered, 20U * static_cast<unsigned>(swaps()));
    }
}

}  // namespace integration
