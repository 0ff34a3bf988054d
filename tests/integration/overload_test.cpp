// More than the service may take.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

TEST(Overload, AboveMaxInFlightIs503WithRetryAfterButLivezAnswers) {
    const service service({"--app.max_in_flight=2"});
    std::vector<client> busy;
    for (int i = 0; i < 2; ++i) {
        busy.push_back(service.connect());
        busy.back().send(get("/slow?ms=1500"));
    }
    EXPECT_TRUE(eventually([&] { return service.ask(get("/slow?ms=0")).status == 503; }));
    const auto refused = service.ask(get("/"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_TRUE(refused.has("Retry-After"));
    EXPECT_EQ(service.ask(get("/livez")).status, 200);
    EXPECT_EQ(service.ask(get("/readyz")).status, 200);
    for (auto& connection : busy) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
    }
    EXPECT_EQ(service.ask(get("/")).status, 200);
}

TEST(Overload, TheDebugPortAndTheProbeAnswerThroughAllOfIt) {
    const service service({"--app.max_in_flight=1", "--app.max_connections=3", "--app.threads=1"});
    std::vector<client> busy;
    for (int i = 0; i < 3; ++i) {
        busy.push_back(service.connect());
        busy.back().send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
    }
    ASSERT_TRUE(eventually([&] {
        const auto vars = boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object();
        return number(vars, "connections", "open") == 3;
    }));
    auto waits = service.connect();
    waits.send(get("/livez"));
    EXPECT_FALSE(waits.closes_silently(milliseconds(50)));
    EXPECT_EQ(service.ask_debug(get("/livez")).status, 200);
    EXPECT_EQ(service.ask_debug(get("/readyz")).status, 200);
    const auto port = "--debug.port=" + std::to_string(service.debug().port);
    EXPECT_EQ(run_to_end({"--probe", "livez", port}).code, 0);
    EXPECT_EQ(run_to_end({"--probe", "readyz", port}).code, 0);
    busy.front().reset();
    const auto answer = waits.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
}

TEST(Overload, SlowHeadsOnTheDebugPortKeepNobodyFromBeingAnswered) {
    service service;
    std::vector<client> slow;
    for (int i = 0; i < 300; ++i) {
        slow.emplace_back(service.debug());
        slow.back().send("G");
    }
    EXPECT_EQ(run_to_end({"--probe", "livez", "--debug.port=" + std::to_string(service.debug().port)}).code, 0);
    EXPECT_EQ(service.ask_debug(get("/readyz")).status, 200);
    const std::filesystem::directory_iterator open(fmt::format("/proc/{}/fd", service.process().pid()));
    EXPECT_LE(std::distance(open, {}), 120) << "a share of them is its own";
}

TEST(Overload, TheConnectionIdleLongestMakesRoom) {
    const service service({"--app.max_connections=2", "--app.threads=1"});
    auto oldest = service.connect();
    auto recent = service.connect();
    ASSERT_TRUE(oldest.exchange(get("/")));
    ASSERT_TRUE(recent.exchange(get("/")));
    EXPECT_EQ(service.ask(get("/")).status, 200);
    EXPECT_TRUE(oldest.closes_silently(milliseconds(5'000)));
    const auto answer = recent.exchange(get("/"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
}

TEST(Overload, ANewConnectionWaitsWhenAllAreBusy) {
    const service service({"--app.max_connections=1", "--app.threads=1"});
    auto busy = service.connect();
    busy.send(get("/slow?ms=500"));
    ASSERT_TRUE(service.handles("/slow"));
    EXPECT_EQ(service.ask(get("/")).status, 200);
    const auto answer = busy.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
}

TEST(Overload, ProbesFindAPlaceWhereAllConnectionsAreBusyAndEverybodyElseIsTold) {
    service service({"--app.max_connections=8", "--log.access=true", "--log.access_exclude="});
    std::vector<client> busy, more;
    for (int i = 0; i < 8; ++i) {
        busy.push_back(service.connect());
        busy.back().send(get("/slow?ms=3000"));
    }
    ASSERT_TRUE(eventually([&] {
        const auto vars = boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object();
        return number(vars, "connections", "open") == 8;
    }));
    for (int i = 0; i < 4; ++i) {
        more.push_back(service.connect());
        more.back().send(get("/slow?ms=3000"));
    }
    for (const auto* path : {"/readyz", "/livez", "/readyz"}) EXPECT_EQ(service.ask(get(path)).status, 200) << path;
    for (auto& each : more) {
        const auto answer = each.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 503);
        EXPECT_TRUE(answer->has("Retry-After"));
        EXPECT_TRUE(each.closes_silently(milliseconds(5'000)));
    }
    EXPECT_TRUE(service.logs(" rule max_connections"));
    service.process().signal(SIGTERM);
    for (auto& connection : busy) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
    }
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Overload, OneClientCannotTakeAllPlaces) {
    service service({"--app.max_connections_per_client=3", "--app.address=127.0.0.1"});
    std::vector<client> held;
    for (int i = 0; i < 3; ++i) {
        held.push_back(service.connect());
        EXPECT_EQ(held.back().exchange(get("/"))->status, 200);
    }
    EXPECT_EQ(service.ask(get("/")).status, 503);
    EXPECT_EQ(service.ask(get("/livez")).status, 200);
    // Those two have to be gone: the last of many would have the place that one of them leaves, and a second to ask.
    ASSERT_TRUE(eventually([&] {
        return number(boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object(), "connections",
                      "open") == 3;
    }));
    std::vector<client> many;
    for (int i = 0; i < 30; ++i) many.push_back(service.connect());
    EXPECT_TRUE(many.back().receive()) << "told without having asked";
    held.pop_back();
    many.clear();
    EXPECT_TRUE(eventually([&] { return service.ask(get("/")).status == 200; })) << "a place is free";
}

TEST(Overload, ManyMoreClientsThanConnectionsAreAllServed) {
    service service({"--app.max_connections=8"});
    std::vector<client> clients;
    clients.reserve(64);
    for (int i = 0; i < 64; ++i) clients.push_back(service.connect());
    std::size_t served = 0;
    for (auto& client : clients) {
        // One that was idle when room was needed may have been closed: silently, without having asked.
        const auto answer = client.exchange(get("/"));
        served += answer && answer->status == 200;
        EXPECT_FALSE(client.partial());
    }
    EXPECT_GE(served, 1U);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace integration
