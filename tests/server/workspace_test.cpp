// Buffers that a loop lends, and when what they held goes back to the kernel.

#include "server/workspace.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace {

class WorkspacePool : public testing::Test {
protected:
    /// As many clients at a time as that, each with an answer of this size.
    void storm(std::size_t clients, std::size_t bytes) {
        std::vector<std::unique_ptr<server::workspace>> lent;
        for (std::size_t nth = 0; nth < clients; ++nth) {
            lent.push_back(pool_.lend());
            lent.back()->out.assign(bytes, 'x');
        }
        for (auto& workspace : lent) pool_.give_back(std::move(workspace));
    }
    /// How often of `looks` it says that memory is worth being given back.
    int given_back(int looks) {
        int times = 0;
        for (int look = 0; look < looks; ++look) times += pool_.shrink() ? 1 : 0;
        return times;
    }

    std::shared_ptr<const server::options> limits_ = std::make_shared<server::options>();
    server::workspace_pool pool_{limits_};
};

TEST_F(WorkspacePool, AfterAStormItsMemoryIsGivenBackOnce) {
    storm(200, 100'000);
    EXPECT_EQ(given_back(20), 1);
    EXPECT_EQ(given_back(20), 0);
}

TEST_F(WorkspacePool, OfSmallStormsNoMoreThanAMegabyteIsKept) {
    for (int times = 0; times < 3; ++times) storm(4, 300'000);
    EXPECT_GE(given_back(20), 1) << "3.6 MB in all, and nobody says so";
}

TEST_F(WorkspacePool, WhatIsLentAgainHasNotTheMemoryOfALargeAnswer) {
    auto used = pool_.lend();
    used->out.assign(1'000'000, 'x');
    used->current.reply.body.assign(1'000'000, 'x');
    pool_.give_back(std::move(used));
    const auto again = pool_.lend();
    EXPECT_LE(again->out.capacity(), server::workspace::usual_output);
    EXPECT_LE(again->current.reply.body.capacity(), 4096U);
}

TEST_F(WorkspacePool, IsFreshAsLongAsItHoldsNothingAndHasNotGrown) {
    const auto lent = pool_.lend();
    EXPECT_TRUE(lent->is_fresh());
    lent->end = 2;  // a first line end, before a request
    EXPECT_FALSE(lent->is_fresh());
    lent->end = 0;
    lent->out = "HTTP/1.1 200 OK";
    EXPECT_FALSE(lent->is_fresh());
    lent->out.clear();
    EXPECT_TRUE(lent->is_fresh());
    lent->out.reserve(server::workspace::usual_output + 1);
    EXPECT_FALSE(lent->is_fresh());
    const auto another = pool_.lend();
    another->end = another->capacity;
    another->make_room();
    another->end = 0;
    EXPECT_FALSE(another->is_fresh()) << "the next body may be as large";
}

TEST_F(WorkspacePool, OfAConnectionThatFallsIdleIsTheNextToBeLentUnlessItHasGrown) {
    auto small = pool_.lend();
    const auto* const same = small.get();
    EXPECT_EQ(pool_.take_when_idle(std::move(small)), nullptr);
    auto large = pool_.lend();
    EXPECT_EQ(large.get(), same);
    large->out.assign(1'000'000, 'x');
    large->out.clear();
    large = pool_.take_when_idle(std::move(large));
    ASSERT_NE(large, nullptr);
    EXPECT_GE(large->out.capacity(), 1'000'000U);
    pool_.give_back(std::move(large));
}

TEST_F(WorkspacePool, WhatIsUsedAllTheTimeIsKept) {
    for (int times = 0; times < 100; ++times) {
        storm(8, 1'000);
        EXPECT_EQ(given_back(1), 0);
    }
}

}  // namespace
