// How many connections one client has.

#include "server/client_table.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using boost::asio::ip::make_address;
using server::client_table;

TEST(ClientTable, CountsTheConnectionsThatAClientHasNow) {
    client_table all(100);
    std::vector<client_table::share> held;
    for (std::uint32_t nth = 1; nth <= 3; ++nth) {
        auto taken = all.take(make_address("192.0.2.1"));
        EXPECT_EQ(taken.nth, nth);
        held.push_back(std::move(taken.held));
    }
    held.pop_back();
    EXPECT_EQ(all.take(make_address("192.0.2.1")).nth, 3U) << "one has gone";
    EXPECT_EQ(all.take(make_address("192.0.2.1")).nth, 3U) << "and so has that one";
    EXPECT_EQ(all.take(make_address("192.0.2.2")).nth, 1U);
}

TEST(ClientTable, AClientOfIpv6IsANetworkOf64Bits) {
    client_table all(100);
    const auto first = all.take(make_address("2001:db8:0:1::1"));
    EXPECT_EQ(all.take(make_address("2001:db8:0:1:ffff::2")).nth, 2U);
    EXPECT_EQ(all.take(make_address("2001:db8:0:2::1")).nth, 1U);
}

TEST(ClientTable, TakesAsManyClientsAsThereMayBeConnectionsAndHasRoomForOthersWhenTheyHaveGone) {
    client_table all(1'000);
    for (int round = 0; round < 3; ++round) {
        std::vector<client_table::share> held;
        for (unsigned nth = 0; nth < 1'000; ++nth) {
            auto taken = all.take(boost::asio::ip::address_v4(0x0a000000U + nth));
            ASSERT_LE(taken.nth, 1U);
            held.push_back(std::move(taken.held));
        }
    }
    EXPECT_EQ(all.take(make_address("10.0.0.1")).nth, 1U);
}

TEST(ClientTable, AShareThatMovesCountsOnce) {
    client_table all(10);
    auto held = all.take(make_address("192.0.2.1")).held;
    client_table::share other;
    other = std::move(held);
    EXPECT_EQ(all.take(make_address("192.0.2.1")).nth, 2U);
    other = client_table::share();
    EXPECT_EQ(all.take(make_address("192.0.2.1")).nth, 1U);
}

}  // namespace
