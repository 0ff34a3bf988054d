// What a WebSocket has to send, in order.

#include "server/websocket/outbox.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

using server::websocket::outbox;

void add(outbox& to, std::string_view bytes) {
    to.append([&](std::string& own) { own += bytes; });
}
void share(outbox& to, std::string_view bytes) { to.append(std::make_shared<const std::string>(bytes)); }

/// All of it, taken a few bytes at a time: at most as many as said.
std::string sent(outbox& from, std::size_t most) {
    std::string all;
    while (!from.empty()) {
        const auto piece = from.front().substr(0, most);
        if (piece.empty()) return "nothing to send, and not empty";
        all += piece;
        from.wrote(piece.size());
    }
    return all;
}

TEST(Outbox, SendsInTheirOrderBytesOfItsOwnAndFramesThatItShares) {
    for (const std::size_t most : {1U, 2U, 3U, 100U}) {
        outbox out;
        // Also when it has been empty in between, after either kind.
        for (int times = 0; times < 3; ++times) {
            add(out, "a");
            add(out, "bc");
            EXPECT_EQ(sent(out, most), "abc");
            share(out, "def");
            add(out, "g");
            share(out, "h");
            EXPECT_EQ(out.size(), 5U);
            EXPECT_EQ(sent(out, most), "defgh");
            share(out, "i");
            EXPECT_EQ(sent(out, most), "i");
            EXPECT_EQ(out.size(), 0U);
        }
    }
}

TEST(Outbox, KeepsTheMemoryOfAShortMessageAndNoMore) {
    const auto memory_of_next = [](outbox& out) {
        const char* where = nullptr;
        std::size_t room = 0;
        out.append([&](std::string& own) {
            room = own.capacity();
            own += std::string(100, 'x');
            where = own.data();
        });
        sent(out, 1000);
        return std::pair(where, room);
    };
    outbox out;
    const auto first = memory_of_next(out);
    const auto second = memory_of_next(out);
    EXPECT_GE(second.second, 100U);
    EXPECT_EQ(second.first, first.first);
    add(out, std::string(100'000, 'x'));
    sent(out, 100'000);
    EXPECT_LE(memory_of_next(out).second, 4096U);
}

}  // namespace
