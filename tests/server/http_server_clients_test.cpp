// What clients bring about themselves, and what they need: codings, deadlines of their own, half-closed connections,
// hints, uploads that are refused.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <optional>

#include "server/metrics.hpp"
#include "tests/server/serving.hpp"
#include "tests/support/in_time.hpp"

namespace serving {
namespace {

using lifecycle::cause;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string metrics_of(const running& app) {
    server::metrics_text out;
    app.server().write_metrics(out);
    return out.take();
}

std::string counted(std::string_view code) {
    return "http_requests_total{server=\"app\",route=\"GET /\",code=\"" + std::string(code) + "\"} 1\n";
}

server::options with_access_log() {
    auto options = one_loop();
    options.access_log = true;
    return options;
}

/// Ends with its context, as a handler should, and says that it could not.
server::handler gives_up_at(gate& held) {
    return [&held](lifecycle::context context, const request&) -> reply {
        auto waiting = held.wait(context);
        co_await std::move(waiting);
        co_return server::problem(http::status::service_unavailable);
    };
}

TEST(HttpServerClientGone, IsNoFailureOfOursButHasACodeAndLettersOfItsOwn) {
    gate held;
    running app(router().get("/", gives_up_at(held)), with_access_log());
    {
        auto client = app.connect();
        client.send(get("/"));
        ASSERT_TRUE(eventually([&] { return held.entered(); }));
    }
    ASSERT_TRUE(eventually([&] { return app.server().now().open == 0; }));
    EXPECT_EQ(held.seen(), cause::client_gone);
    EXPECT_THAT(metrics_of(app), HasSubstr(counted("client_gone")));
    EXPECT_THAT(metrics_of(app), Not(HasSubstr("code=\"5xx\"")));
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET / 503 .* CH"));
}

TEST(HttpServerDeadline, OneThatTheClientHasSetItselfIsNoFailureOfOurs) {
    gate held;
    running app(router().get("/", waits_at(held)), with_access_log());
    EXPECT_EQ(app.ask(get("/", "X-Request-Timeout: 1ms\r\n")).status, 504);
    EXPECT_THAT(metrics_of(app), HasSubstr(counted("4xx")));
    EXPECT_THAT(metrics_of(app), Not(HasSubstr("code=\"5xx\"")));
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET / 504 .* CH"));
}

TEST(HttpServerDeadline, OursIsAFailureOfOursAlsoForAClientThatWouldHaveWaitedLonger) {
    gate held;
    auto options = with_access_log();
    options.request_timeout = 20ms;
    running app(router().get("/", waits_at(held)), options);
    EXPECT_EQ(app.ask(get("/", "X-Request-Timeout: 1m\r\n")).status, 504);
    EXPECT_THAT(metrics_of(app), HasSubstr(counted("5xx")));
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("GET / 504 .* TH"));
}

TEST(HttpServerHalfClose, WhenAllowedAFinCancelsNothingAndTheAnswerIsWritten) {
    gate held;
    auto options = one_loop();
    options.half_close = true;
    const running app(router().get("/", waits_at(held)).get("/other", says("other")), options);
    auto client = app.connect();
    client.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    client.finish_sending();
    const auto ticks = app.server().turns() + 3;
    ASSERT_TRUE(eventually([&] { return app.server().turns() >= ticks; }));
    held.open();
    EXPECT_EQ(answer_of(client).status, 200);
    EXPECT_EQ(held.seen(), cause::none);
}

TEST(HttpServerHalfClose, AResetIsSeenAllTheSame) {
    gate held;
    auto options = one_loop();
    options.half_close = true;
    const running app(router().get("/", waits_at(held)), options);
    auto client = app.connect();
    client.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    client.reset();
    EXPECT_TRUE(eventually([&] { return held.seen() == cause::client_gone; }));
}

TEST(HttpServerAccessLog, HasNoLineOfAnExcludedPathNorOfAConnectionThatAskedForNothingElse) {
    running app(router().get("/", says("hello")).probe("/livez", says("ok")), with_access_log());
    EXPECT_EQ(app.ask(get("/livez?verbose")).status, 200);
    ASSERT_TRUE(eventually([&] { return app.server().now().open == 0; }));
    EXPECT_EQ(app.ask(get("/")).status, 200);
    app.stop();
    EXPECT_THAT(app.log(), Not(HasSubstr("livez")));
    EXPECT_THAT(app.log(), HasSubstr(" GET / 200 "));
    const auto closed = app.log().find("closed ");
    ASSERT_NE(closed, std::string::npos);
    EXPECT_EQ(app.log().find("closed ", closed + 1), std::string::npos) << app.log();
}

TEST(HttpServerHint, IsSaidOnEachAnswerThatKeepsTheConnectionAndOnNoOther) {
    auto options = one_loop();
    options.keep_alive_hint = 7s;
    running app(router().get("/", says("hello")), options);
    auto client = app.connect();
    for (int nth = 0; nth < 2; ++nth) {
        const auto answer = ask_on(client, get("/"));
        EXPECT_EQ(answer.header("Keep-Alive"), "timeout=7");
        EXPECT_EQ(answer.header("Connection"), "keep-alive");
    }
    EXPECT_EQ(app.ask(get("/", "Connection: close\r\n")).header("Keep-Alive"), "");
    app.begin_stop();
    const auto last = ask_on(client, get("/"));
    EXPECT_EQ(last.header("Keep-Alive"), "") << "in a stop nothing is kept";
    EXPECT_EQ(last.header("Connection"), "close");
}

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

TEST(HttpServerPeer, AClientOfIPv4IsWhoItIsOnASocketOfBoth) {
    auto options = one_loop();
    options.address = "::";
    const auto says_peer = [](lifecycle::context, const request& asked) -> reply {
        co_return response(http::status::ok, asked.peer.address().to_string());
    };
    std::optional<running> app;
    try {
        app.emplace(router().get("/", says_peer), options);
    } catch (const std::exception& e) {
        GTEST_SKIP() << "no IPv6 here: " << e.what();
    }
    const auto address = app->server().address();
    support::client client(support::endpoint("127.0.0.1" + address.substr(address.rfind(':'))));
    EXPECT_EQ(ask_on(client, get("/")).body, "127.0.0.1");
}

/// A request in two segments, as clients send it that write the head first: Nagle's algorithm holds the second one back
/// until the first is acknowledged. How long the answer took.
std::chrono::milliseconds posted_in_two(const support::endpoint& to, int times) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = to.address();
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    char answer[1024];
    clock::duration worst{};
    for (int nth = 0; nth < times; ++nth) {
        const auto from = clock::now();
        EXPECT_EQ(::send(socket, head.data(), head.size(), 0), static_cast<ssize_t>(head.size()));
        EXPECT_EQ(::send(socket, "body", 4, 0), 4);
        EXPECT_GT(::recv(socket, answer, sizeof answer, 0), 0);
        worst += clock::now() - from;
    }
    ::close(socket);
    return std::chrono::duration_cast<std::chrono::milliseconds>(worst);
}

TEST(HttpServerUpload, ABodyInASegmentOfItsOwnDoesNotWaitForADelayedAcknowledgement) {
    const running app(router().post("/", echo()));
    constexpr int times = 40;
    EXPECT_TRUE(support::in_time(posted_in_two(support::endpoint(app.server().address()), times), times * 20ms))
        << "the kernel delays an acknowledgement by 40 ms";
}

/// Pieces of an upload of 2 MiB with a pause after each, as from a slow client. How many bytes got through.
std::size_t upload(support::client& client, int pieces, std::size_t size, std::chrono::milliseconds pause) {
    const std::string piece(size, 'x');
    std::size_t sent = 0;
    for (int nth = 0; nth < pieces && client.send(piece); ++nth) {
        sent += size;
        const auto until = clock::now() + pause;
        eventually([&] { return clock::now() >= until; });
    }
    return sent;
}

const std::string too_much = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2097152\r\n\r\n";

TEST(HttpServerUpload, ARefusalIsReadByASlowClientInTheLameDuckAsWhileServing) {
    for (const bool lame_duck : {false, true}) {
        running app(router().post("/", echo()));
        auto client = app.connect();
        if (lame_duck) app.begin_stop();
        client.send(too_much);
        EXPECT_EQ(upload(client, 25, 32'768, 60ms), 25 * 32'768U) << "1.5 s of it, in spite of the stop";
        EXPECT_EQ(answer_of(client).status, 413);
    }
}

TEST(HttpServerUpload, AHostileDripIsNotReadForLongInAStop) {
    running app(router().post("/", echo()));
    auto client = app.connect();
    app.begin_stop();
    client.send(too_much);
    const auto began = clock::now();
    while (client.send("x") && clock::now() - began < 15s) upload(client, 1, 1, 50ms);
    EXPECT_TRUE(support::in_time(clock::now() - began, 10s)) << "less than 1 KiB in a second is over";
}

}  // namespace
}  // namespace serving
