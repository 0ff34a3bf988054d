// How many handshakes begin in one turn of a loop.
#include "server/loop/handshake_limit.hpp"

#include <gtest/gtest.h>

namespace {

using server::handshake_limit;

TEST(HandshakeLimit, ATurnHasPlaceForSomeAndTheNextForAsMany) {
    handshake_limit limit;
    for (std::uint64_t turn = 5; turn < 8; ++turn) {
        for (int nth = 0; nth < handshake_limit::a_turn; ++nth) EXPECT_TRUE(limit.admits(turn)) << turn << ' ' << nth;
        EXPECT_FALSE(limit.admits(turn));
        EXPECT_FALSE(limit.admits(turn)) << "and asking again brings no place";
    }
}

}  // namespace
