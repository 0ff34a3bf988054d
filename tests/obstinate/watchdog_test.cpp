// systemd's watchdog is fed while everything gets on, and not by a process in which something stands still.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/notify_listener.hpp"

namespace integration {
namespace {

using support::notify_listener;
using testing::HasSubstr;

service::options watched(const notify_listener& systemd, std::vector<std::string> more = {}) {
    std::vector<std::string> environment = {systemd.variable(), "WATCHDOG_USEC=1000000"};
    environment.insert(environment.end(), more.begin(), more.end());
    return {
        .flags = {"--app.threads=2", "--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms"},
        .environment = std::move(environment)};
}

void expect_fed(notify_listener& systemd) {
    for (int times = 0; times < 6; ++times) ASSERT_TRUE(systemd.hears("WATCHDOG=1")) << times;
}

TEST(Watchdog, IsNotFedWhileOneLoopOfTwoStandsStill) {
    notify_listener systemd;
    service service(watched(systemd));
    expect_fed(systemd);
    auto connection = service.connect();
    connection.send(get("/spin?ms=4000"));
    ASSERT_TRUE(eventually([&] {
        systemd.listen();
        return service.err().find("watchdog is not fed") != std::string::npos;
    })) << service.err();
    EXPECT_TRUE(eventually([&] { return service.err().find("stack of loop app-") != std::string::npos; }))
        << service.err();
    const auto since = clock::now();
    systemd.listen();
    const auto before = systemd.times_of("WATCHDOG=1").size();
    ASSERT_TRUE(systemd.hears("WATCHDOG=1")) << "the loop turns again";
    EXPECT_GT(clock::now() - since, milliseconds(2'000));
    EXPECT_EQ(systemd.times_of("WATCHDOG=1").size(), before + 1);
    const auto answer = connection.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "dizzy\n");
    expect_fed(systemd);
}

TEST(Watchdog, IsNotFedWhileTheTrackersWorkerStandsStill) {
    notify_listener systemd;
    service service(watched(systemd, {"OBSTINATE=sink"}));
    expect_fed(systemd);
    EXPECT_EQ(service.ask(request("POST", "/events", {}, "stuck")).status, 201);
    ASSERT_TRUE(eventually([&] {
        systemd.listen();
        return service.err().find("watchdog is not fed") != std::string::npos;
    })) << service.err();
    EXPECT_FALSE(systemd.hears("WATCHDOG=1", milliseconds(2'000)));
    EXPECT_EQ(service.ask(get("/")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 3);
}

}  // namespace
}  // namespace integration
