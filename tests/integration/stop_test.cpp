// The heart: how the process ends, and that no client loses anything by it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

/// Exit code 0 and a report that balances.
void expect_clean(service& service) {
    ASSERT_EQ(service.exit_code(), 0) << service.err();
    const auto report = service.report();
    EXPECT_EQ(faults(report), "");
    EXPECT_EQ(report.at("exit_code").to_number<int>(), 0);
    EXPECT_GE(report.at("duration_ms").to_number<int>(), 0);
    EXPECT_EQ(number(report, "requests", "cut"), 0);
    EXPECT_TRUE(report.at("stragglers").as_array().empty());
}

void expect_last_answer(client& connection, int status = 200) {
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << "no answer; ended: " << static_cast<int>(connection.ended());
    EXPECT_EQ(answer->status, status);
    EXPECT_EQ(answer->header("Retry-After"), status == 503 ? "1" : "");
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

/// Longer than anything here waits for an exit.
const std::vector<std::string> patient{"--shutdown.budget=10m", "--shutdown.idle_grace=5m"};

TEST(Stop, AnIdleServiceEndsAtOnce) {
    service service(patient);
    const auto when = service.process().signal(SIGTERM);
    expect_clean(service);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(500)));
    const auto report = service.report();
    EXPECT_EQ(report.at("cause").as_string(), "SIGTERM");
    EXPECT_THAT(std::string(report.at("started").as_string()), HasSubstr("T"));
    std::vector<std::string> phases;
    for (const auto& phase : report.at("phases").as_array()) phases.emplace_back(phase.at("name").as_string());
    EXPECT_THAT(phases, testing::ElementsAre("lame_duck", "app", "tracker", "debug"));
    const auto log = service.err();
    const auto last = log.substr(log.rfind('\n', log.size() - 2) + 1);
    EXPECT_THAT(last, HasSubstr("\"threads_left\":0"));
}

TEST(Stop, SigintIsAStopToo) {
    service service;
    service.process().signal(SIGINT);
    expect_clean(service);
    EXPECT_EQ(service.report().at("cause").as_string(), "SIGINT");
}

TEST(Stop, ARequestInFlightIsAnswered) {
    service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=700"));
    ASSERT_TRUE(service.handles("/slow"));
    service.process().signal(SIGTERM);
    expect_last_answer(connection);
    expect_clean(service);
    const auto report = service.report();
    EXPECT_EQ(number(report, "requests", "in_flight_at_stop"), 1);
    EXPECT_EQ(number(report, "requests", "finished"), 1);
    EXPECT_EQ(number(report, "connections", "open_at_stop"), 1);
}

TEST(Stop, AHalfSentHeadOnAFreshConnectionIsServedWhenCompleted) {
    service service({"--shutdown.idle_grace=100ms"});
    auto connection = service.connect();
    connection.send("GET / HT");
    service.begin_stop(SIGTERM);
    // The stop goes on for longer than the idle grace and does not end without this client.
    EXPECT_FALSE(service.process().wait(milliseconds(400)));
    connection.send("TP/1.1\r\nHost: x\r\n\r\n");
    expect_last_answer(connection);
    expect_clean(service);
}

TEST(Stop, AHalfSentHeadOnAReusedConnectionIsServedWhenCompleted) {
    service service({"--shutdown.idle_grace=100ms"});
    auto connection = service.connect();
    ASSERT_TRUE(connection.exchange(get("/")));
    connection.send("G");
    service.begin_stop(SIGTERM);
    EXPECT_FALSE(service.process().wait(milliseconds(400)));
    connection.send("ET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_last_answer(connection);
    expect_clean(service);
}

TEST(Stop, ANeverUsedConnectionHoldsItUpForTheIdleGraceAndNoLonger) {
    service service({"--shutdown.idle_grace=300ms"});
    auto connection = service.connect();
    const auto when = service.process().signal(SIGTERM);
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
    expect_clean(service);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'500)));
}

TEST(Stop, ANeverUsedConnectionMayStillAskWithinTheIdleGrace) {
    service service({"--shutdown.idle_grace=3s"});
    auto connection = service.connect();
    service.begin_stop(SIGTERM);
    connection.send(get("/"));
    expect_last_answer(connection);
    expect_clean(service);
}

TEST(Stop, AnIdleConnectionUsedWithinTheIdleGraceIsServedAndClosed) {
    service service(patient);
    auto connection = service.connect();
    ASSERT_TRUE(connection.exchange(get("/")));
    const auto when = service.begin_stop(SIGTERM);
    connection.send(get("/"));
    expect_last_answer(connection);
    expect_clean(service);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(2'500)))
        << "nobody is left, it must not wait out the grace";
}

TEST(Stop, AnIdleConnectionIsClosedSilentlyAfterTheIdleGrace) {
    service service({"--shutdown.idle_grace=300ms"});
    auto connection = service.connect();
    ASSERT_TRUE(connection.exchange(get("/")));
    const auto when = service.process().signal(SIGTERM);
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
    expect_clean(service);
    EXPECT_GE(service.lasted(when), milliseconds(290));
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'500)));
    // Idle, or still busy with its last write when the signal came: accounted for either way.
    const auto report = service.report();
    EXPECT_EQ(number(report, "connections", "closed_idle") + number(report, "connections", "finished"), 1);
    EXPECT_EQ(number(report, "connections", "forced"), 0);
}

TEST(Stop, PipelinedRequestsAreAllAnsweredAndOnlyTheLastCloses) {
    service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=500") + get("/") + request("POST", "/echo", {}, "body") + get("/livez") + get("/"));
    ASSERT_TRUE(service.handles("/slow"));
    service.process().signal(SIGTERM);
    for (int i = 0; i < 4; ++i) {
        const auto answer = connection.receive();
        ASSERT_TRUE(answer) << i;
        EXPECT_EQ(answer->status, 200) << i;
        EXPECT_FALSE(answer->closes()) << i;
    }
    expect_last_answer(connection);
    expect_clean(service);
}

TEST(Stop, ALargeResponseThatIsReadSlowlyIsWhole) {
    service service;
    auto connection = service.connect(16 * 1024);
    connection.send(get("/big?bytes=16777216"));
    connection.receive_some(100'000);
    service.begin_stop(SIGTERM);
    for (std::size_t bytes = 200'000; bytes < 2'000'000; bytes += 200'000) {
        connection.receive_some(bytes);
        service.readiness_is(503);  // takes its time between two reads
    }
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << "cut after " << connection.rest().size() << " bytes";
    EXPECT_EQ(answer->body.size(), 16'777'216U);
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
    expect_clean(service);
}

TEST(Stop, AnUploadUnderWayIsFinished) {
    service service({"--shutdown.idle_grace=100ms"});
    auto connection = service.connect();
    const std::string body(300'000, 'u');
    const auto whole = request("POST", "/echo", {}, body);
    connection.send(std::string_view(whole).substr(0, 100'000));
    service.begin_stop(SIGTERM);
    EXPECT_FALSE(service.process().wait(milliseconds(300)));
    connection.send(std::string_view(whole).substr(100'000));
    const auto answer = connection.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, body);
    EXPECT_TRUE(answer->closes());
    expect_clean(service);
}

TEST(Stop, ADebugConnectionDoesNotHoldTheExit) {
    service service(patient);
    client idle(service.debug());
    client half(service.debug());
    ASSERT_TRUE(idle.exchange(get("/livez")));
    half.send("GET /");
    const auto when = service.process().signal(SIGTERM);
    expect_clean(service);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(500)));
    EXPECT_EQ(number(service.report(), "connections", "open_at_stop"), 0);
}

TEST(Stop, LivezStays200AndTheDebugPortAnswersThroughTheDrain) {
    service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=500"));
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.ask_debug(get("/livez")).status, 200);
    EXPECT_EQ(service.ask_debug(get("/metrics")).status, 200);
    EXPECT_THAT(service.ask_debug(get("/debug/tasks")).body, HasSubstr("/slow"));
    EXPECT_EQ(service.ask_debug(get("/debug/shutdown")).status, 200);
    expect_last_answer(connection);
    expect_clean(service);
}

TEST(LameDuck, ServesEverythingButReadinessAndSaysClose) {
    service service({"--shutdown.lame_duck=800ms"});
    auto reused = service.connect();
    ASSERT_TRUE(reused.exchange(get("/")));
    const auto when = service.begin_stop(SIGTERM);
    EXPECT_EQ(service.ask(get("/readyz")).status, 503);
    EXPECT_EQ(service.ask(get("/livez")).status, 200);
    const auto fresh = service.ask(get("/"));
    EXPECT_EQ(fresh.status, 200);
    EXPECT_TRUE(fresh.closes());
    EXPECT_EQ(service.ask(request("POST", "/events", {}, "late")).status, 201);
    reused.send(get("/"));
    expect_last_answer(reused);
    expect_clean(service);
    EXPECT_GE(service.lasted(when), milliseconds(799));
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(3'000)));
    EXPECT_THAT(service.events(), HasSubstr("\"late\""));
    EXPECT_GE(number(service.report(), "connections", "accepted_after"), 4);
}

TEST(Stop, ConnectionsWithoutARequestAreNoneInTheReport) {
    service service({"--app.threads=2"});
    std::vector<client> visitors;
    for (int nth = 0; nth < 30; ++nth) visitors.push_back(service.connect());
    service.process().signal(SIGTERM);
    visitors.clear();  // so that the stop is noted in the middle of a connection's end, more often than not
    expect_clean(service);
    const auto report = service.report();
    for (const auto* column : {"in_flight_at_stop", "begun_after", "finished", "cut", "gone"})
        EXPECT_EQ(number(report, "requests", column), 0) << column;
}

TEST(Stop, ARequestWhoseClientLeavesFirstIsGone) {
    service service({"--shutdown.lame_duck=3s", "--app.threads=1"});
    const auto waits_for = [&](const std::string& what, int connections) {
        const auto name = "http_connections{server=\"app\",state=\"" + what + "\"}";
        return eventually([&] { return metric(service, name) == connections; });
    };
    auto before = service.connect();
    before.send("GET / HTTP/1.1\r\nHo");
    ASSERT_TRUE(waits_for("reading head", 1));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.ask(get("/")).status, 200);  // from here on the loop knows of the stop
    before.reset();
    auto after = service.connect();
    after.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx");
    ASSERT_TRUE(waits_for("reading body", 1));
    after.finish_sending();
    expect_clean(service);
    const auto report = service.report();
    EXPECT_EQ(number(report, "requests", "in_flight_at_stop"), 1);
    EXPECT_EQ(number(report, "requests", "begun_after"), 2);
    EXPECT_EQ(number(report, "requests", "finished"), 1);
    EXPECT_EQ(number(report, "requests", "gone"), 2);
}

TEST(LameDuck, APostAndThenASigtermAreOneStop) {
    service service({"--shutdown.lame_duck=200ms"});
    auto connection = service.connect();
    connection.send(get("/slow?ms=900"));
    ASSERT_TRUE(service.handles("/slow"));
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown")).status, 202);
    service.process().signal(SIGTERM);
    expect_last_answer(connection);
    expect_clean(service);
    EXPECT_EQ(service.report().at("cause").as_string(), "debug");
}

TEST(Force, ASecondSignalAnswers503AndEndsWithinASecond) {
    service service({"--shutdown.budget=10m"});
    auto waiting = service.connect();
    waiting.send(get("/slow?ms=60000"));
    auto half = service.connect();
    half.send("GET / HTTP/1.1\r\nHo");
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    const auto when = service.signal_again(SIGTERM);
    expect_last_answer(waiting, 503);
    expect_last_answer(half, 408);
    EXPECT_EQ(service.exit_code(), 3);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'200)));
    const auto report = service.report();
    EXPECT_EQ(report.at("exit_code").to_number<int>(), 3);
    EXPECT_LT(report.at("duration_ms").to_number<int>(), 600'000) << "the time that passed, not the budget";
    EXPECT_GE(number(report, "requests", "cut"), 1);
    EXPECT_EQ(number(report, "requests", "cut"), number(report, "requests", "in_flight_at_stop"));
    EXPECT_EQ(faults(report), "");
}

TEST(Force, AtTheEndOfTheBudgetNobodyIsLeftWithoutAnAnswer) {
    service service({"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms"});
    auto waiting = service.connect();
    waiting.send(get("/slow?ms=60000"));
    auto fresh = service.connect();
    fresh.send("GET / HTTP/1.1\r\nHo");
    auto reused = service.connect();
    ASSERT_TRUE(reused.exchange(get("/")));
    reused.send("GET / HTTP/1.1\r\nHo");
    ASSERT_TRUE(service.handles("/slow"));
    const auto when = service.process().signal(SIGTERM);
    expect_last_answer(waiting, 503);
    expect_last_answer(fresh, 408);
    expect_last_answer(reused, 408);
    EXPECT_EQ(service.exit_code(), 3);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(2'200)));
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Stop, AClientThatNeverSendsTheBodyItHasAnnouncedIs408AndCutsNothing) {
    // The app gives up after a second; the others have as much time as a busy machine may make them take.
    service service({"--shutdown.budget=10s", "--shutdown.idle_grace=100ms", "--shutdown.flush=8500ms"});
    auto connection = service.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    const auto goes_on = connection.receive();
    ASSERT_TRUE(goes_on);
    ASSERT_EQ(goes_on->status, 100);
    service.begin_stop(SIGTERM);
    expect_last_answer(connection, 408);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    const auto report = service.report();
    EXPECT_EQ(number(report, "requests", "in_flight_at_stop"), 1);
    EXPECT_EQ(number(report, "requests", "finished"), 1);
    EXPECT_EQ(faults(report), "");
}

TEST(Force, AResponseWhoseHeadIsOutIsCutVisiblyAndCounted) {
    service service({"--shutdown.budget=1500ms", "--shutdown.idle_grace=100ms", "--shutdown.flush=200ms"});
    auto connection = service.connect(4096);
    connection.send(get("/big?bytes=1099511627776"));
    connection.receive_some(10'000);
    const auto when = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 3);
    EXPECT_TRUE(support::in_time(service.lasted(when), milliseconds(1'700)));
    const auto report = service.report();
    EXPECT_EQ(number(report, "requests", "cut"), 1);
    EXPECT_EQ(number(report, "connections", "forced"), 1);
    EXPECT_EQ(faults(report), "");
}

}  // namespace
}  // namespace integration
