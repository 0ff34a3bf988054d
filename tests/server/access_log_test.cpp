#include "server/access_log.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
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

/// Keeps what it is told.
struct kept_log final : server::access_log {
    bool wanted() const override { return true; }
    void append(std::string& lines, std::chrono::system_clock::time_point time, std::string_view text,
                std::span<const lifecycle::log_fact>) const override {
        seen = time;
        (lines += text) += '\n';
    }
    void write(std::string_view lines) override { written += lines; }

    mutable std::chrono::system_clock::time_point seen;
    std::string written;
};

TEST(AccessLog, ALineHasTheTimeOfItsAnswerByTheWallClock) {
    using namespace std::chrono_literals;
    kept_log log;
    server::access_lines lines;
    lines.compare_clocks();
    EXPECT_TRUE(lines.add(log, lifecycle::clock::now() - 10h, "earlier"));
    const auto ago = std::chrono::system_clock::now() - log.seen;
    EXPECT_GT(ago, 9h);
    EXPECT_LT(ago, 11h);
    EXPECT_FALSE(lines.add(log, lifecycle::clock::now(), "now"));
    lines.write(log);
    lines.write(log);
    EXPECT_EQ(log.written, "earlier\nnow\n");
}

}  // namespace
