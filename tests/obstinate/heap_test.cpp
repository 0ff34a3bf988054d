// Heap profiles of a program that keeps what it should not, as it is deployed but for the route that does.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdlib>

#include "tests/integration/go_tool.hpp"
#include "tests/integration/service.hpp"
#include "tests/pprof/decoded.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

using server::pprof::decoded;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> two_loops{"--app.threads=2", "--shutdown.idle_grace=100ms"};

enum kind : std::size_t { alloc_objects, alloc_space, inuse_objects, inuse_space };

/// What the stacks with this function in them have, in one kind.
double held(const decoded& profile, const std::string& function, kind kind) {
    double all = 0;
    for (const auto& sample : profile.samples)
        if (testing::Value(sample.frames, Contains(HasSubstr(function))))
            all += static_cast<double>(sample.values.at(kind));
    return all;
}

decoded profile_of(const service& service, const std::string& name = "heap") {
    const auto answer = service.ask_debug(get("/debug/pprof/" + name));
    EXPECT_EQ(answer.status, 200);
    return decoded(answer.body);
}

bool is_built_in(const service& service) { return service.ask_debug(get("/debug/pprof/heap")).status != 404; }

response sample_every(const service& service, const std::string& bytes, const std::string& headers = {}) {
    return service.ask_debug(request("POST", "/debug/pprof/heap?rate=" + bytes, headers));
}

constexpr double leaked = 64 * 1024 * 1024;

void leak(const service& service) {
    auto to = service.connect();
    for (int times = 0; times < 64; ++times) {
        to.send(get("/leak?kb=1024"));
        ASSERT_TRUE(to.receive());
    }
}

/// Five standard deviations: see server/admin/heap/sampler.hpp.
double error_of(double bytes, double interval) { return 5 * std::sqrt(bytes * interval); }

TEST(HeapProfile, NamesTheFunctionThatLeaksAndHowMuch) {
    const service service(two_loops);
    if (!is_built_in(service)) GTEST_SKIP() << "built without HEAP";
    leak(service);
    const auto heap = profile_of(service);
    EXPECT_THAT(heap.types,
                ElementsAre("alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"));
    EXPECT_EQ(heap.period_type, "space/bytes");
    EXPECT_EQ(heap.period, 524'288U) << "on from the start";
    // In pieces of 1 KiB: none is hit by necessity.
    EXPECT_NEAR(held(heap, "keep_for_ever", inuse_space), leaked, error_of(leaked, 524'288));
    EXPECT_NEAR(held(heap, "keep_for_ever", inuse_objects), leaked / 1'024, error_of(leaked, 524'288) / 1'024);
    EXPECT_THAT(heap.mappings, Contains(HasSubstr("/obstinate_service ")));
}

TEST(HeapProfile, WhatIsFreedIsNoLongerInUseAndStaysAmongTheAllocated) {
    const service service(two_loops);
    if (!is_built_in(service)) GTEST_SKIP() << "built without HEAP";
    ASSERT_EQ(sample_every(service, "4096").status, 200);
    auto to = service.connect();
    for (int times = 0; times < 200; ++times) {
        to.send(get("/big?bytes=100000"));
        ASSERT_TRUE(to.receive());
    }
    const auto allocs = profile_of(service, "allocs");
    const auto allocated = held(allocs, "server::loop::run", alloc_space);
    EXPECT_GT(allocated, 0);
    EXPECT_LT(held(allocs, "server::loop::run", inuse_space), allocated);
}

TEST(HeapProfile, IsSwitchedOffAndOnAgainAndByNoOtherSite) {
    const service service(two_loops);
    if (!is_built_in(service)) GTEST_SKIP() << "built without HEAP";
    EXPECT_EQ(sample_every(service, "4096", "Origin: http://elsewhere.example\r\n").status, 403);
    for (const char* bytes : {"-1", "x", "", "1099511627777"}) EXPECT_EQ(sample_every(service, bytes).status, 400);
    EXPECT_EQ(sample_every(service, "0").body, "{\"rate\":0}\n");
    leak(service);
    const auto off = profile_of(service);
    EXPECT_EQ(held(off, "keep_for_ever", alloc_space), 0);
    EXPECT_THAT(off.comments, Contains(HasSubstr("nothing is sampled now")));
    EXPECT_EQ(sample_every(service, "65536").body, "{\"rate\":65536}\n");
    leak(service);
    const auto on = profile_of(service);
    EXPECT_EQ(on.period, 65'536U);
    EXPECT_NEAR(held(on, "keep_for_ever", inuse_space), leaked, error_of(leaked, 65'536));
}

TEST(HeapProfile, IsReadByGoToolPprof) {
    const auto program = support::tool("go");
    if (program.empty()) GTEST_SKIP() << "go is not installed: scripts/setup all";
    const service service(two_loops);
    if (!is_built_in(service)) GTEST_SKIP() << "built without HEAP";
    leak(service);
    const support::temporary_directory home;
    std::filesystem::create_directory(home.path() / "run");
    const auto top_of = [&](const std::string& name, const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"tool", "pprof", "-top"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        arguments.push_back(fmt::format("http://{}/debug/pprof/{}", service.debug().text(), name));
        support::process go({.program = program,
                             .arguments = arguments,
                             .environment = go_environment(home.path()),
                             .directory = home.path() / "run"});
        EXPECT_TRUE(go.wait(go_patience)) << go.err();
        return go.out();
    };
    EXPECT_THAT(top_of("heap", {}), AllOf(HasSubstr("Type: inuse_space"), HasSubstr("keep_for_ever")));
    EXPECT_THAT(top_of("allocs", {}), AllOf(HasSubstr("Type: alloc_space"), HasSubstr("keep_for_ever")));
    EXPECT_THAT(top_of("heap", {"-sample_index=inuse_objects"}), HasSubstr("Type: inuse_objects"));
}

TEST(HeapProfile, OfEveryAllocationUnderLoadAndExceptionsAStopLosesNothing) {
    service service(two_loops);
    if (!is_built_in(service)) GTEST_SKIP() << "built without HEAP";
    ASSERT_EQ(sample_every(service, "64").status, 200);
    const auto mixed = [](std::uint64_t n) {
        return n % 4 == 0 ? request("POST", "/throw", {}, "x") : n % 4 == 1 ? get("/big?bytes=5000") : get("/");
    };
    support::background_load load(service.app(), {.connections = 16, .request = mixed});
    ASSERT_TRUE(
        eventually([&] { return service.ask_debug(get("/metrics")).body.find("code=\"5xx\"") != std::string::npos; }));
    EXPECT_GT(profile_of(service).samples.size(), 10U);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(load.finish().lost(), 0U);
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
}

}  // namespace
}  // namespace integration
