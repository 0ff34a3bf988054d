// GET /ws on the real binary: what a stop makes of WebSockets, and what settings and the debug port have of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/websocket/peer.hpp"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_telling = false;
#elif defined(__has_feature)
constexpr bool memory_is_telling = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool memory_is_telling = true;
#endif

/// Of a process, in bytes.
std::size_t anonymous_memory(pid_t process) {
    std::ifstream rollup("/proc/" + std::to_string(process) + "/smaps_rollup");
    for (std::string line; std::getline(rollup, line);)
        if (line.starts_with("Anonymous:")) return std::stoul(line.substr(10)) * 1024;
    throw std::runtime_error("no /proc/PID/smaps_rollup");
}

using namespace integration;
using testing::HasSubstr;
using websocket_peer::handshake;
using websocket_peer::peer;

TEST(WebSocketService, EchoesAndIsCounted) {
    const service service({"--log.access=true"});
    peer peer(service.connect());
    ASSERT_TRUE(peer.is_open());
    EXPECT_EQ(peer.echo("h\xc3\xa9llo"), "h\xc3\xa9llo");
    EXPECT_EQ(metric(service, "websocket_open{route=\"GET /ws\"}"), 1);
    EXPECT_EQ(metric(service, "websocket_messages_received_total{route=\"GET /ws\"}"), 1);
    EXPECT_TRUE(eventually([&] { return metric(service, "websocket_messages_sent_total{route=\"GET /ws\"}") == 1; }));
    EXPECT_THAT(service.ask_debug(get("/debug/tasks")).body, HasSubstr("GET /ws"));
    peer.send(frames::close(1000));
    EXPECT_EQ(peer.receive()->code(), 1000U);
    EXPECT_TRUE(service.logs("GET /ws 101"));
}

TEST(WebSocketService, AnIdleOneOwnsAtMost600Bytes) {
    if (!memory_is_telling) GTEST_SKIP() << "a sanitizer has memory of its own";
    rlimit files = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    service service({"--app.threads=1"});
    // No WebSocket owns the pages that the sampler of the heap touches at random: up to 40 bytes for each of these.
    service.ask_debug(request("POST", "/debug/pprof/heap?rate=0"));
    std::vector<peer> peers;
    const auto open = [&](int more) {
        for (; more > 0; --more) {
            peers.emplace_back(service.connect());
            ASSERT_EQ(peers.back().echo("hello"), "hello");
        }
    };
    open(100);
    const auto before = anonymous_memory(service.process().pid());
    constexpr int many = 3'000;  // what else the process takes meanwhile is little beside them
    open(many);
    EXPECT_LE((anonymous_memory(service.process().pid()) - before) / many, 600U);
}

TEST(WebSocketService, MessagesAboveTheSettingAre1009) {
    const service service({"--app.max_websocket_message=1000B"});
    peer peer(service.connect());
    EXPECT_EQ(peer.echo(std::string(1'000, 'x')), std::string(1'000, 'x'));
    peer.send(frames::text(std::string(1'001, 'x')));
    EXPECT_EQ(peer.receive()->code(), 1009U);
}

TEST(WebSocketService, APeerThatAnswersNoPingIsCut) {
    const service service({"--app.websocket_ping=100ms"});
    peer dead(service.connect()), live(service.connect());
    for (int pings = 0; pings < 10; ++pings) {
        ASSERT_EQ(live.receive()->kind(), 9U);
        live.send(frames::pong());
    }
    dead.client().receive_to_end();
    EXPECT_NE(dead.client().ended(), support::client::ending::open);
    EXPECT_EQ(live.receive()->kind(), 9U);
}

TEST(WebSocketService, AStopSays1001AndClosesTcpASecondLater) {
    service service({"--shutdown.idle_grace=300ms"});
    std::vector<peer> peers;
    for (int nth = 0; nth < 30; ++nth) {
        peers.emplace_back(service.connect());
        ASSERT_TRUE(peers.back().is_open());
    }
    service.process().signal(SIGTERM);
    const auto began = clock::now();
    for (std::size_t nth = 0; nth < peers.size(); ++nth) {
        ASSERT_EQ(peers[nth].receive()->code(), 1001U);
        if (nth % 2 == 0) peers[nth].send(frames::close(nth % 4 == 0 ? 1000 : 1001));  // the others are mute
    }
    for (auto& peer : peers) {
        peer.client().receive_to_end();
        EXPECT_EQ(peer.client().ended(), support::client::ending::closed);
    }
    EXPECT_TRUE(support::in_time(clock::now() - began, milliseconds(4'000)));
    EXPECT_EQ(service.exit_code(), 0);
    const auto report = service.report();
    EXPECT_EQ(faults(report), "");
    EXPECT_EQ(number(report, "streams", "told"), 30);
    EXPECT_EQ(number(report, "streams", "ended"), 15);
    EXPECT_EQ(number(report, "streams", "ended_by_us"), 15);
    EXPECT_EQ(number(report, "requests", "cut"), 0);
}

TEST(WebSocketService, AnUpgradeInTheLameDuckIs503AndClose) {
    service service({"--shutdown.lame_duck=1s"});
    peer before(service.connect());
    ASSERT_TRUE(before.is_open());
    service.begin_stop(SIGTERM);
    peer late(service.connect());
    EXPECT_THAT(late.head(), HasSubstr("HTTP/1.1 503 "));
    EXPECT_THAT(late.head(), HasSubstr("Connection: close\r\n"));
    EXPECT_EQ(before.echo("still served"), "still served");
    before.send(frames::close(1000));
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(WebSocketService, UnderLoadEveryMessageThatWasReadIsAnsweredAndNothingIsBehindTheClose) {
    service service({"--shutdown.idle_grace=500ms"});
    std::atomic<int> closed{0}, lost{0}, answered{0};
    std::vector<std::jthread> clients;
    std::atomic<bool> stopping{false};
    for (int nth = 0; nth < 8; ++nth)
        clients.emplace_back([&] {
            peer peer(service.connect());
            for (int count = 0;; ++count) {
                const auto text = "message " + std::to_string(count);
                peer.send(frames::text(text));
                const auto frame = peer.receive();
                if (!frame) return void(++lost);
                if (frame->kind() == 8) {
                    if (stopping && frame->code() == 1001) ++closed;
                    peer.send(frames::close(1001));
                    if (peer.receive()) ++lost;  // nothing is after a Close
                    return;
                }
                if (frame->payload != text) return void(++lost);
                ++answered;
            }
        });
    ASSERT_TRUE(eventually([&] { return answered > 1'000; }));
    stopping = true;
    service.process().signal(SIGTERM);
    clients.clear();
    EXPECT_EQ(closed, 8);
    EXPECT_EQ(lost, 0);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(WebSocketService, APeerThatDoesNotReadHoldsNoStop) {
    service service({"--shutdown.idle_grace=200ms"});
    peer peer(service.connect(4096));
    const auto large = frames::binary(std::string(900'000, 'x'));
    for (int sent = 0; sent < 3; ++sent) peer.send(large);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(milliseconds(10'000)), 3);  // what it has not read is cut, and said to be
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
