// The debug port is for the worst moment: every loop of the app and the tracker stand still, and it still names them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "tests/integration/go_tool.hpp"
#include "tests/integration/service.hpp"
#include "tests/pprof/decoded.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::HasSubstr;

std::string debug(const service& service, const std::string& path) {
    const auto answer = service.ask_debug(get(path));
    EXPECT_EQ(answer.status, 200) << path;
    return answer.body;
}

boost::json::array rows(const service& service, const std::string& path, const char* table) {
    return boost::json::parse(debug(service, path + "?format=json")).at(table).as_array();
}

service::options obstinate(std::vector<std::string> environment = {}) {
    return {
        .flags = {"--app.threads=2", "--shutdown.budget=4s", "--shutdown.idle_grace=100ms", "--shutdown.flush=500ms"},
        .environment = std::move(environment)};
}

/// Wedges every loop. The connections belong to them, and they never look at them again.
std::vector<client> wedge_all(const service& service) {
    std::vector<client> busy;
    for (int times = 0; times < 8; ++times) {  // all are accepted first: the listener lives on a loop too
        busy.push_back(service.connect());
        EXPECT_TRUE(busy.back().exchange(get("/")));
    }
    for (auto& connection : busy) connection.send(get("/spin?ms=60000"));
    EXPECT_TRUE(eventually([&] {
        const auto loops = rows(service, "/debug/loops", "loops");
        return std::ranges::all_of(loops, [](const auto& each) { return each.at("state") == "wedged"; });
    }));
    return busy;
}

TEST(DebugPort, NamesTheCulpritWhileEveryLoopAndTheTrackerStandStill) {
    service service(obstinate({"OBSTINATE=sink"}));
    ASSERT_EQ(service.ask(post("stuck")).status, 201);
    const auto busy = wedge_all(service);

    EXPECT_THAT(debug(service, "/debug/pprof/threads"),
                AllOf(ContainsRegex("app-1 +loop +[0-9]+ +running"), HasSubstr("spin_and_hear_nothing"),
                      ContainsRegex("tracker-[a-z]+ +worker +[0-9]+ +sleeping +poll"), HasSubstr("block_in_the_kernel"),
                      ContainsRegex("main +- +[0-9]+ +sleeping +ppoll")));
    EXPECT_THAT(debug(service, "/debug/tasks"), AllOf(HasSubstr("\"wedged\""), HasSubstr("GET /spin")));
    EXPECT_THAT(debug(service, "/debug/pprof/goroutine?debug=1"),
                HasSubstr("1 @ loop wedged\n#\tGET /spin\tapp-2 does not turn\n"));
    EXPECT_THAT(debug(service, "/debug/pprof/goroutine?debug=2"), HasSubstr("spin_and_hear_nothing"));
    EXPECT_THAT(debug(service, "/debug/loops"),
                AllOf(ContainsRegex("app-1 .* wedged .* GET /spin"), HasSubstr("    spin_and_hear_nothing")));
    EXPECT_THAT(debug(service, "/debug/requests"), ContainsRegex("GET /spin .* wedged"));
    EXPECT_THAT(debug(service, "/debug/connections"), HasSubstr("on app-1, wedged"));
    EXPECT_THAT(debug(service, "/debug/pprof/profile?seconds=1&format=collapsed"),
                ContainsRegex("app-1;GET /spin;.*;spin_and_hear_nothing\\("));
    EXPECT_THAT(debug(service, "/metrics"), ContainsRegex("loop_stall_seconds\\{server=\"app\",loop=\"2\"\\} [1-9]"));
    EXPECT_GE(metric(service, "tracker_events_waiting"), 1);

    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 3) << "the budget holds";
}

TEST(DebugPort, ShowsDuringADrainWhoIsStillThere) {
    service service(obstinate());
    auto waiting = service.connect();
    waiting.send(get("/stubborn?ms=60000"));
    ASSERT_TRUE(service.handles("/stubborn"));
    service.begin_stop(SIGTERM);
    EXPECT_THAT(debug(service, "/debug/tasks"),
                AllOf(HasSubstr("GET /stubborn"), HasSubstr("\"where\":\"tests/obstinate/service/main.cpp:")));
    const auto requests = rows(service, "/debug/requests", "requests");
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].at("target"), "/stubborn?ms=60000");
    EXPECT_THAT(std::string(requests[0].at("client").as_string()), testing::StartsWith("127.0.0.1:"));
    EXPECT_EQ(service.exit_code(), 3);
}

/// Three requests that wait in the same line of the same handler.
std::vector<client> three_wait(const service& service) {
    std::vector<client> waiting;
    for (int times = 0; times < 3; ++times) {
        waiting.push_back(service.connect());
        waiting.back().send(get("/stubborn?ms=60000",
                                "X-Request-Timeout: 20s\r\n"
                                "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
    }
    EXPECT_TRUE(eventually([&] { return rows(service, "/debug/requests", "requests").size() == 3; }));
    return waiting;
}

TEST(DebugPort, CountsTasksThatWaitInTheSamePlaceAsGoDoes) {
    const service service(obstinate());
    const auto waiting = three_wait(service);
    EXPECT_THAT(debug(service, "/debug/pprof/goroutine?debug=1"),
                AllOf(testing::StartsWith("goroutine profile: total "),
                      ContainsRegex("3 @ request handling\n#\tGET /stubborn\t.*main.cpp:[0-9]+\n")));
    EXPECT_THAT(debug(service, "/debug/pprof/goroutine?debug=2"),
                AllOf(ContainsRegex("goroutine [0-9]+ \\[handling, [0-9]+ ms\\]:\nGET /stubborn \\(request\\)\n"),
                      HasSubstr("\ttarget /stubborn?ms=60000\n\tdeadline in 1"),
                      HasSubstr("trace 0af7651916cd43dd8448eb211c80319c"),
                      ContainsRegex("owned by app-[12], app, main"), HasSubstr("debug-1 (loop)\nowned by main")));
    EXPECT_EQ(service.ask_debug(get("/debug/pprof/goroutine?debug=3")).status, 400);

    const server::pprof::decoded read(debug(service, "/debug/pprof/goroutine"));
    EXPECT_THAT(read.types, testing::ElementsAre("goroutine/count"));
    std::uint64_t stubborn = 0;
    for (const auto& sample : read.samples) {
        if (!testing::Value(sample.labels, Contains("route=GET /stubborn"))) continue;
        stubborn += sample.values.at(0);
        EXPECT_THAT(sample.frames.front(), ContainsRegex("^handling at .*main.cpp:[0-9]+ .*main.cpp:[0-9]+$"));
        EXPECT_THAT(sample.frames.back(), testing::StartsWith("main "));
    }
    EXPECT_EQ(stubborn, 3U);
}

TEST(DebugPort, TasksAreReadByGoToolPprof) {
    const auto program = support::tool("go");
    if (program.empty()) GTEST_SKIP() << "go is not installed: scripts/setup all";
    const service service(obstinate());
    const auto waiting = three_wait(service);
    const support::temporary_directory home;
    std::filesystem::create_directory(home.path() / "run");
    support::process go({.program = program,
                         .arguments = {"tool", "pprof", "-traces",
                                       fmt::format("http://{}/debug/pprof/goroutine", service.debug().text())},
                         .environment = go_environment(home.path()),
                         .directory = home.path() / "run"});
    ASSERT_TRUE(go.wait(go_patience)) << go.err();
    EXPECT_THAT(go.out(), AllOf(HasSubstr("Type: goroutine"), HasSubstr("handling at tests/obstinate/service/main.cpp"),
                                ContainsRegex("route: *GET /stubborn")))
        << go.err();
    EXPECT_THAT(go.err(), testing::Not(HasSubstr("symboliz"))) << "it looks for nothing else";
}

TEST(DebugPort, ListsRequestsConnectionsLoopsAndThreadsAsTextAndAsJson) {
    const service service(obstinate());
    auto idle = service.connect();
    ASSERT_TRUE(idle.exchange(get("/")));
    const auto waiting = three_wait(service);
    for (const auto& row : rows(service, "/debug/requests", "requests")) {
        EXPECT_EQ(row.at("route"), "GET /stubborn");
        EXPECT_EQ(row.at("protocol"), "HTTP/1.1");
        EXPECT_EQ(row.at("trace_id"), "0af7651916cd43dd8448eb211c80319c");
        EXPECT_GT(row.at("deadline_ms").as_int64(), 0);
        EXPECT_GE(row.at("age_ms").as_int64(), 0);
    }
    EXPECT_THAT(debug(service, "/debug/requests"), HasSubstr("/stubborn?ms=60000  handling"));
    EXPECT_THAT(debug(service, "/debug/connections?format=json"),
                AllOf(HasSubstr("{\"state\":\"handling\",\"connections\":3}"),
                      HasSubstr("{\"state\":\"idle\",\"connections\":1}")));
    EXPECT_EQ(rows(service, "/debug/connections", "connections").size(), 4U);
    EXPECT_THAT(debug(service, "/debug/connections"), ContainsRegex("handling +3\nidle +1\n"));
    EXPECT_TRUE(eventually([&] {  // from its first tick on
        const auto loops = rows(service, "/debug/loops", "loops");
        return std::ranges::none_of(loops, [](const auto& each) { return each.at("lag").as_array().empty(); });
    }));
    std::int64_t in_flight = 0;
    for (const auto& row : rows(service, "/debug/loops", "loops")) {
        EXPECT_EQ(row.at("state"), "turns");
        EXPECT_TRUE(row.at("stack").as_array().empty());
        in_flight += row.at("in_flight").to_number<std::int64_t>();
    }
    EXPECT_EQ(in_flight, 3);
    EXPECT_GE(rows(service, "/debug/pprof/threads", "threads").size(), 6U);
    for (const char* path : {"/debug/requests", "/debug/connections", "/debug/loops", "/debug/pprof/threads"}) {
        EXPECT_EQ(service.ask_debug(get(std::string(path) + "?format=xml")).status, 400) << path;
        const bool at_pprof = std::string(path).starts_with("/debug/pprof/");
        EXPECT_THAT(debug(service, at_pprof ? "/debug/pprof/" : "/debug/"), HasSubstr(path)) << "the index";
    }
}

}  // namespace
}  // namespace integration
