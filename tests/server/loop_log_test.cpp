// What a loop says in the log, and how often, without a loop: the test says how late it is.
#include "server/loop/log.hpp"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>

#include "server/net/socket_address.hpp"

namespace {

using namespace std::chrono_literals;
using server::line_limit;
using server::rule;

constexpr lifecycle::clock::time_point start{1h};

/// The log of the second loop of a server.
struct lines {
    std::ostringstream written;
    spdlog::logger to{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(written)};
    server::loop_log log{to, "app", 1};
    const server::socket_address peer{boost::asio::ip::make_address("192.0.2.1"), 50'000};

    lines() { to.set_pattern("%v"); }
    /// Those since this was called last.
    std::string said() {
        auto text = written.str();
        written.str({});
        return text;
    }
};

TEST(LineLimit, AllowsTheFirstLineAndThenOneASecond) {
    line_limit limit;
    EXPECT_TRUE(limit.allows(start));
    EXPECT_FALSE(limit.allows(start));
    EXPECT_FALSE(limit.allows(start + 1s - 1ns));
    EXPECT_TRUE(limit.allows(start + 1s));
    EXPECT_FALSE(limit.allows(start + 1s)) << "the second begins with the last line";
}

TEST(LineLimit, WhatIsNotAllowedDoesNotPutOffTheNextLine) {
    line_limit limit;
    limit.allows(start);
    limit.allows(start + 900ms);
    EXPECT_TRUE(limit.allows(start + 1s));
}

TEST(LoopLog, EachLostConnectionIsCountedAndOneASecondIsSaid) {
    lines loop;
    loop.log.lost_connection("no memory", start);
    EXPECT_EQ(loop.said(), "app-2: a connection is closed, 1 so far: no memory\n");
    loop.log.lost_connection("no memory", start + 1ms);
    EXPECT_EQ(loop.said(), "");
    loop.log.lost_connection("no descriptor", start + 1s);
    EXPECT_EQ(loop.said(), "app-2: a connection is closed, 3 so far: no descriptor\n");
}

TEST(LoopLog, EachFailedHandshakeIsCountedAndOneASecondIsSaid) {
    lines loop;
    loop.log.no_handshake("wrong version number", loop.peer, start);
    EXPECT_EQ(loop.said(), "app: no TLS handshake with 192.0.2.1: wrong version number; 1 so far\n");
    loop.log.no_handshake("unknown ca", loop.peer, start + 1ms);
    EXPECT_EQ(loop.said(), "");
    loop.log.no_handshake("unknown ca", loop.peer, start + 1s);
    EXPECT_EQ(loop.said(), "app: no TLS handshake with 192.0.2.1: unknown ca; 3 so far\n");
}

TEST(LoopLog, WhoSpeaksAnotherProtocolIsSaidOnceASecond) {
    lines loop;
    loop.log.other_protocol(rule::tls, loop.peer, 1, start);
    EXPECT_EQ(loop.said(), "app: what 192.0.2.1 sends " + std::string(in_words(rule::tls)) + "; 1 so far\n");
    loop.log.other_protocol(rule::http2, loop.peer, 1, start + 1ms);
    EXPECT_EQ(loop.said(), "") << "whatever protocol that is";
    loop.log.other_protocol(rule::tls, loop.peer, 7, start + 1s);
    EXPECT_EQ(loop.said(), "app: what 192.0.2.1 sends " + std::string(in_words(rule::tls)) + "; 7 so far\n");
}

TEST(LoopLog, KindsOfLinesDoNotKeepEachOtherQuiet) {
    lines loop;
    loop.log.lost_connection("no memory", start);
    loop.said();
    loop.log.no_handshake("unknown ca", loop.peer, start);
    EXPECT_NE(loop.said(), "");
    loop.log.other_protocol(rule::tls, loop.peer, 1, start);
    EXPECT_NE(loop.said(), "");
}

TEST(LoopLog, SaysWhatHasHeldUpTheLoop) {
    lines loop;
    loop.log.stood_still({.lasted = 70ms, .computed = 3ms, .by = "GET /slow (request 7)"});
    EXPECT_EQ(loop.said(), "app-2 stood still for 70 ms, 3 ms of CPU time: GET /slow (request 7)\n");
}

}  // namespace
