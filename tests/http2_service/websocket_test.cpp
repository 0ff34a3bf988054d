// WebSocket over HTTP/2 (RFC 8441), on the real binary.

#ifdef WEBSOCKET

#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/http2_service/client.hpp"
#include "tests/integration/service.hpp"

namespace http2_tests {
namespace {

using integration::faults;
using integration::metric;
using integration::number;
using integration::service;

/// A frame of a client, masked by zeroes; shorter than 126 bytes.
std::string masked(char first, const std::string& payload) {
    return std::string(1, first) + static_cast<char>(0x80 | payload.size()) + std::string(4, '\0') + payload;
}
const char text = '\x81', close = '\x88';
const std::string going_away("\x88\x02\x03\xe9", 4);
const std::string too_large("\x82\xff\0\0\0\0\0\x10\0\1\1\2\3\4", 14);  // a mebibyte and a byte

std::int32_t open(connected_peer& client, const peer::fields& more = {}) {
    peer::fields all{{":protocol", "websocket"}, {"sec-websocket-version", "13"}};
    all.insert(all.end(), more.begin(), more.end());
    return client.ask("CONNECT", "/ws", all, std::nullopt, true);
}

TEST(Http2WebSocket, EchoesOnAStreamBesideOtherRequests) {
    service service;
    connected_peer client(service.app());
    ASSERT_TRUE(client.until([&] { return !client.settings.empty(); }));
    EXPECT_EQ(client.settings[NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL], 1);
    const auto id = open(client);
    client.send_body(id, masked(text, "hello"), false);
    ASSERT_TRUE(client.until([&] { return client.answers[id].body == "\x81\x05hello"; })) << service.err();
    EXPECT_EQ(client.answers[id].status, 200);
    EXPECT_EQ(client.answers[id].header("sec-websocket-accept"), "");
    const auto hello = client.get("/");
    ASSERT_TRUE(client.answered(hello));
    EXPECT_EQ(metric(service, "websocket_open{route=\"GET /ws\"}"), 1);
    client.send_body(id, masked(close, "\x03\xe8"), true);
    ASSERT_TRUE(client.answered(id));
    EXPECT_TRUE(client.answers[id].ended);
    EXPECT_EQ(client.answers[id].body, std::string("\x81\x05hello\x88\x02\x03\xe8", 11));
    EXPECT_TRUE(support::eventually([&] { return metric(service, "websocket_open{route=\"GET /ws\"}") == 0; }));
}

TEST(Http2WebSocket, MayBeginAndEndInOneSegment) {
    service service({"--app.threads=1"});
    double count = 0;
    const auto ended = [&] {
        double all = 0;
        for (const char* how : {"whole", "by_us", "gone"})
            all += metric(service, std::string("websocket_closed_total{route=\"GET /ws\",how=\"") + how + "\"}");
        return all;
    };
    for (const auto& bytes : {masked(text, "hello") + masked(close, "\x03\xe8"), masked(text, "no Close"),
                              std::string("\x81\x01x"), std::string()}) {
        connected_peer client(service.app());
        ASSERT_TRUE(client.until([&] { return !client.settings.empty(); }));
        const auto id = open(client);
        client.send_body(id, bytes, true);  // with it: nothing is sent before the wait
        ASSERT_TRUE(client.until([&] { return client.answers[id].ended; })) << service.err();
        ++count;
        EXPECT_TRUE(support::eventually([&] { return ended() == count; }));
    }
    EXPECT_EQ(service.ask(support::get("/")).status, 200);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Http2WebSocket, AgreesOnCompressionAndRefusesWhatIsNoHandshake) {
    service service;
    connected_peer client(service.app());
    const auto squeezed = open(client, {{"sec-websocket-extensions", "permessage-deflate"}});
    ASSERT_TRUE(client.until([&] { return client.answers[squeezed].status != 0; }));
    EXPECT_NE(client.answers[squeezed].header("sec-websocket-extensions"), "");
    const auto status = [&](const peer::fields& fields, std::string_view method = "CONNECT") {
        const auto id = client.ask(method, "/ws", fields);
        EXPECT_TRUE(client.answered(id));
        return client.answers[id].status;
    };
    EXPECT_EQ(status({{":protocol", "websocket"}}), 426);
    EXPECT_EQ(status({{":protocol", "connect-udp"}, {"sec-websocket-version", "13"}}), 501);
    EXPECT_EQ(status({{"sec-websocket-version", "13"}}, "GET"), 426);
}

TEST(Http2WebSocket, AFaultHasItsCodeAndEndsItsStreamAlone) {
    service service;
    connected_peer client(service.app());
    const auto beside = open(client);
    double count = 0;
    const std::vector<std::pair<std::string, std::string>> faults{{"\x81\x01x", "\x03\xea"},           // not masked
                                                                  {masked('\x91', "x"), "\x03\xea"},   // reserved
                                                                  {masked('\x09', "x"), "\x03\xea"},   // in fragments
                                                                  {masked(text, "\xff"), "\x03\xef"},  // UTF-8
                                                                  {masked(close, "\x03\xed"), "\x03\xea"},
                                                                  {too_large, "\x03\xf1"}};
    for (const auto& [bytes, code] : faults) {
        const auto id = open(client);
        client.send_body(id, masked(text, "before") + bytes + masked(text, "behind"), false);
        ASSERT_TRUE(client.until([&] { return client.answers[id].ended; }));
        EXPECT_EQ(client.answers[id].body,
                  "\x81\x06"
                  "before\x88\x02" +
                      code);
        client.send_body(id, "", true);
        ++count;
        EXPECT_TRUE(support::eventually(
            [&] { return metric(service, "websocket_closed_total{route=\"GET /ws\",how=\"by_us\"}") == count; }));
    }
    client.send_body(beside, masked(text, "hello"), false);
    EXPECT_TRUE(client.until([&] { return client.answers[beside].body == "\x81\x05hello"; }));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.until([&] { return client.answers[beside].body.ends_with(going_away); }));
    client.send_body(beside, masked(close, "\x03\xe9"), true);
    EXPECT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(integration::faults(service.report()), "");
}

TEST(Http2WebSocket, AStopSays1001AndEndsTheStreamAndTheConnection) {
    service service({"--shutdown.idle_grace=200ms"});
    connected_peer answers(service.app()), silent(service.app());
    const auto first = open(answers);
    const auto second = open(silent);
    ASSERT_TRUE(answers.until([&] { return answers.answers[first].status == 200; }));
    ASSERT_TRUE(silent.until([&] { return silent.answers[second].status == 200; }));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(answers.until([&] { return answers.answers[first].body == going_away; })) << service.err();
    answers.send_body(first, masked(close, "\x03\xe9"), true);
    ASSERT_TRUE(answers.until([&] { return answers.closed; }));
    EXPECT_TRUE(answers.answers[first].ended);
    ASSERT_TRUE(silent.until([&] { return silent.closed; }));  // it never answers, and is closed
    EXPECT_EQ(silent.answers[second].body, going_away);
    EXPECT_TRUE(silent.answers[second].ended);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "finished"), 2);
}

TEST(Http2WebSocket, AnUpgradeInTheLameDuckIsRefused) {
    service service({"--shutdown.lame_duck=500ms"});
    connected_peer client(service.app());
    ASSERT_TRUE(client.answered(client.get("/")));
    service.begin_stop(SIGTERM);
    const auto id = open(client);
    ASSERT_TRUE(client.answered(id));
    EXPECT_EQ(client.answers[id].status, 503);
    EXPECT_EQ(service.exit_code(), 0);
}

TEST(Http2WebSocket, AClientThatResetsItsStreamIsGoneAndNothingElse) {
    service service;
    connected_peer client(service.app());
    const auto id = open(client);
    ASSERT_TRUE(client.until([&] { return client.answers[id].status == 200; }));
    client.reset(id);
    client.until([] { return false; }, support::milliseconds(50));  // it is on its way
    EXPECT_TRUE(support::eventually(
        [&] { return metric(service, "websocket_closed_total{route=\"GET /ws\",how=\"gone\"}") == 1; }));
    const auto hello = client.get("/");
    ASSERT_TRUE(client.answered(hello));
    service.begin_stop(SIGTERM);
    EXPECT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace http2_tests

#endif
