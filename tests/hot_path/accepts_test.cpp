// What accepting costs, in calls that find nobody.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "tests/server/serving.hpp"

namespace {

std::atomic<int> accepted{0}, in_vain{0};

}  // namespace

/// In the place of the C library's: it counts.
int accept4(int socket, sockaddr* address, socklen_t* size, int flags) {
    const auto descriptor = ::syscall(SYS_accept4, socket, address, size, flags);
    if (descriptor >= 0)
        ++accepted;
    else if (errno == EAGAIN)
        ++in_vain;
    return static_cast<int>(descriptor);
}

namespace {

using namespace serving;

TEST(HotPath, AcceptsNobodyInVain) {
    constexpr int clients = 50;
    router routes;
    routes.get("/", says("hello\n"));
    const running server(std::move(routes));
    const int before = accepted, before_in_vain = in_vain;
    for (int nth = 0; nth < clients; ++nth) {
        auto client = server.connect();
        EXPECT_EQ(ask_on(client, get("/")).status, 200);
    }
    EXPECT_EQ(accepted - before, clients);
    EXPECT_EQ(in_vain - before_in_vain, 0);
}

}  // namespace
