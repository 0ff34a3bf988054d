// What clients bring about themselves, and what they need: codings, deadlines of their own, half-closed connections,
// hints, uploads that are refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <optional>

#include "tests/server/serving.hpp"

namespace serving {
namespace {

using lifecycle::cause;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

TEST(HttpServerCoding, ABodyInOneThatTheRouteDoesNotDecodeIs415) {
    running app(router().post("/", echo()).post("/zip", echo()).decodes().get("/", says("hello")));
    for (const auto* coding : {"gzip", "br", "deflate, gzip", "aes128gcm"}) {
        const auto refused =
            app.ask(support::request("POST", "/", "Content-Encoding: " + std::string(coding) + "\r\n", "\x1f\x8b\x08"));
        EXPECT_EQ(refused.status, 415) << coding;
        EXPECT_EQ(refused.header("Accept-Encoding"), "identity") << "RFC 9110 section 15.5.16";
    }
    const std::string gzip = "Content-Encoding: gzip\r\n";
    EXPECT_EQ(app.ask(support::request("POST", "/zip", gzip, "x")).status, 200) << "this one decodes it itself";
    EXPECT_EQ(app.ask(support::request("POST", "/", "Content-Encoding: Identity\r\n", "x")).status, 200);
    EXPECT_EQ(app.ask(support::request("POST", "/", gzip, "")).status, 200) << "no body is in no coding";
    EXPECT_EQ(app.ask(get("/", gzip)).status, 200);
    EXPECT_EQ(app.ask(support::request("POST", "/none", gzip, "x")).status, 404);
    const auto in_chunks = "Transfer-Encoding: chunked\r\n" + gzip;
    EXPECT_EQ(app.ask("POST / HTTP/1.1\r\nHost: a\r\n" + in_chunks + "\r\n1\r\nx\r\n0\r\n\r\n").status, 415);
    EXPECT_EQ(app.ask("POST / HTTP/1.1\r\nHost: a\r\n" + in_chunks + "\r\n0\r\n\r\n").status, 200);
}

TEST(HttpServerCoding, TheBodyIsNotWaitedFor) {
    running app(router().post("/", echo()));
    auto client = app.connect();
    const auto refused = ask_on(client,
                                "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n"
                                "Expect: 100-continue\r\n\r\n");
    EXPECT_EQ(refused.status, 415) << "and no 100 before it";
    EXPECT_TRUE(refused.closes());
}

}  // namespace
}  // namespace serving
