// The trace of the program as it is deployed: what Perfetto would be given.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <set>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

using boost::json::value;
using testing::Contains;
using testing::IsSubsetOf;
using testing::IsSupersetOf;

constexpr const char* traceparent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";

bool is_built_in(const service& service) { return service.ask_debug(get("/debug/trace?seconds=0")).status != 404; }

client begin_trace(const service& service, const std::string& seconds) {
    client debug(service.debug(), milliseconds(30'000));
    debug.send(get("/debug/trace?seconds=" + seconds));
    EXPECT_TRUE(eventually([&] { return service.ask_debug(get("/debug/trace?seconds=1")).status == 409; }))
        << "a second one at the same time";
    return debug;
}

std::string text(const value& of, const char* key) { return std::string(of.at(key).as_string()); }

/// The events, each with what each must have. What begins ends, and inside what has begun before it.
std::vector<value> events_of(const response& answer) {
    EXPECT_EQ(answer.status, 200);
    const auto trace = boost::json::parse(answer.body);
    std::vector<value> all;
    std::map<std::string, std::vector<std::pair<std::string, double>>> open;
    for (const auto& event : trace.at("traceEvents").as_array()) {
        for (const char* key : {"ph", "ts", "pid", "tid", "name"}) EXPECT_TRUE(event.as_object().contains(key));
        const auto ts = event.at("ts").to_number<double>();
        EXPECT_GE(ts, 0);
        const auto phase = text(event, "ph");
        if (phase == "b") open[text(event, "id")].emplace_back(text(event, "name"), ts);
        if (phase == "e") {
            auto& stack = open[text(event, "id")];
            EXPECT_FALSE(stack.empty());
            if (stack.empty()) continue;
            EXPECT_EQ(stack.back().first, text(event, "name"));
            EXPECT_LE(stack.back().second, ts);
            stack.pop_back();
        }
        all.push_back(event);
    }
    for (const auto& [id, stack] : open) EXPECT_TRUE(stack.empty()) << id;
    EXPECT_EQ(trace.at("otherData").at("events_lost"), "0");
    return all;
}

std::set<std::string> names(const std::vector<value>& events, const std::string& category) {
    std::set<std::string> all;
    for (const auto& event : events)
        if (text(event, "cat") == category) all.insert(text(event, "name"));
    return all;
}

/// What the threads of these events are called.
std::set<std::string> threads(const std::vector<value>& events, const std::string& category) {
    std::map<std::int64_t, std::string> called;
    for (const auto& event : events)
        if (text(event, "name") == "thread_name") called[event.at("tid").as_int64()] = text(event.at("args"), "name");
    std::set<std::string> all;
    for (const auto& event : events)
        if (text(event, "cat") == category) all.insert(called[event.at("tid").as_int64()]);
    return all;
}

TEST(Trace, ShowsRequestsHandlersAndDeliveriesOnTheirThreads) {
    const service service({"--app.threads=2", "--tracker.sink=file"});
    if (!is_built_in(service)) GTEST_SKIP() << "built without TRACE";
    auto debug = begin_trace(service, "2");
    auto to = service.connect();
    to.send(get("/slow?ms=50", traceparent));
    ASSERT_TRUE(to.receive());
    for (const auto& what : {get("/nowhere"), get("/big?bytes=1000000"), post("event-1")}) {
        to.send(what);
        ASSERT_TRUE(to.receive());
    }
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    const auto events = events_of(*answer);
    EXPECT_THAT(names(events, "request"),
                IsSupersetOf({"GET /slow", "GET /big", "POST /events", "no route", "handler"}));
    EXPECT_THAT(threads(events, "request"), IsSubsetOf({"app-1", "app-2"}));
    EXPECT_THAT(names(events, "tracker"), Contains("deliver to file"));
    EXPECT_THAT(threads(events, "tracker"), Contains("tracker-file"));
    bool traced = false;
    std::set<std::string> statuses;
    double slow = 0;
    for (const auto& event : events) {
        const auto phase = text(event, "ph");
        if (text(event, "cat") != "request" || text(event, "name") == "handler") continue;
        if (phase == "b" && event.at("args").as_object().contains("trace_id"))
            traced = text(event.at("args"), "trace_id") == "0af7651916cd43dd8448eb211c80319c" &&
                     text(event.at("args"), "target") == "/slow?ms=50";
        if (phase == "e") statuses.insert(text(event.at("args"), "status"));
        if (text(event, "name") == "GET /slow") slow = event.at("ts").to_number<double>() - (phase == "e" ? slow : 0);
    }
    EXPECT_TRUE(traced);
    EXPECT_GE(slow, 50'000) << "microseconds";
    EXPECT_THAT(statuses, IsSupersetOf({"200", "201", "404"}));
}

TEST(Trace, RefusesWhatIsNoNumberOfSecondsAndASecondOne) {
    const service service;
    if (!is_built_in(service)) GTEST_SKIP() << "built without TRACE";
    for (const char* seconds : {"0", "-1", "x", "301"})
        EXPECT_EQ(service.ask_debug(get(std::string("/debug/trace?seconds=") + seconds)).status, 400) << seconds;
    begin_trace(service, "60").reset();  // its client goes
    EXPECT_TRUE(eventually([&] { return service.ask_debug(get("/debug/trace?seconds=1")).status == 200; }));
}

TEST(Trace, ShowsThePhasesOfAStopAndLosesNothing) {
    service service({"--app.threads=2", "--shutdown.lame_duck=200ms", "--shutdown.idle_grace=100ms"});
    if (!is_built_in(service)) GTEST_SKIP() << "built without TRACE";
    auto debug = begin_trace(service, "60");
    support::background_load load(service.app(), {.connections = 2, .request = [](auto n) {
                                                      return n % 20 == 0 ? post("event-" + std::to_string(n))
                                                                         : get("/slow?ms=10");
                                                  }});
    auto slow = service.connect();
    slow.send(get("/slow?ms=700"));
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(load.finish().lost(), 0U);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
    const auto events = events_of(*answer);
    EXPECT_THAT(names(events, "stop"), IsSupersetOf({"stop", "lame_duck", "app", "tracker"}));
    EXPECT_THAT(threads(events, "stop"), testing::ElementsAre("main"));
    EXPECT_THAT(names(events, "request"), Contains("GET /slow"));
    std::vector<std::string> steps;
    for (const auto& event : events)
        if (text(event, "cat") == "step") steps.push_back(text(event, "name"));
    EXPECT_THAT(steps,
                testing::ElementsAre("began", "entered lame_duck", "entered app", "ended app", "entered tracker"));
    std::map<std::string, std::pair<double, double>> phases;
    for (const auto& event : events)
        if (text(event, "cat") == "stop")
            phases[text(event, "name")] = {event.at("ts").to_number<double>(), event.at("dur").to_number<double>()};
    EXPECT_GE(phases["lame_duck"].second, 200'000);
    EXPECT_NEAR(phases["app"].first, phases["lame_duck"].first + phases["lame_duck"].second, 1) << "one after another";
    EXPECT_LE(phases["tracker"].first + phases["tracker"].second, phases["stop"].first + phases["stop"].second + 1);
}

}  // namespace
}  // namespace integration
