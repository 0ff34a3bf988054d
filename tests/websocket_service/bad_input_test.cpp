// What a client may do wrong at GET /ws of the real binary: each has its answer, is counted, ends for good, and takes
// nothing with it that was asked before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/integration/service.hpp"
#include "tests/websocket/peer.hpp"

namespace {

using namespace integration;
using frames::fin;
using frames::masked;
using testing::HasSubstr;
using websocket_peer::handshake;
using websocket_peer::peer;

struct fault {
    const char* what;
    std::string bytes;
    unsigned code;
};

std::vector<fault> faults_of_frames() {
    constexpr unsigned text = 1, binary = 2, ping = 9, rsv2 = 0x20, rsv3 = 0x10, unknown = 3, unknown_control = 11;
    std::vector<fault> all{
        {"not masked",
         std::string("\x81\x01"
                     "a"),
         1002},
        {"the first reserved bit without compression", masked(fin | frames::rsv1 | text, "a"), 1002},
        {"the second reserved bit", masked(fin | rsv2 | text, "a"), 1002},
        {"the third reserved bit", masked(fin | rsv3 | text, "a"), 1002},
        {"an opcode that there is not", masked(fin | unknown, "a"), 1002},
        {"a control opcode that there is not", masked(fin | unknown_control, ""), 1002},
        {"a ping in fragments", masked(ping, "p"), 1002},
        {"a ping above 125 bytes", masked(fin | ping, std::string(126, 'p')), 1002},
        {"a fragment of nothing", masked(fin, "goes on"), 1002},
        {"a message within a message", masked(text, "one") + frames::text("two"), 1002},
        {"a length in more bytes than it takes", std::string("\x81\xfe\x00\x01\1\2\3\4a", 9), 1002},
        {"a Close of one byte", masked(fin | 8, "x"), 1002},
        {"text that is not UTF-8", frames::text("\xed\xa0\x80"), 1007},
        {"text that ends within a character", frames::text("\xe2\x82"), 1007},
        {"a reason that is not UTF-8", frames::close(1000, "\xff"), 1007},
        {"a length above the limit, before its bytes", std::string("\x82\xff\0\0\0\0\0\x10\0\1\1\2\3\4", 14), 1009},
        {"fragments above the limit",
         masked(binary, std::string(1'000'000, 'x')) + masked(fin, std::string(50'000, 'x')), 1009}};
    for (const unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 2999U, 5000U})
        all.push_back({"a Close with a code that may not be sent", frames::close(code), 1002});
    return all;
}

double ended(const service& service, std::string_view how) {
    return metric(service, "websocket_closed_total{route=\"GET /ws\",how=\"" + std::string(how) + "\"}");
}

TEST(BadWebSocketInput, InFramesHasItsCodeEndsAndIsCountedAndWhatCameBeforeIsAnswered) {
    service service;
    double count = 0;
    for (const auto& [what, bytes, code] : faults_of_frames()) {
        SCOPED_TRACE(what);
        peer peer(service.connect());
        peer.send(frames::text("before") + bytes + frames::text("behind"));
        const auto answer = peer.receive(), close = peer.receive();
        ASSERT_TRUE(answer && close);
        EXPECT_EQ(answer->payload, "before");
        EXPECT_EQ(close->kind(), 8U);
        EXPECT_EQ(close->code(), code);
        EXPECT_FALSE(peer.receive()) << "nothing is behind a Close";
        EXPECT_EQ(peer.client().ended(), client::ending::closed) << "by FIN, or the Close might be lost";
        peer.client().finish_sending();
        ++count;
        EXPECT_TRUE(eventually([&] { return ended(service, "by_us") == count; }));
    }
    EXPECT_EQ(metric(service, "websocket_opened_total{route=\"GET /ws\"}"), count);
    EXPECT_EQ(metric(service, "websocket_open{route=\"GET /ws\"}"), 0);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

TEST(BadWebSocketInput, OfAHandshakeIsRefusedAndTheConnectionServesOn) {
    const service service;
    const auto with = [](std::string_view line, std::string_view other) {
        auto text = handshake();
        const auto at = text.find(line);
        return text.replace(at, text.find("\r\n", at) + 2 - at, other);
    };
    auto client = service.connect();
    for (const std::string_view version : {"", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 0\r\n",
                                           "Sec-WebSocket-Version: 13, 8\r\n", "Sec-WebSocket-Version: 013\r\n"}) {
        const auto answer = client.exchange(with("Sec-WebSocket-Version", version));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 426) << version;
        EXPECT_EQ(answer->header("Sec-WebSocket-Version"), "13") << version;
        EXPECT_EQ(answer->header("Upgrade"), "websocket") << version;
        EXPECT_EQ(answer->header("Connection"), "Upgrade") << "without it the field before would be passed on";
    }
    for (const std::string_view key :
         {"", "Sec-WebSocket-Key: \r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"}) {
        const auto answer = client.exchange(with("Sec-WebSocket-Key", key));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 400) << key;
    }
    EXPECT_EQ(metric(service, "websocket_opened_total{route=\"GET /ws\"}"), 0);
    EXPECT_EQ(client.exchange(get("/"))->status, 200) << "the same connection";
}

TEST(BadWebSocketInput, BehindACloseIsNotLookedAt) {
    service service;
    peer peer(service.connect());
    peer.send(frames::text("before") + frames::close(1000, "enough") + frames::text("late") + "no frame at all");
    EXPECT_EQ(peer.receive()->payload, "before");
    EXPECT_EQ(peer.receive()->code(), 1000U);
    EXPECT_FALSE(peer.receive());
    EXPECT_EQ(peer.client().ended(), client::ending::closed);
    peer.send("and it sends on");
    EXPECT_TRUE(eventually([&] { return ended(service, "whole") == 1; }));
    EXPECT_EQ(metric(service, "websocket_messages_received_total{route=\"GET /ws\"}"), 1);
}

TEST(BadWebSocketInput, OfAPeerThatNeverClosesIsNotWaitedFor) {
    service service;
    peer mute(service.connect()), faulty(service.connect());
    mute.send(frames::close(1000));
    faulty.send(frames::text("\xff"));
    EXPECT_EQ(mute.receive()->code(), 1000U);
    EXPECT_EQ(faulty.receive()->code(), 1007U);
    EXPECT_TRUE(eventually([&] { return metric(service, "websocket_open{route=\"GET /ws\"}") == 0; }))
        << "their sockets are open, and ours are not";
    EXPECT_EQ(ended(service, "whole"), 1);
    EXPECT_EQ(ended(service, "by_us"), 1);
}

TEST(BadWebSocketInput, APeerThatNeverReadsIsCutAndCounted) {
    service service({"--app.write_timeout=1s"});
    peer deaf(service.connect(4096)), other(service.connect());
    const auto large = frames::binary(std::string(900'000, 'x'));
    for (int sent = 0; sent < 3; ++sent) deaf.send(large);
    EXPECT_TRUE(eventually([&] { return ended(service, "gone") == 1; }));
    EXPECT_EQ(other.echo("served meanwhile"), "served meanwhile");
    service.process().signal(SIGTERM);
    EXPECT_EQ(other.receive()->code(), 1001U);
    other.send(frames::close(1000));
    EXPECT_EQ(service.exit_code(), 0) << "who was gone before the stop is not cut by it";
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
