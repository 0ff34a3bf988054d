// The end of the process, by real signals: every client that was let in gets an answer.

#include <gmock/gmock.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace {

using integration::get;
using integration::milliseconds;
using integration::number;
using integration::service;

TEST(Stop, UnderLoadLosesNoRequest) {
    service running;
    support::load clients(running.app(), {.connections = 16, .request = [](std::uint64_t nth) {
                                              return nth % 4 == 0
                                                         ? integration::request("POST", "/greetings", {}, "Ada")
                                                         : get("/hello/Ada");
                                          }});
    ASSERT_TRUE(clients.run([&] { return clients.seen().answered >= 200; }, milliseconds(20'000)));
    running.process().signal(SIGTERM);
    clients.run([&] { return clients.alive() == 0; }, milliseconds(20'000));
    clients.finish(milliseconds(20'000));
    EXPECT_EQ(clients.seen().lost(), 0U);
    EXPECT_EQ(clients.seen().errors, 0U);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_EQ(integration::faults(running.report()), "");
}

TEST(Stop, WaitsForARequestThatHasBegun) {
    service running({"--greeting.patience=1s"});
    auto client = running.connect();
    client.send(get("/later/Ada"));
    ASSERT_TRUE(running.handles("/later"));
    running.begin_stop(SIGTERM);
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(running.exit_code(), 0) << running.err();
    EXPECT_EQ(number(running.report(), "requests", "cut"), 0);
}

}  // namespace
