// Traces of a program that stands still, fails and will not end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"

namespace integration {
namespace {

bool is_built_in(const service& service) { return service.ask_debug(get("/debug/trace?seconds=0")).status != 404; }

TEST(Trace, NamesTheHandlerInWhichALoopStoodStill) {
    const service service({"--app.threads=1"});
    if (!is_built_in(service)) GTEST_SKIP() << "built without TRACE";
    client debug(service.debug(), milliseconds(30'000));
    debug.send(get("/debug/trace?seconds=2"));
    auto to = service.connect();
    to.send(get("/spin?ms=600"));
    ASSERT_TRUE(to.receive());
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    double stood = 0;
    const auto trace = boost::json::parse(answer->body);
    for (const auto& each : trace.at("traceEvents").as_array())
        if (each.at("name") == "stood still" && each.at("args").at("last_entered") == "GET /spin")
            stood = each.at("dur").to_number<double>();
    EXPECT_GE(stood, 450'000) << "microseconds, less what a loop rests between two ticks";
}

TEST(Trace, OfAStopThatASinkHoldsUpIsWrittenBeforeTheBudgetIsOver) {
    service service({.flags = {"--shutdown.budget=3s", "--shutdown.flush=1s", "--tracker.durability=memory"},
                     .environment = {"OBSTINATE=sink"}});
    if (!is_built_in(service)) GTEST_SKIP() << "built without TRACE";
    EXPECT_EQ(service.ask(post("event-1")).status, 201);
    client debug(service.debug(), milliseconds(30'000));
    debug.send(get("/debug/trace?seconds=60"));
    ASSERT_TRUE(eventually([&] { return service.ask_debug(get("/debug/trace?seconds=1")).status == 409; }));
    service.begin_stop(SIGTERM);
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->body, testing::HasSubstr("\"name\":\"tracker\""));
    EXPECT_EQ(service.exit_code(), 3);
}

}  // namespace
}  // namespace integration
