#include "tests/integration/swaps.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace integration {
namespace {

constexpr unsigned answers_a_swap = 20;

std::string mixed(std::uint64_t nth) {
    return nth % 8 == 0 ? support::get("/slow?ms=100") : support::request("POST", "/events", {}, std::to_string(nth));
}

}  // namespace

int swaps() {
    const char* const wanted = std::getenv("SWAPS");
    return wanted == nullptr ? 3 : std::atoi(wanted);
}

traffic::traffic(const support::endpoint& to)
    : kept_(to, {16, mixed, [this](const auto&, const auto&) { ++answers_of_kept_; }}),
      anew_(to, {16, [](std::uint64_t) { return support::get("/", "Connection: close\r\n"); },
                 [this](const auto&, const auto&) { ++answers_of_new_; }}) {}

void traffic::expect_answers() {
    const auto kept = answers_of_kept_ + answers_a_swap, fresh = answers_of_new_ + answers_a_swap;
    EXPECT_TRUE(support::eventually([&] { return answers_of_kept_ >= kept && answers_of_new_ >= fresh; }));
}

void traffic::expect_none_failed() {
    for (auto* const load : {&kept_, &anew_}) {
        const auto& seen = load->finish();
        fmt::print("{} answered in {} swaps: {} lost, {} refused, {} errors\n", seen.answered, swaps(), seen.lost(),
                   seen.refused, seen.errors);
        EXPECT_EQ(seen.lost(), 0U);
        EXPECT_EQ(seen.refused, 0U);
        EXPECT_EQ(seen.errors, 0U);
        EXPECT_GE(seen.answered, answers_a_swap * static_cast<unsigned>(swaps()));
    }
}

}  // namespace integration
