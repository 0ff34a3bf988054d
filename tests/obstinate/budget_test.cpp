// The budget holds whatever refuses to end: exit in time, exit code 3, every client answered that can be, and a
// report that balances and names what had not ended.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

constexpr milliseconds budget{2'000};
constexpr milliseconds promised{100};  // after the budget, or after the second that a force has
constexpr milliseconds busy_machine{150};

service::options obstinate(const char* what, std::vector<std::string> more = {}) {
    std::vector<std::string> flags = {"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms",
                                      "--app.threads=2"};
    flags.insert(flags.end(), more.begin(), more.end());
    return {std::move(flags), {fmt::format("OBSTINATE={}", what)}};
}

void expect_forced(service& service, clock::time_point when, milliseconds limit) {
    EXPECT_EQ(service.exit_code(), 3) << service.err();
    fmt::print("gone after {} ms of {}\n", service.lasted(when).count(), limit.count());
    EXPECT_TRUE(support::in_time(service.lasted(when), limit + promised + busy_machine));
    const auto report = service.report();
    EXPECT_EQ(report.at("exit_code").to_number<int>(), 3);
    EXPECT_EQ(number(report, "connections", "open_at_stop") + number(report, "connections", "accepted_after"),
              number(report, "connections", "closed_idle") + number(report, "connections", "finished") +
                  number(report, "connections", "forced"))
        << boost::json::serialize(report);
    EXPECT_EQ(
        number(report, "requests", "in_flight_at_stop") + number(report, "requests", "begun_after"),
        number(report, "requests", "finished") + number(report, "requests", "cut") + number(report, "requests", "gone"))
        << boost::json::serialize(report);
}

/// The straggler of that name, as "kind where"; empty when the report has none.
std::string straggler(const service& service, const std::string& name) {
    const auto report = service.report();  // named: a loop over a part of a temporary outlives it
    for (const auto& each : report.at("stragglers").as_array())
        if (each.at("name").as_string() == name)
            return fmt::format("{} {}", each.at("kind").as_string().c_str(), each.at("where").as_string().c_str());
    return {};
}

void expect_503(client& connection) {
    const auto answer = connection.receive();
    ASSERT_TRUE(answer) << "no answer; ended " << static_cast<int>(connection.ended());
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->header("Retry-After"), "1");
    EXPECT_TRUE(answer->closes());
    EXPECT_TRUE(connection.closes_silently(milliseconds(5'000)));
}

/// Ends by the budget (`force` false) or by a second signal.
class Obstinate : public testing::TestWithParam<bool> {
protected:
    clock::time_point end(service& service) const {
        auto when = service.begin_stop(SIGTERM);
        if (GetParam()) when = service.signal_again(SIGTERM);
        return when;
    }
    milliseconds limit() const { return GetParam() ? milliseconds(1'000) - promised : budget; }
};

TEST_P(Obstinate, AHandlerThatIgnoresItsContextIsAnsweredForAndNamed) {
    service service(obstinate("handler"));
    auto waiting = service.connect();
    waiting.send(get("/stubborn?ms=60000"));
    ASSERT_TRUE(service.handles("/stubborn"));
    const auto when = end(service);
    expect_503(waiting);
    expect_forced(service, when, limit());
    EXPECT_THAT(straggler(service, "GET /stubborn"), HasSubstr("request"));
    EXPECT_THAT(straggler(service, "GET /stubborn"), HasSubstr("main.cpp:")) << "the line at which it waits";
    EXPECT_TRUE(service.logs("GET /stubborn")) << service.err();
    EXPECT_EQ(number(service.report(), "requests", "cut"), 1);
}

TEST_P(Obstinate, AStreamWhoseSourceStandsStillIsCutByAResetAndNamed) {
    service service(obstinate("stream"));
    auto chunked = service.connect();
    chunked.send(get("/stall"));
    chunked.receive_some(100);
    auto old = service.connect();
    old.send("GET /stall HTTP/1.0\r\n\r\n");
    old.receive_some(100);
    const auto when = end(service);
    EXPECT_THAT(old.receive_to_end(), testing::EndsWith("\r\n\r\nx"));
    EXPECT_EQ(old.ended(), client::ending::reset) << "without a length a FIN would make it look whole";
    EXPECT_FALSE(chunked.receive());
    EXPECT_EQ(chunked.ended(), client::ending::reset);
    expect_forced(service, when, limit());
    EXPECT_THAT(straggler(service, "GET /stall"), HasSubstr("request"));
    EXPECT_TRUE(service.logs("GET /stall has not ended with its context: ")) << service.err();
    EXPECT_EQ(number(service.report(), "requests", "cut"), 2);
}

TEST_P(Obstinate, ManyHandlersOnEveryLoopAreAllAnsweredFor) {
    service service(obstinate("handler"));
    std::vector<client> waiting;
    for (int i = 0; i < 50; ++i) {
        waiting.push_back(service.connect());
        waiting.back().send(get("/stubborn?ms=60000"));
    }
    ASSERT_TRUE(eventually([&] {
        const auto tasks = service.ask_debug(get("/metrics")).body;
        return tasks.find("http_requests_in_flight{server=\"app\",route=\"GET /stubborn\"} 50") != std::string::npos;
    })) << service.ask_debug(get("/metrics")).body;
    const auto when = end(service);
    for (auto& each : waiting) expect_503(each);
    expect_forced(service, when, limit());
    EXPECT_EQ(number(service.report(), "requests", "cut"), 50);
}

TEST_P(Obstinate, AWedgedLoopIsNamedWithItsStackAndTheOthersGoOn) {
    service service(obstinate("loop"));
    // The listener lives on the first loop and deals to the emptiest: a connection that waits on the first one
    // sends the next to the second, which is the one to wedge.
    auto first = service.connect();
    ASSERT_TRUE(first.exchange(get("/")));
    auto second = service.connect();
    ASSERT_TRUE(second.exchange(get("/")));
    auto third = service.connect();
    ASSERT_TRUE(third.exchange(get("/")));
    second.send(get("/spin?ms=60000"));
    first.send(get("/slow?ms=60000"));
    third.send(get("/slow?ms=60000"));
    ASSERT_TRUE(eventually([&] {
        const auto tasks = service.ask_debug(get("/debug/tasks")).body;
        return tasks.find("/spin") != std::string::npos && tasks.find("/slow") != std::string::npos;
    }));
    const auto when = end(service);
    expect_503(first);
    expect_503(third);
    expect_forced(service, when, limit());
    const auto wedged = straggler(service, "app-2");
    EXPECT_THAT(wedged, HasSubstr("loop"));
    EXPECT_THAT(wedged, HasSubstr("spin_and_hear_nothing"));
    EXPECT_GE(number(service.report(), "connections", "forced"), 1);
    EXPECT_GE(number(service.report(), "requests", "cut"), 3);
    EXPECT_THAT(second.receive_to_end(), "");
}

TEST_P(Obstinate, TheOnlyLoopWedged) {
    service service(obstinate("loop", {"--app.threads=1"}));
    auto idle = service.connect();
    ASSERT_TRUE(idle.exchange(get("/")));
    auto spinning = service.connect();
    spinning.send(get("/spin?ms=60000"));
    ASSERT_TRUE(service.handles("/spin"));
    const auto when = end(service);
    expect_forced(service, when, limit());
    EXPECT_THAT(straggler(service, "app-1"), HasSubstr("spin_and_hear_nothing"));
    EXPECT_EQ(number(service.report(), "connections", "forced"), 2);
}

TEST_P(Obstinate, AWedgedLoopNamesTheTaskThatItRuns) {
    service service(obstinate("loop", {"--app.threads=1"}));
    auto spinning = service.connect();
    spinning.send(get("/spin?ms=60000"));
    ASSERT_TRUE(service.handles("/spin"));
    const auto when = end(service);
    expect_forced(service, when, limit());
    EXPECT_FALSE(straggler(service, "GET /spin").empty()) << boost::json::serialize(service.report());
    EXPECT_TRUE(service.logs("GET /spin")) << service.err();
}

TEST_P(Obstinate, ASinkThatBlocksInTheKernel) {
    service service(obstinate("sink"));
    for (int i = 0; i < 5; ++i) ASSERT_EQ(service.ask(request("POST", "/events", {}, "never")).status, 201);
    const auto when = end(service);
    expect_forced(service, when, limit());
    const auto report = service.report();
    EXPECT_EQ(number(report, "events", "accepted"), 5);
    EXPECT_EQ(number(report, "events", "delivered"), 0);
    EXPECT_THAT(boost::json::serialize(report.at("stragglers")), HasSubstr("block_in_the_kernel"));
    std::int64_t dropped = 0;
    for (const auto& reason : report.at("events").as_object().at("dropped").as_object())
        dropped += reason.value().to_number<std::int64_t>();
    EXPECT_EQ(number(report, "events", "spooled") + dropped, 5) << "said 201, and not accounted for";
}

TEST_P(Obstinate, APartThatDoesNotHearItsStopIsNamedAndNeverWaitedFor) {
    service service(obstinate("part"));
    auto connection = service.connect();
    connection.send(get("/slow?ms=300"));
    ASSERT_TRUE(service.handles("/slow"));
    const auto when = end(service);
    const auto answer = connection.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, GetParam() ? 503 : 200);
    expect_forced(service, when, limit());
    EXPECT_THAT(straggler(service, "deaf"), HasSubstr("part"));
    EXPECT_THAT(straggler(service, "deaf"), HasSubstr("block_in_the_kernel"));
    EXPECT_GE(service.report().at("workers_left").to_number<int>(), 1);
}

TEST_P(Obstinate, EverythingAtOnce) {
    service service(obstinate("sink", {"--shutdown.lame_duck=100ms"}));
    for (int i = 0; i < 5; ++i) ASSERT_EQ(service.ask(request("POST", "/events", {}, "never")).status, 201);
    std::vector<client> clients;
    for (const char* path : {"/stubborn?ms=60000", "/spin?ms=60000", "/slow?ms=60000", "/big?bytes=1099511627776"}) {
        clients.push_back(service.connect(4096));
        clients.back().send(get(path));
    }
    ASSERT_TRUE(service.handles("/spin"));
    const auto when = end(service);
    expect_forced(service, when, limit());
}

INSTANTIATE_TEST_SUITE_P(, Obstinate, testing::Bool(),
                         [](const auto& which) { return which.param ? "BySecondSignal" : "ByBudget"; });

TEST(Stragglers, AreNamedAtFourFifthsOfTheBudget) {
    service service(obstinate("part"));
    const auto when = service.process().signal(SIGTERM);
    EXPECT_TRUE(eventually([&] { return service.err().find("80 % of the budget") != std::string::npos; }));
    const auto warned = std::chrono::duration_cast<milliseconds>(clock::now() - when);
    EXPECT_GE(warned, milliseconds(1'550));
    EXPECT_TRUE(support::in_time(warned, milliseconds(1'950))) << "too late to help";
    EXPECT_TRUE(service.logs("part deaf")) << service.err();
    expect_forced(service, when, budget);
}

}  // namespace
}  // namespace integration
