// The debug port: each route, and who may change something.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

std::string from(const std::string& method, const std::string& path, const std::string& host,
                 const std::string& more = {}) {
    return method + ' ' + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n" + more + "\r\n";
}

TEST(Debug, EveryRouteAnswers) {
    const service service;
    for (const char* path : {"/livez", "/readyz", "/metrics", "/debug/", "/debug/vars", "/debug/tasks", "/debug/config",
                             "/debug/build", "/debug/log", "/debug/shutdown"}) {
        const auto answer = service.ask_debug(get(path));
        EXPECT_EQ(answer.status, 200) << path;
        EXPECT_FALSE(answer.body.empty()) << path;
        EXPECT_TRUE(answer.has("Content-Type")) << path;
    }
    EXPECT_EQ(service.ask_debug(get("/debug/nothing")).status, 404);
    EXPECT_EQ(service.ask_debug(request("POST", "/metrics")).status, 405);
}

TEST(Debug, TheApplicationPortDoesNotHaveThem) {
    const service service;
    for (const char* path : {"/metrics", "/debug/", "/debug/shutdown", "/debug/config"})
        EXPECT_EQ(service.ask(get(path)).status, 404) << path;
    EXPECT_EQ(service.ask(request("POST", "/debug/shutdown")).status, 404);
}

TEST(Debug, NoPathOnTheApplicationPortLeadsToThem) {
    const service service;
    const auto debug = service.debug().text();
    const std::vector<std::string> targets = {"/../debug/config",
                                              "//debug/config",
                                              "/./debug/config",
                                              "/%2e%2e/debug/config",
                                              "/livez/../debug/config",
                                              "/%64ebug/config",
                                              "/debug%2fconfig",
                                              "/livez/%2e%2e/debug/config",
                                              "/debug/config?x=/livez",
                                              "http://" + debug + "/debug/config",
                                              "http://localhost/debug/config"};
    for (const auto& target : targets) {
        const auto answer = service.ask(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", target, debug));
        EXPECT_EQ(answer.status, 404) << target;
        EXPECT_THAT(answer.body, testing::Not(HasSubstr("app.port"))) << target;
    }
    EXPECT_GE(service.ask("CONNECT " + debug + " HTTP/1.1\r\nHost: " + debug + "\r\n\r\n").status, 400);
}

TEST(Debug, AskingChangesNothing) {
    const service service;
    const auto level = service.ask_debug(get("/debug/log")).body;
    for (const char* target : {"/debug/log?level=trace", "/debug/shutdown", "/debug/shutdown?method=POST"})
        service.ask_debug(get(target, "X-HTTP-Method-Override: POST\r\n"));
    EXPECT_EQ(service.ask_debug(get("/debug/log")).body, level);
    EXPECT_TRUE(service.readiness_is(200));
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status, 409) << "there is no stop";
}

TEST(Debug, MetricsAreInThePrometheusTextFormat) {
    const service service;
    for (int i = 0; i < 3; ++i) ASSERT_EQ(service.ask(get("/")).status, 200);
    const auto answer = service.ask_debug(get("/metrics"));
    EXPECT_THAT(std::string(answer.header("Content-Type")), HasSubstr("text/plain"));
    EXPECT_THAT(answer.body, HasSubstr("# TYPE "));
    EXPECT_EQ(answer.body.back(), '\n');
    for (std::size_t at = 0; at < answer.body.size();) {
        const auto line = answer.body.substr(at, answer.body.find('\n', at) - at);
        if (!line.starts_with('#')) {
            EXPECT_THAT(line, testing::MatchesRegex("[a-zA-Z_:][a-zA-Z0-9_:]*(\\{.*\\})? [-+0-9.eInfNa]+"));
        }
        at += line.size() + 1;
    }
}

TEST(Debug, VarsIsJson) {
    const service service;
    EXPECT_TRUE(boost::json::parse(service.ask_debug(get("/debug/vars")).body).is_object());
}

TEST(Debug, TasksNamesARequestThatRuns) {
    const service service;
    auto connection = service.connect();
    connection.send(get("/slow?ms=60000"));
    EXPECT_TRUE(service.handles("/slow"));
}

TEST(Debug, ConfigShowsValueAndPlace) {
    const service service({"--app.max_in_flight=4321"});
    const auto body = service.ask_debug(get("/debug/config")).body;
    EXPECT_THAT(body, HasSubstr("4321"));
    EXPECT_THAT(body, HasSubstr("--app.max_in_flight"));
}

TEST(Debug, ConfigMasksSecrets) {
    const service service({"--tracker.http_authorization=Bearer hunter2"});
    const auto body = service.ask_debug(get("/debug/config")).body;
    EXPECT_THAT(body, HasSubstr("{\"key\":\"tracker.http_authorization\",\"value\":\"***\","));
    EXPECT_THAT(body, testing::Not(HasSubstr("hunter2")));
    EXPECT_THAT(service.err(), testing::Not(HasSubstr("hunter2")));
}

TEST(Debug, BuildSaysWhatTheProgramWasMadeFromAndWith) {
    const service service;
    const auto build = boost::json::parse(service.ask_debug(get("/debug/build")).body).as_object();
    for (const char* key : {"name", "version", "revision", "compiler", "flags", "libraries"})
        EXPECT_FALSE(build.at(key).as_string().empty()) << key;
    for (const char* library : {"Boost ", "spdlog ", "fmt ", "CLI11 ", "toml++ ", "glibc ", "libstdc++ "})
        EXPECT_THAT(std::string(build.at("libraries").as_string()), HasSubstr(library));
    EXPECT_THAT(std::string(build.at("flags").as_string()), HasSubstr("-Wall"));
    const auto& skeleton = build.at("skeleton").as_object();
    EXPECT_FALSE(skeleton.at("version").as_string().empty());
    EXPECT_FALSE(skeleton.at("revision").as_string().empty());
    EXPECT_EQ(skeleton.at("age_days").to_number<int>() >= 0, !skeleton.at("date").as_string().empty());
}

TEST(Debug, TheLogLevelChangesWhileItRuns) {
    const service service;
    EXPECT_EQ(service.ask_debug(get("/debug/log")).body, "{\"level\":\"info\"}\n");
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/log?level=debug")).status, 200);
    EXPECT_EQ(service.ask_debug(get("/debug/log")).body, "{\"level\":\"debug\"}\n");
    EXPECT_TRUE(service.logs("log level set to debug")) << service.err();
    EXPECT_EQ(service.ask_debug(request("PUT", "/debug/log", {}, "level=off")).status, 200);
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/log?level=loud")).status, 400);
    EXPECT_EQ(service.ask_debug(get("/debug/log")).body, "{\"level\":\"off\"}\n");
}

TEST(Debug, OnlyALocalHostMayChangeSomething) {
    const service service({"--debug.allowed_hosts=ops.example"});
    const auto port = ":" + std::to_string(service.debug().port);
    // DELETE changes nothing while there is no stop: 409 is the answer to a client that may.
    for (const std::string& host :
         {"127.0.0.1" + port, std::string("127.0.0.1"), std::string("[::1]"), "[::1]" + port, std::string("localhost"),
          "localhost" + port, std::string("ops.example"), "ops.example" + port})
        EXPECT_EQ(service.ask_debug(from("DELETE", "/debug/shutdown", host)).status, 409) << host;
    for (const char* host : {"evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example"}) {
        EXPECT_EQ(service.ask_debug(from("DELETE", "/debug/shutdown", host)).status, 403) << host;
        EXPECT_EQ(service.ask_debug(from("POST", "/debug/shutdown", host)).status, 403) << host;
        EXPECT_EQ(service.ask_debug(from("POST", "/debug/log?level=debug", host)).status, 403) << host;
    }
    EXPECT_TRUE(service.readiness_is(200));
}

TEST(Debug, APageOfAnotherOriginMayChangeNothing) {
    const service service;
    const auto host = service.debug().text();
    const auto origin = [&](const std::string& value) {
        return service.ask_debug(from("DELETE", "/debug/shutdown", host, "Origin: " + value + "\r\n")).status;
    };
    EXPECT_EQ(origin("http://" + host), 409);
    EXPECT_EQ(origin("http://127.0.0.1:1"), 403);
    EXPECT_EQ(origin("http://evil.example"), 403);
    EXPECT_EQ(origin("null"), 403);
}

TEST(Debug, ShutdownTellsWhatAStopWouldWaitFor) {
    const service service;
    EXPECT_TRUE(boost::json::parse(service.ask_debug(get("/debug/shutdown")).body).is_object());
}

TEST(Debug, APostBeginsAStopOnce) {
    service service({"--shutdown.lame_duck=300ms"});
    for (int i = 0; i < 2; ++i) EXPECT_EQ(service.ask_debug(request("POST", "/debug/shutdown")).status, 202);
    EXPECT_TRUE(service.readiness_is(503));
    EXPECT_EQ(service.exit_code(), 0);
    const auto report = service.report();
    EXPECT_EQ(report.at("cause").as_string(), "debug");
    EXPECT_EQ(faults(report), "");
}

TEST(Debug, APostWithABudgetMakesTheStopShorterAndNeverLonger) {
    service service({"--shutdown.budget=10m", "--shutdown.flush=2m", "--app.request_timeout=5m"});
    for (const char* wrong : {"", "0s", "10", "soon", "-1s"})
        EXPECT_EQ(service.ask_debug(request("POST", fmt::format("/debug/shutdown?budget={}", wrong))).status, 400);
    EXPECT_TRUE(service.readiness_is(200)) << "what is wrong begins nothing";
    auto waits = service.connect();
    waits.send(get("/slow?ms=600000"));
    ASSERT_TRUE(
        eventually([&] { return service.ask_debug(get("/debug/requests")).body.find("/slow") != std::string::npos; }));
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown?budget=1m")).status, 202);
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown?budget=1s")).status, 202);
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown?budget=60m")).status, 202);
    const auto answer = waits.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503) << "its deadline is that of the stop";
    EXPECT_GE(service.exit_code(), 0);
    EXPECT_TRUE(service.logs("the stop must be over within")) << service.err();
    EXPECT_LT(service.report().at("duration_ms").as_int64(), 60'000) << "of 10 minutes";
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Debug, ADeleteLeavesTheLameDuckThatAPostBegan) {
    service service({"--shutdown.lame_duck=15s", "--shutdown.budget=60s"});
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status, 409);
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown")).status, 202);
    EXPECT_TRUE(service.readiness_is(503));
    EXPECT_TRUE(service.ask(get("/")).closes());
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status / 100, 2);
    EXPECT_TRUE(eventually([&] { return service.readiness_is(200); }));
    EXPECT_FALSE(service.ask(get("/")).closes());
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status, 409);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.ask_debug(request("DELETE", "/debug/shutdown")).status, 409) << "a signal is not withdrawn";
}

}  // namespace
}  // namespace integration
