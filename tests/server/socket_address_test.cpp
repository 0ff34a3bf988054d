#include "server/net/socket_address.hpp"

#include <gtest/gtest.h>

#include "configs/values.hpp"

namespace {

using server::is_among;
using server::read_ip;
using server::socket_address;

socket_address at(std::string_view address, std::uint16_t port = 80) { return {*read_ip(address), port}; }

server::trusted_peers peers(std::string_view text) { return *configs::parse_trusted(text); }

TEST(SocketAddress, IsWrittenAsPeopleWriteIt) {
    EXPECT_EQ(at("192.0.2.1").text(), "192.0.2.1:80");
    EXPECT_EQ(at("2001:db8::1").text(), "[2001:db8::1]:80");
    EXPECT_EQ(at("2001:db8::1").host(), "2001:db8::1");
    EXPECT_EQ(socket_address().text(), "unix");
    EXPECT_EQ(socket_address().host(), "unix");
}

TEST(SocketAddress, AnIpv4AddressInIpv6IsAnIpv4Address) {
    EXPECT_EQ(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    EXPECT_EQ(at("::ffff:192.0.2.1").text(), "192.0.2.1:80");
}

TEST(SocketAddress, AUnixSocketIsNoAddress) {
    EXPECT_NE(socket_address(), at("0.0.0.0", 0));
    EXPECT_TRUE(socket_address().is_unix());
    EXPECT_FALSE(at("0.0.0.0", 0).is_unix());
}

TEST(SocketAddress, IsAmongThePrefixesThatHoldIt) {
    EXPECT_TRUE(is_among(at("10.1.2.3"), peers("10.0.0.0/8")));
    EXPECT_FALSE(is_among(at("11.0.0.0"), peers("10.0.0.0/8")));
    EXPECT_TRUE(is_among(at("192.0.2.129"), peers("10.0.0.0/8,192.0.2.128/25")));
    EXPECT_FALSE(is_among(at("192.0.2.127"), peers("10.0.0.0/8,192.0.2.128/25")));
    EXPECT_TRUE(is_among(at("192.0.2.1"), peers("192.0.2.1")));
    EXPECT_FALSE(is_among(at("192.0.2.2"), peers("192.0.2.1")));
    EXPECT_TRUE(is_among(at("203.0.113.1"), peers("0.0.0.0/0")));
    EXPECT_TRUE(is_among(at("2001:db8:80::"), peers("2001:db8::/32")));
    EXPECT_FALSE(is_among(at("2001:db9::"), peers("2001:db8::/32")));
    EXPECT_TRUE(is_among(at("::ffff:10.0.0.1"), peers("10.0.0.0/8")));
}

TEST(SocketAddress, APrefixOfOneFamilyHoldsNoneOfTheOther) {
    EXPECT_FALSE(is_among(at("192.0.2.1"), peers("::/0")));
    EXPECT_FALSE(is_among(at("::1"), peers("0.0.0.0/0")));
}

TEST(SocketAddress, AUnixSocketIsTrustedByItsWordAlone) {
    EXPECT_TRUE(is_among(socket_address(), peers("unix")));
    EXPECT_FALSE(is_among(socket_address(), peers("0.0.0.0/0,::/0")));
    EXPECT_FALSE(is_among(at("127.0.0.1"), peers("unix")));
    EXPECT_FALSE(is_among(socket_address(), peers("")));
}

TEST(SocketAddress, ALiteralIsReadAndNothingElse) {
    for (const auto* text :
         {"192.0.2.1", "::", "2001:db8::1", "::ffff:1.2.3.4", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"})
        EXPECT_TRUE(read_ip(text)) << text;
    for (const auto* text : {"", "localhost", "1.2.3", "1.2.3.4:80", "[::1]", "::1%lo", "01.2.3.4", " 1.2.3.4",
                             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
        EXPECT_FALSE(read_ip(text)) << text;
    EXPECT_FALSE(read_ip(std::string_view("1.2.3.4\0x", 9)));
}

}  // namespace
