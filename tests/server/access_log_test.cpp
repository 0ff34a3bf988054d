#include "server/access_log.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace {

std::string put(const server::socket_address& address) {
    std::array<char, server::longest_address> room;
    return {room.data(), server::put_address(room.data(), address)};
}

std::string put(const char* address) {
    return put(server::socket_address({boost::asio::ip::make_address(address), 4711}));
}

TEST(AccessLog, ShowsAnAddressWithoutItsPort) {
    for (const auto* const same : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "9.10.99.100", "2001:db8::1", "::"})
        EXPECT_EQ(put(same), same);
    EXPECT_EQ(put("::ffff:192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(put(server::socket_address()), "unix");
}

TEST(AccessLog, ALineThatIsLongerThanUsualIsWhole) {
    server::line_text line;
    const std::string_view begin = "access ";
    const std::string target(5'000, 'x');
    for (const std::string_view piece : {begin, std::string_view(target), begin}) {
        char* const at = line.room(piece.size());
        line.end(std::copy(piece.begin(), piece.end(), at));
    }
    EXPECT_TRUE(line.view() == "access " + target + "access ");
}

}  // namespace
