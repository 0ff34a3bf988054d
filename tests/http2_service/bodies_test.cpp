// The real binary takes bodies as they arrive, in HTTP/2 too.

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <string>

#include "tests/http2_service/client.hpp"
#include "tests/integration/service.hpp"

namespace http2_tests {
namespace {

using integration::faults;
using integration::number;
using integration::service;
using namespace std::chrono_literals;

/// In KiB, the most so far.
long most_memory(pid_t of) {
    std::ifstream status("/proc/" + std::to_string(of) + "/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stol(line.substr(6));
    return 0;
}

TEST(Http2ServiceBodies, CountTakesMoreThanABodyMayHaveElsewhere) {
    service service({"--app.max_body_bytes=64KiB"});
    connected_peer client(service.app());
    const auto id = client.ask("POST", "/count", {}, std::string(1'000'000, 'a'));
    ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(client.answers[id].body,
              "{\"bytes\":1000000,\"sha256\":\"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0\"}\n");
    const auto elsewhere = client.ask("POST", "/echo", {}, std::string(100'000, 'a'));
    ASSERT_TRUE(client.answered(elsewhere));
    EXPECT_EQ(client.answers[elsewhere].status, 413);
}

TEST(Http2ServiceBodies, CountTakesThemInBoundedMemory) {
    service service;
    connected_peer client(service.app());
    const auto id = client.ask("POST", "/count", {}, std::nullopt, true);
    const auto send = [&](int mebibytes) {
        for (int nth = 0; nth < mebibytes; ++nth) {
            client.send_body(id, std::string(1 << 20, 'a'), false);
            if (!client.until([&] { return client.sent(id); })) return;  // it is not whole, then
        }
    };
    send(8);
    const auto before = most_memory(service.process().pid());
    send(56);
    client.send_body(id, "", true);
    ASSERT_TRUE(client.answered(id));
    EXPECT_NE(client.answers[id].body.find("\"bytes\":67108864"), std::string::npos) << client.answers[id].body;
    EXPECT_LT(most_memory(service.process().pid()) - before, 4 * 1024);
}

TEST(Http2ServiceBodies, WhoStillSendsWhenTheDrainEndsHearsA503) {
    service service({"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=100ms"});
    connected_peer client(service.app());
    const auto id = client.ask("POST", "/count", {}, std::nullopt, true);
    client.send_body(id, "some", false);
    ASSERT_TRUE(client.until([&] { return client.sent(id); }));
    EXPECT_TRUE(service.handles("/count"));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(client.answers[id].status, 503);
    EXPECT_EQ(client.answers[id].header("retry-after"), "1");
    EXPECT_EQ(service.exit_code(), 3) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "cut"), 1);
}

}  // namespace
}  // namespace http2_tests
