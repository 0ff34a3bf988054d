// The listener, turn by turn, on a real socket: who is let in, where to, and what becomes of the queue when it closes.
// No thread, no time.
#include "server/net/listener.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/server/turning.hpp"

namespace {

using namespace std::chrono_literals;
using turning::far_end;
using turning::loops;
using turning::says;

server::options anywhere() {
    server::options options;
    options.address = "127.0.0.1";
    options.port = 0;
    return options;
}

class listening {
public:
    explicit listening(std::size_t count = 1, const server::options& limits = anywhere())
        : its(says("hello"), count, limits), socket_(limits), listener_(socket_, its.all, its.clients()) {
        port_ = static_cast<std::uint16_t>(std::stoul(socket_.local().substr(socket_.local().rfind(':') + 1)));
        its.first().begin([this] { its.first().here().tasks().spawn("listener", "listener", listener_.run()); });
        its.turn();
    }
    ~listening() {
        if (!closed_) close();
    }
    listening(const listening&) = delete;
    listening& operator=(const listening&) = delete;

    /// A client in the queue: the kernel shakes hands without us.
    int dial() {
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in to{AF_INET, htons(port_), {htonl(INADDR_LOOPBACK)}, {}};
        const bool in = ::connect(client, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
        if (!in) ::close(client);
        return in ? client : -1;
    }
    /// With no patience: what waits in the queue is let in, and nobody else.
    void close() {
        listener_.close_last(0ms, [this] { ++told; });
        closed_ = true;
        its.turn();
    }

    loops its;
    int told = 0;

private:
    server::listening_socket socket_;
    server::listener listener_;
    std::uint16_t port_ = 0;
    bool closed_ = false;
};

TEST(Listener, DealsEachClientToTheLoopWithTheFewest) {
    listening on(3);
    std::vector<far_end> clients;
    for (int nth = 0; nth < 9; ++nth) clients.emplace_back(on.dial());
    on.its.turn();
    for (std::size_t loop = 0; loop < 3; ++loop) EXPECT_EQ(on.its.open(loop), 3U);
}

TEST(Listener, AClientIsServedWhereverItIsDealt) {
    listening on(2);
    far_end left(on.dial()), right(on.dial());
    on.its.turn();
    left.ask();
    right.ask();
    on.its.turn();
    EXPECT_EQ(left.answers() + right.answers(), 2U);
}

TEST(Listener, AtTheLimitTheConnectionThatHasBeenIdleLongestMakesRoom) {
    auto limits = anywhere();
    limits.max_connections = 2;
    listening on(1, limits);
    far_end oldest(on.dial());
    on.its.turn();
    far_end second(on.dial());
    on.its.turn();
    far_end third(on.dial());
    on.its.turn();
    EXPECT_TRUE(oldest.closed());
    EXPECT_EQ(on.its.open(), 2U);
    third.ask();
    second.ask();
    on.its.turn();
    EXPECT_EQ(second.answers() + third.answers(), 2U);
}

TEST(Listener, LetsInItsQueueBeforeItCloses) {
    listening on;
    std::vector<far_end> clients;
    for (int nth = 0; nth < 20; ++nth) clients.emplace_back(on.dial());  // and no turn
    on.close();
    EXPECT_EQ(on.told, 1);
    EXPECT_EQ(on.its.open(), 20U);
    for (auto& client : clients) client.ask();
    on.its.turn();
    for (auto& client : clients) EXPECT_EQ(client.answers(), 1U);
    EXPECT_EQ(on.dial(), -1) << "nobody listens any more";
}

TEST(Listener, AnInheritedSocketIsSharedUntilItsFormerOwnerHasHandedItOver) {
    const server::listening_socket first(anywhere());
    auto options = anywhere();
    options.inherited = ::dup(first.descriptor());
    server::listening_socket next(options);
    EXPECT_TRUE(first.is_owned());
    EXPECT_FALSE(next.is_owned());
    EXPECT_TRUE(next.shared());
    next.take();
    EXPECT_TRUE(next.is_owned());
    EXPECT_FALSE(next.shared()) << "it is closed with care for those who are in a handshake";
}

TEST(Listener, EachOfThoseWhoHaveItClosedIsTold) {
    listening on;
    on.close();
    on.close();
    EXPECT_EQ(on.told, 2);
}

TEST(Listener, AClientWithTooManyConnectionsIsRefused) {
    auto limits = anywhere();
    limits.max_connections_per_client = 2;
    listening on(1, limits);
    std::vector<far_end> clients;
    for (int nth = 0; nth < 12; ++nth) {
        clients.emplace_back(on.dial());
        on.its.turn();
    }
    std::size_t served = 0, refused = 0;
    for (auto& client : clients) {
        if (!client.closed()) client.ask();
        on.its.turn();
        served += client.answers();
        refused += client.answers("HTTP/1.1 503");
    }
    EXPECT_EQ(served, 2U);
    EXPECT_EQ(refused, 10U);
}

}  // namespace
