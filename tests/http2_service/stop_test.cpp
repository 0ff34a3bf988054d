// The real binary in HTTP/2: what it answers, and that a stop loses no client.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/http2_service/client.hpp"
#include "tests/integration/service.hpp"
#include "tests/integration/unread.hpp"
#include "tests/support/in_time.hpp"

namespace http2_tests {
namespace {

using integration::faults;
using integration::metric;
using integration::number;
using integration::service;
using namespace std::chrono_literals;

TEST(Http2Service, AnswersTheRoutesOfHttp1) {
    service service({"--log.access=true", "--log.format=json"});
    connected_peer client(service.app());
    const auto hello = client.get("/");
    const auto big = client.get("/big?bytes=300000");
    const auto echo = client.ask("POST", "/echo", {}, std::string(200'000, 'e'));
    const auto nowhere = client.get("/nowhere");
    for (const auto id : {hello, big, echo, nowhere}) ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(client.answers[hello].body, "Hello, QCon!\n");
    EXPECT_EQ(client.answers[big].body.size(), 300'000);
    EXPECT_EQ(client.answers[echo].body.size(), 200'000);
    EXPECT_EQ(client.answers[nowhere].status, 404);
    EXPECT_TRUE(service.logs(R"("target":"/nowhere","protocol":"HTTP/2")")) << service.err();
}

TEST(Http2Service, AConnectionIsServedInItWhateverTheOneBeforeWasForOnItsLoop) {
    service service({"--app.threads=1"});
    const auto expect_an_answer = [&] {
        connected_peer client(service.app());
        const auto id = client.get("/");
        EXPECT_TRUE(client.answered(id)) << service.err();
        EXPECT_EQ(client.answers[id].status, 200);
    };
    {
        auto leaver = service.connect();
        leaver.send(support::get("/slow?ms=600000"));
        ASSERT_TRUE(service.handles("/slow"));
    }
    ASSERT_TRUE(support::eventually(
        [&] { return metric(service, "http_requests_in_flight{server=\"app\",route=\"GET /slow\"}") == 0; }));
    expect_an_answer();
#ifdef WEBSOCKET
    {
        auto talker = service.connect();
        talker.send(support::get("/ws",
                                 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
        ASSERT_TRUE(support::eventually([&] { return metric(service, "websocket_open{route=\"GET /ws\"}") == 1; }));
    }
    ASSERT_TRUE(support::eventually([&] { return metric(service, "websocket_open{route=\"GET /ws\"}") == 0; }));
    expect_an_answer();
#endif
}

TEST(Http2Service, WithoutTheSettingThePrefaceIsRefusedInHttp1) {
    service service({"--app.http2=false"});
    auto client = service.connect();
    client.send(preface);
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 505);
}

TEST(Http2Service, ARequestInAHandlerIsSeenByTheDebugPort) {
    service service;
    connected_peer client(service.app());
    const auto id = client.get("/slow?ms=2000");
    client.until([] { return false; }, 50ms);  // it is on its way
    EXPECT_TRUE(service.handles("/slow?ms=2000"));
    for (const auto* const page : {"/debug/requests?format=json", "/debug/connections?format=json", "/debug/tasks"})
        EXPECT_THAT(service.ask_debug(support::get(page)).body, testing::HasSubstr(R"("protocol":"HTTP/2")")) << page;
    client.reset(id);
    client.until([] { return false; }, 50ms);
    EXPECT_TRUE(support::eventually([&] {
        return service.ask_debug(support::get("/metrics")).body.find("code=\"client_gone\"} 1") != std::string::npos;
    }));
}

TEST(Http2Service, AStopTellsInTwoStepsFinishesAndBalances) {
    service service({"--shutdown.lame_duck=300ms"});
    connected_peer idle(service.app());
    const auto first = idle.get("/");
    ASSERT_TRUE(idle.answered(first));
    connected_peer busy(service.app());
    const auto slow = busy.get("/slow?ms=900");
    busy.until([] { return false; }, 50ms);
    service.begin_stop(SIGTERM);
    const auto in_lame_duck = idle.get("/");
    ASSERT_TRUE(idle.answered(in_lame_duck));
    EXPECT_EQ(idle.answers[in_lame_duck].status, 200);
    EXPECT_TRUE(idle.goaways.empty());
    ASSERT_TRUE(idle.until([&] { return idle.closed; }));
    ASSERT_TRUE(busy.until([&] { return busy.closed; }));
    using goaway = peer::goaway;
    EXPECT_THAT(idle.goaways,
                testing::ElementsAre(goaway{0x7fff'ffff, NGHTTP2_NO_ERROR}, goaway{in_lame_duck, NGHTTP2_NO_ERROR}));
    EXPECT_EQ(busy.answers[slow].status, 200);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "connections", "open_at_stop"), 2);
    EXPECT_EQ(number(service.report(), "requests", "finished"), 2);
}

TEST(Http2Service, AtTheEndOfTheBudgetWhatHasNoHeadIsAnsweredAndWhatHasOneIsReset) {
    service service({"--shutdown.budget=2s", "--shutdown.flush=200ms", "--shutdown.idle_grace=100ms"});
    connected_peer client(service.app());
    const auto slow = client.get("/slow?ms=60000");
    const auto call = client.ask("POST", "/echo", {{"content-type", "application/grpc"}}, std::nullopt, true);
    client.send_body(call, "a", false);
    const auto big = client.get("/big?bytes=1099511627776");
    client.until([&] { return client.answers[big].body.size() > 100'000; });
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_EQ(client.answers[slow].status, 503);
    EXPECT_EQ(client.answers[slow].header("retry-after"), "1");
    EXPECT_EQ(client.answers[call].header("grpc-status"), "14");
    EXPECT_EQ(client.answers[big].reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(service.exit_code(), 3) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "cut"), 3);
}

TEST(Http2Service, AStreamOfEventsWhoseWindowStaysShutIsResetASecondAfterTheIdleGraceAndHoldsNoStop) {
    service service({"--shutdown.idle_grace=200ms", "--shutdown.budget=10m", "--app.write_timeout=10m"});
    connected_peer client(service.app(), 200, false);
    const auto id = client.get("/ticks?ms=10");
    ASSERT_TRUE(client.until([&] { return client.answers[id].body.size() == 200; }));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_EQ(client.answers[id].reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "streams", "told"), 1);
    EXPECT_EQ(number(service.report(), "streams", "cut"), 1);
    EXPECT_EQ(number(service.report(), "requests", "gone"), 1);
}

TEST(Http2Service, AStreamOfEventsOnAConnectionThatIsNotReadHoldsNoStopEither) {
    service service({"--shutdown.idle_grace=200ms", "--shutdown.budget=10m", "--app.write_timeout=10m",
                     integration::small_sockets, "--app.threads=1", "--log.access=true"});
    peer says;
    says.get("/ticks?ms=10", {{"last-event-id", "10000000000000000000"}});
    auto client = service.connect(integration::small_receive_buffer);
    client.send(says.take());
    auto reader = integration::stream_behind_unread_ones(service);
    service.begin_stop(SIGTERM);
    reader.receive_to_end();
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    client.receive_to_end();
    EXPECT_EQ(client.ended(), support::client::ending::reset);
    EXPECT_TRUE(service.logs("closed 127.0.0.1 after 1 requests TD\n")) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "streams", "cut"), 1);
    EXPECT_EQ(number(service.report(), "requests", "gone"), 1);
}

/// A call of gRPC, with an empty message.
std::int32_t call(connected_peer& client, std::string_view path) {
    return client.ask("POST", path, {{"content-type", "application/grpc"}, {"te", "trailers"}}, std::string(5, '\0'));
}
/// What the health service says: 1 SERVING, 2 NOT_SERVING.
std::string says(char status) { return std::string("\0\0\0\0\2\x08", 6) + status; }

TEST(Http2Service, TheHealthServiceSaysNotServingFromTheFirstMomentOfAStop) {
    service service({"--shutdown.lame_duck=500ms"});
    connected_peer client(service.app());
    const auto check = call(client, "/grpc.health.v1.Health/Check");
    const auto watch = call(client, "/grpc.health.v1.Health/Watch");
    ASSERT_TRUE(client.answered(check));
    EXPECT_EQ(client.answers[check].body, says(1));
    EXPECT_EQ(client.answers[check].trailers.find("grpc-status")->second, "0");
    ASSERT_TRUE(client.until([&] { return client.answers[watch].body == says(1); }));
    const auto began = service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.until([&] { return client.answers[watch].body == says(1) + says(2); }));
    EXPECT_TRUE(support::in_time(support::clock::now() - began, 400ms));
    EXPECT_TRUE(client.goaways.empty());
    const auto again = call(client, "/grpc.health.v1.Health/Check");
    ASSERT_TRUE(client.answered(again));
    EXPECT_EQ(client.answers[again].body, says(2));
    ASSERT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_TRUE(client.answers[watch].ended);
    EXPECT_EQ(client.answers[watch].trailers.find("grpc-status")->second, "14");
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

/// Calls one after the other, on a new connection where the last one has been told to go: what RFC 9113 asks of it.
struct caller {
    std::atomic<int> answered{0}, lost{0};
    void run(const support::endpoint& to, const std::atomic<bool>& over) {
        while (!over) {
            connected_peer client(to);
            while (!over && client.goaways.empty() && !client.closed) {
                const auto id = client.get("/slow?ms=2");
                const bool came = client.answered(id);
                const bool begun = client.goaways.empty() || id <= client.goaways.back().last;
                if (came && client.answers[id].status == 200)
                    ++answered;
                else if (begun && !client.settings.empty())  // else nobody was there any more
                    ++lost;
            }
        }
    }
};

TEST(Http2Service, AStopUnderLoadLosesNoRequestThatWasTaken) {
    for (int stop = 0; stop < 3; ++stop) {
        service service({"--shutdown.lame_duck=100ms"});
        std::atomic<bool> over{false};
        caller all;
        std::vector<std::jthread> threads;  // lint: callers of a test
        for (int nth = 0; nth < 8; ++nth) threads.emplace_back([&] { all.run(service.app(), over); });
        ASSERT_TRUE(support::eventually([&] { return all.answered > 200; }));
        service.begin_stop(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        over = true;
        threads.clear();
        EXPECT_EQ(all.lost, 0);
        EXPECT_EQ(faults(service.report()), "");
    }
}

}  // namespace
}  // namespace http2_tests
