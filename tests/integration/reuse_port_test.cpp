// Two generations that bind the same port (SO_REUSEPORT), and nothing hands over.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>

#include "tests/integration/service.hpp"
#include "tests/integration/swaps.hpp"

namespace integration {
namespace {

std::unique_ptr<service> generation(std::uint16_t port) {
    return std::make_unique<service>(std::vector<std::string>{fmt::format("--app.port={}", port),
                                                              "--app.reuse_port=true", "--shutdown.idle_grace=300ms"});
}

// The kernel deals a SYN to one of the sockets; the one that closes sends newcomers to the other. At real distances:
// tests/all/handshakes.
TEST(ReusePort, OverlappingGenerationsUnderLoadRefuseAndLoseNobody) {
    auto current = generation(0);
    traffic clients(current->app());
    for (int nth = 0; nth < swaps(); ++nth) {
        SCOPED_TRACE(fmt::format("swap {}", nth));
        clients.expect_answers();
        auto next = generation(current->app().port);
        current->begin_stop(SIGTERM);
        EXPECT_EQ(current->exit_code(), 0) << current->err();
        EXPECT_EQ(faults(current->report()), "");
        EXPECT_EQ(number(current->report(), "requests", "cut"), 0);
        current = std::move(next);
    }
    clients.expect_none_failed();
}

}  // namespace
}  // namespace integration
