// Requests that must be refused, and clients that are slow.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

/// The service refuses it with this status, says that it closes, and does.
void expect_refused(const service& service, const std::string& bytes, int status) {
    SCOPED_TRACE(bytes.substr(0, 100));
    auto connection = service.connect();
    connection.send(bytes);
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << "no answer, the connection ended: " << static_cast<int>(connection.ended());
    EXPECT_EQ(answer->status, status);
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

TEST(Hostile, WhatIsNotARequestIs400) {
    const service service;
    const std::string host = "Host: x\r\n";
    for (const std::string& head : {
             std::string("nonsense\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\n\r\n"),                        // no Host
             std::string("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),  // two
             std::string("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),           // malformed
             "GET / HTTP/1.1\r\n" + host + "Name : value\r\n\r\n",         // RFC 9112 5.1: no space before the colon
             "GET / HTTP/1.1\r\n" + host + "A: b\r\n folded\r\n\r\n",      // RFC 9112 5.2: obs-fold
             "GET /a\"b HTTP/1.1\r\n" + host + "\r\n",
             "GET /a#b HTTP/1.1\r\n" + host + "\r\n",
             "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n",
             "GET / HTTP/1.1\r\n" + host + "A: b\x01\r\n\r\n",
             "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
             "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\nx",
             "POST /echo HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n",
             "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
             "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
         })
        expect_refused(service, head, 400);
    EXPECT_EQ(service.ask(get("/")).status, 200);
}

TEST(Hostile, ATransferEncodingOtherThanChunkedIsRefused) {
    const service service;
    for (const char* lines :
         {"Transfer-Encoding: gzip\r\n", "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, identity\r\n"}) {
        auto connection = service.connect();
        connection.send("POST /echo HTTP/1.1\r\nHost: x\r\n" + std::string(lines) + "\r\n0\r\n\r\n");
        const auto answer = connection.receive();
        ASSERT_TRUE(answer) << lines;
        EXPECT_TRUE(answer->status == 400 || answer->status == 501) << lines << answer->status;
        EXPECT_TRUE(answer->closes()) << lines;
    }
    expect_refused(service, "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

TEST(Hostile, ABadRequestDoesNotHideTheAnswersBeforeIt) {
    const service service;
    auto connection = service.connect();
    connection.send(get("/") + get("/livez") + "nonsense\r\n\r\n");
    for (const int status : {200, 200, 400}) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, status);
    }
}

TEST(Hostile, EveryLimitHasItsStatus) {
    const service service({"--app.max_header_bytes=4KiB", "--app.max_target_bytes=1KiB", "--app.max_body_bytes=4KiB"});
    expect_refused(service, get("/", "Padding: " + std::string(8'000, 'p') + "\r\n"), 431);
    expect_refused(service, get("/" + std::string(1'500, 't')), 414);
    expect_refused(service, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", 413);
    expect_refused(service, request("POST", "/echo", {}, std::string(200'000, 'b')), 413);
    expect_refused(service,
                   "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1400\r\n" +
                       std::string(0x1400, 'b') + "\r\n0\r\n\r\n",
                   413);
    EXPECT_EQ(service.ask(request("POST", "/echo", {}, std::string(4'096, 'b'))).status, 200);
    EXPECT_EQ(service.ask(get("/?" + std::string(1'000, 't'))).status, 200);
}

TEST(Hostile, AHeadWithoutEndIsRefusedBeforeItIsWhole) {
    const service service({"--app.max_header_bytes=4KiB", "--app.max_target_bytes=1KiB"});
    expect_refused(service, "GET / HTTP/1.1\r\nHost: x\r\nPadding: " + std::string(50'000, 'p'), 431);
}

TEST(Hostile, ASlowHeadIs408) {
    const service service({"--app.header_timeout=300ms"});
    expect_refused(service, "GET / HTTP/1.1\r\nHos", 408);
    auto reused = service.connect();
    ASSERT_TRUE(reused.exchange(get("/")));
    reused.send("G");
    const auto answer = reused.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 408);
    auto mute = service.connect();
    EXPECT_TRUE(mute.closes_silently(milliseconds(5'000)));
}

TEST(Hostile, ASlowBodyIs408) {
    const service service({"--app.body_timeout=300ms"});
    expect_refused(service, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", 408);
}

TEST(Hostile, AnIdleConnectionIsClosedSilently) {
    const service service({"--app.idle_timeout=300ms"});
    auto connection = service.connect();
    ASSERT_TRUE(connection.exchange(get("/")));
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

TEST(Hostile, AReaderThatStandsStillIsCut) {
    service service({"--app.write_timeout=300ms"});
    auto connection = service.connect(4096);
    connection.send(get("/big?bytes=1099511627776"));
    // It ends by the service's time-out, seen from outside: nothing handles it then.
    ASSERT_TRUE(service.handles("/big"));
    EXPECT_TRUE(
        eventually([&] { return service.ask_debug(get("/debug/tasks")).body.find("/big") == std::string::npos; }));
}

}  // namespace
}  // namespace integration
