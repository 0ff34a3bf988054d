#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/http/error.hpp>
#include <filesystem>
#include <regex>
#include <stdexcept>

#include "tests/client/calling.hpp"
#include "tests/support/in_time.hpp"

namespace {

using namespace std::chrono_literals;
using server::http::verb;
using support::scripted_upstream;
using testing::HasSubstr;
using testing::Not;
namespace errc = boost::system::errc;
namespace beast_http = boost::beast::http;

struct HttpClient : Calling {};

std::ptrdiff_t descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

TEST_F(HttpClient, BringsStatusFieldsAndBody) {
    const auto good = ask("/ok?a=b").value();
    EXPECT_EQ(good.status, 200U);
    EXPECT_EQ(good.body, "fine");
    EXPECT_EQ(good.header("content-LENGTH"), "4");
    EXPECT_EQ(good.header("X"), "");
    EXPECT_THAT(up.requests()[0].head, HasSubstr("GET /ok?a=b HTTP/1.1\r\n"));
    EXPECT_EQ("http://" + up.requests()[0].field("Host"), up.origin());
    EXPECT_EQ(ask("/elsewhere").value().status, 404U);
}

TEST_F(HttpClient, KeepsTheConnectionForTheNextRequest) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("/ok").value().body, "fine");
    EXPECT_EQ(up.accepted(), 1U);
    EXPECT_EQ(kept(), 1U);
}

TEST_F(HttpClient, DoesNotKeepWhatTheUpstreamCloses) {
    EXPECT_EQ(ask("/close").value().body, "bye");
    EXPECT_EQ(kept(), 0U);
    EXPECT_EQ(ask("/close").value().body, "bye");
    EXPECT_EQ(up.accepted(), 2U);
}

TEST_F(HttpClient, AKeptConnectionThatIsClosedMeanwhileIsDroppedWithoutARequest) {
    EXPECT_TRUE(ask("/ok"));
    const auto before = descriptors();
    up.close_idle();
    EXPECT_TRUE(run_until([&] { return kept() == 0; }));
    EXPECT_EQ(descriptors(), before - 2);  // the upstream's own end of it is in this process too
}

TEST_F(HttpClient, AClosedConnectionIsNotUsedBeforeAnybodyHasLooked) {
    EXPECT_TRUE(ask("/ok"));
    up.close_idle();
    auto asked = request("/ok");
    asked.method = verb::post;  // which would not be repeated
    EXPECT_EQ(ask(asked).value().body, "fine");
    EXPECT_EQ(up.accepted(), 2U);
}

TEST_F(HttpClient, AConnectionIsKeptForItsTimeOnly) {
    options.idle_timeout = 60ms;
    EXPECT_TRUE(ask("/ok"));
    EXPECT_EQ(kept(), 1U);
    EXPECT_TRUE(run_until([&] { return kept() == 0; }));
    EXPECT_TRUE(support::eventually([&] { return up.open() == 0; }));
}

TEST_F(HttpClient, KeepsNothingInAStop) {
    EXPECT_TRUE(ask("/ok"));
    stop.request("test");
    io.restart();
    EXPECT_GT(io.run_for(10s), 0U);
    EXPECT_TRUE(io.stopped());  // the loop has run out of work by itself
    EXPECT_EQ(ask("/ok").value().body, "fine");
    EXPECT_EQ(kept(), 0U);
    EXPECT_EQ(up.requests().back().field("Connection"), "close");
}

TEST_F(HttpClient, WhatMayBeRepeatedIsWhenAKeptConnectionDiesBeforeAByte) {
    EXPECT_EQ(ask("/race").value().body, "first");
    EXPECT_EQ(ask("/race").value().body, "first");
    EXPECT_EQ(up.accepted(), 2U);
    EXPECT_EQ(up.requests().size(), 3U);
}

TEST_F(HttpClient, APostIsNotRepeated) {
    EXPECT_TRUE(ask("/ok"));
    auto asked = request("/race");
    asked.method = verb::post;
    asked.body = "once";
    EXPECT_FALSE(ask(asked));
    EXPECT_EQ(up.requests().size(), 2U);
    EXPECT_EQ(up.requests()[1].body, "once");
}

TEST_F(HttpClient, NothingIsRepeatedAfterAByteOrOnAFreshConnection) {
    EXPECT_TRUE(ask("/ok"));
    EXPECT_FALSE(ask("/cut"));
    EXPECT_EQ(up.requests().size(), 2U);
    EXPECT_FALSE(ask("/reset"));
    EXPECT_EQ(up.requests().size(), 3U);
}

TEST_F(HttpClient, ADeadlineEndsWhateverTheUpstreamDoes) {
    for (const char* path : {"/hang", "/trickle"}) {
        const auto began = support::clock::now();
        EXPECT_EQ(ask(path, within(100ms)).error(), errc::timed_out) << path;
        EXPECT_TRUE(support::in_time(support::clock::now() - began, 2s)) << path;
        EXPECT_TRUE(support::eventually([&] { return up.open() == 0; })) << path;
    }
    EXPECT_EQ(ask("/ok", within(0ms)).error(), errc::timed_out);
    EXPECT_EQ(up.requests().size(), 2U);
}

TEST_F(HttpClient, AConnectIsPartOfTheTime) {
    // A queue of connections that nothing accepts, and that is full: the kernel drops what comes (listen(2)).
    const int deaf = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    ASSERT_EQ(::bind(deaf, reinterpret_cast<sockaddr*>(&any), length), 0);
    ASSERT_EQ(::listen(deaf, 0), 0);
    ASSERT_EQ(::getsockname(deaf, reinterpret_cast<sockaddr*>(&any), &length), 0);
    std::vector<int> fill;
    for (int i = 0; i < 3; ++i) {
        fill.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ::connect(fill.back(), reinterpret_cast<sockaddr*>(&any), length);
    }
    const auto origin = "http://127.0.0.1:" + std::to_string(ntohs(any.sin_port));
    more_allowed = "," + origin;
    EXPECT_EQ(ask({.to = client().find(origin).value()}, within(100ms)).error(), errc::timed_out);
    for (const int each : fill) ::close(each);
    ::close(deaf);
}

TEST_F(HttpClient, ACancelledCallGoesAtOnceAndLeavesNothing) {
    EXPECT_TRUE(ask("/close"));
    EXPECT_TRUE(support::eventually([&] { return up.open() == 0; }));
    const auto before = descriptors();
    lifecycle::cancel_scope scope;
    const auto call = begin(request("/hang"), scope.get());
    EXPECT_TRUE(run_until([&] { return up.requests().size() == 2; }));
    scope.cancel(lifecycle::cause::client_gone);
    EXPECT_EQ(finish(call).error(), errc::operation_canceled);
    EXPECT_TRUE(support::eventually([&] { return up.open() == 0; }));
    EXPECT_EQ(descriptors(), before);
}

TEST_F(HttpClient, WhatIsNoAnswerIsAnErrorAndEndsTheConnection) {
    EXPECT_EQ(ask("/garbage").error(), beast_http::error::bad_version);
    EXPECT_EQ(ask("/much").error(), beast_http::error::header_limit);
    EXPECT_EQ(ask("/large").error(), beast_http::error::body_limit);
    EXPECT_EQ(ask("/cut").error(), beast_http::error::partial_message);
    EXPECT_EQ(kept(), 0U);
    EXPECT_TRUE(support::eventually([&] { return up.open() == 0; }));
    up.die();
    EXPECT_EQ(ask("/ok").error(), errc::connection_refused);
}

TEST_F(HttpClient, WhoFindsNoPlaceWaitsInOrder) {
    options.max_connections = 2;
    std::vector<std::shared_ptr<call>> calls;
    std::vector<std::size_t> order;
    for (int i = 0; i < 8; ++i) calls.push_back(begin(request("/slow?" + std::to_string(i))));
    for (auto& call : calls) finish(call);
    EXPECT_EQ(up.accepted(), 2U);
    for (const auto& asked : up.requests()) order.push_back(static_cast<std::size_t>(asked.path().back() - '0'));
    for (std::size_t nth = 0; nth < order.size(); ++nth)  // two at a time: neighbours may swap
        EXPECT_NEAR(static_cast<double>(order[nth]), static_cast<double>(nth), 1.0);
}

TEST_F(HttpClient, WhoeverGivesUpWaitingCostsNobodyAPlace) {
    options.max_connections = 1;
    lifecycle::cancel_scope first, second;
    const auto holds = begin(request("/hang"), first.get());
    const auto gone = begin(request("/ok"), second.get());
    const auto late = begin(request("/ok"), within(50ms));
    const auto last = begin(request("/ok"));
    EXPECT_EQ(finish(late).error(), errc::timed_out);
    // In one turn of the loop: the place is granted to a caller that has just left.
    boost::asio::post(io, [&] {
        first.cancel(lifecycle::cause::cancelled);
        second.cancel(lifecycle::cause::cancelled);
    });
    EXPECT_EQ(finish(last).value().body, "fine");
    EXPECT_EQ(finish(gone).error(), errc::operation_canceled);
    EXPECT_EQ(finish(holds).error(), errc::operation_canceled);
}

TEST_F(HttpClient, HandsOnTheTraceAndWhatIsLeftOfTheTime) {
    auto asked = request("/ok");
    asked.trace.parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    asked.trace.state = "a=b";
    asked.fields = {{"Accept", "text/plain"}, {"Connection", "upgrade"}, {"Host", "evil"}};
    EXPECT_TRUE(ask(asked, within(5s)));
    const auto seen = up.requests().front();
    EXPECT_EQ(seen.field("traceparent"), asked.trace.parent);
    EXPECT_EQ(seen.field("tracestate"), "a=b");
    EXPECT_EQ(seen.field("Accept"), "text/plain");
    EXPECT_EQ("http://" + seen.field("Host"), up.origin());
    EXPECT_THAT(seen.head, Not(HasSubstr("upgrade")));
    std::smatch left;
    const auto text = seen.field("X-Request-Timeout");
    ASSERT_TRUE(std::regex_match(text, left, std::regex("([0-9]+)ms"))) << text;
    EXPECT_LE(std::stoi(left[1]), 5000);
    EXPECT_GT(std::stoi(left[1]), 1000);
    EXPECT_TRUE(ask("/ok"));
    EXPECT_EQ(up.requests()[1].field("X-Request-Timeout"), "");
}

TEST_F(HttpClient, AFieldThatWouldEndEarlyIsNotSent) {
    for (const auto& [name, value] :
         {std::pair("X", "a\r\nY: b"), std::pair("X", "a\nb"), std::pair("X Y", "a"), std::pair("", "a")}) {
        auto asked = request("/ok");
        asked.fields = {{name, value}};
        EXPECT_THROW(ask(asked), std::invalid_argument);
    }
    EXPECT_EQ(up.accepted(), 0U);
}

TEST_F(HttpClient, AnswersAreReadAsRfc9112HasThem) {
    struct row {
        std::string bytes;
        then after;
        std::string body;
        std::size_t kept;
    };
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    const std::vector<row> rows{
        {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: x\r\n\r\n", then::keep, "abcd", 1},
        {ok + "\r\nup to the end", then::close, "up to the end", 0},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", then::keep, "x", 1},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", then::hang, "x", 0},
        {"HTTP/1.1 204 No Content\r\n\r\n", then::keep, "", 1},
        {ok + "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n", then::keep, "x",
         0},  // and something that nobody asked for
        {ok + "Content-Length: 1\r\nConnection: x, close\r\n\r\nx", then::hang, "x", 0},
    };
    for (const auto& row : rows) {
        play = [&row](const auto&, std::size_t) { return scripted_upstream::reply{row.bytes, row.after}; };
        const auto got = ask("/");
        EXPECT_EQ(got ? got->body : got.error().message(), row.body) << row.bytes;
        EXPECT_EQ(kept(), row.kept) << row.bytes;
        up.close_idle();
        EXPECT_TRUE(run_until([&] { return kept() == 0; }));
    }
    for (const auto& bytes : {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                              ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
                              ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                              std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
                              ok + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(1024 * 1024, 'x')}) {
        play = [&bytes](const auto&, std::size_t) { return scripted_upstream::reply{bytes, then::close}; };
        EXPECT_FALSE(ask("/")) << bytes.substr(0, 80);
        EXPECT_EQ(kept(), 0U);
    }
}

TEST_F(HttpClient, AnAnswerToHeadHasNoBody) {
    auto asked = request("/ok");
    asked.method = verb::head;
    play = [](const auto&, std::size_t) {
        return scripted_upstream::reply{"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"};
    };
    EXPECT_EQ(ask(asked).value().header("Content-Length"), "1000000000");
    EXPECT_EQ(kept(), 1U);
}

TEST_F(HttpClient, InterimAnswersWithoutEndAreNoAnswer) {
    play = [](const auto&, std::size_t) {
        std::string all;
        for (int i = 0; i < 100; ++i) all += "HTTP/1.1 102 Processing\r\n\r\n";
        return scripted_upstream::reply{all};
    };
    EXPECT_EQ(ask("/").error(), beast_http::error::bad_status);
}

}  // namespace
