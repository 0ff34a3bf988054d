// CPU profiles of a program that wastes its time and will not end.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "tests/integration/go_tool.hpp"
#include "tests/integration/service.hpp"
#include "tests/pprof/decoded.hpp"
#include "tests/support/load.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

const service::options two_loops{{"--app.threads=2", "--shutdown.budget=10s", "--shutdown.idle_grace=100ms"}};

client begin_profile(const service& service, const std::string& query) {
    client debug(service.debug(), milliseconds(30'000));
    debug.send(get("/debug/pprof/profile?" + query));
    EXPECT_TRUE(eventually([&] { return service.ask_debug(get("/debug/pprof/profile?seconds=1")).status == 409; }))
        << "a second one at the same time";
    return debug;
}

TEST(CpuProfile, NamesThreadRouteAndFunctionOfWhatUsesTheCpu) {
    if (support::signals_come_late) GTEST_SKIP() << "ThreadSanitizer keeps signals back";
    const service service(two_loops);
    auto busy = service.connect();
    busy.send(get("/spin?ms=2500"));
    const auto text = service.ask_debug(get("/debug/pprof/profile?seconds=1&format=collapsed"));
    EXPECT_EQ(text.status, 200);
    EXPECT_THAT(text.body, testing::ContainsRegex("app-[12];GET /spin;.*;spin_and_hear_nothing\\("));

    const double before = metric(service, "process_cpu_seconds_total");
    const server::pprof::decoded read(service.ask_debug(get("/debug/pprof/profile?seconds=1")).body);
    const double used = metric(service, "process_cpu_seconds_total") - before;  // on a busy machine far from a second
    EXPECT_THAT(read.types, testing::ElementsAre("samples/count", "cpu/nanoseconds"));
    std::uint64_t here = 0, all = 0;
    for (const auto& sample : read.samples) {
        all += sample.values.at(0);
        if (testing::Value(sample.frames, Contains(HasSubstr("spin_and_hear_nothing"))) &&
            testing::Value(sample.labels, Contains("route=GET /spin")))
            here += sample.values.at(0);
    }
    EXPECT_GT(here, all / 2) << all;
    EXPECT_GT(static_cast<double>(here), used * 50) << "of 100 in a second of CPU time";
}

TEST(CpuProfile, IsReadByGoToolPprof) {
    const auto program = support::tool("go");
    if (program.empty()) GTEST_SKIP() << "go is not installed: scripts/setup all";
    const service service(two_loops);
    auto busy = service.connect();
    busy.send(get("/spin?ms=10000"));
    const support::temporary_directory home;
    std::filesystem::create_directory(home.path() / "run");
    support::process go({.program = program,
                         .arguments = {"tool", "pprof", "-top", "-tagfocus", "route=GET /spin",
                                       fmt::format("http://{}/debug/pprof/profile?seconds=1", service.debug().text())},
                         .environment = go_environment(home.path()),
                         .directory = home.path() / "run"});
    ASSERT_TRUE(go.wait(go_patience)) << go.err();
    EXPECT_THAT(go.out(), AllOf(HasSubstr("Type: cpu"), HasSubstr("spin_and_hear_nothing"))) << go.err();
}

TEST(CpuProfile, RefusesWhatIsNoNumberOfSecondsOrNoFormat) {
    const service service(two_loops);
    for (const char* query : {"seconds=0", "seconds=-1", "seconds=x", "seconds=301", "seconds=1&format=svg"})
        EXPECT_EQ(service.ask_debug(get(std::string("/debug/pprof/profile?") + query)).status, 400) << query;
}

TEST(CpuProfile, EndsWithWhatThereIsWhenAStopBegins) {
    service service(two_loops);
    auto slow = service.connect();
    slow.send(get("/slow?ms=3000"));  // for a stop that lasts; an idle one is over before the profile looks
    ASSERT_TRUE(service.handles("/slow"));
    auto debug = begin_profile(service, "seconds=60&format=collapsed");
    service.process().signal(SIGTERM);
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(service.exit_code(), 0);
}

TEST(CpuProfile, OfAClientThatHasGoneEnds) {
    const service service(two_loops);
    begin_profile(service, "seconds=60").reset();
    EXPECT_TRUE(eventually(
        [&] { return service.ask_debug(get("/debug/pprof/profile?seconds=1&format=collapsed")).status == 200; }));
}

TEST(CpuProfile, LosesNothingUnderLoadWithExceptionsWhenAStopBegins) {
    service service(two_loops);
    const auto mixed = [](std::uint64_t n) { return n % 4 == 0 ? request("POST", "/throw", {}, "x") : get("/"); };
    support::background_load load(service.app(), {.connections = 16, .request = mixed});
    auto debug = begin_profile(service, "seconds=60&format=collapsed");
    ASSERT_TRUE(
        eventually([&] { return service.ask_debug(get("/metrics")).body.find("code=\"5xx\"") != std::string::npos; }));
    auto slow = service.connect();
    slow.send(get("/slow?ms=1000"));  // the stop lasts longer than the profile needs to see it
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    const auto answer = debug.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(load.finish().lost(), 0U);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace integration
