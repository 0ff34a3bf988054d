// The heap profile of the program as it is deployed: static, with an operator new of its own.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <list>

#include "tests/integration/go_tool.hpp"
#include "tests/integration/service.hpp"
#include "tests/pprof/decoded.hpp"

namespace integration {
namespace {

using testing::Contains;
using testing::HasSubstr;

/// Blocks in use that this function has on its stack; without what Asio keeps of a descriptor for the next one.
std::uint64_t blocks_held(const service& service, const std::string& function) {
    const server::pprof::decoded heap(service.ask_debug(get("/debug/pprof/heap")).body);
    EXPECT_THAT(heap.mappings, Contains(HasSubstr(program_mapped())));
    std::uint64_t all = 0;
    for (const auto& sample : heap.samples) {
        const bool kept_by_asio = testing::Value(sample.frames, Contains(HasSubstr("allocate_descriptor_state")));
        if (!kept_by_asio && testing::Value(sample.frames, Contains(HasSubstr(function)))) all += sample.values.at(2);
    }
    return all;
}

TEST(HeapProfile, ShowsOpenConnectionsAndThatTheyAreGone) {
    const service service;
    if (service.ask_debug(get("/debug/pprof/heap")).status == 404) GTEST_SKIP() << "built without HEAP";
    // So often that none of 200 connections, of some 600 bytes each, is missed: by e^(-600/64) one is in about 50 runs.
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/pprof/heap?rate=8")).status, 200);
    const auto before = blocks_held(service, "server::loop::adopt");
    std::list<client> open;
    for (int times = 0; times < 200; ++times) open.push_back(service.connect());
    EXPECT_TRUE(eventually([&] { return blocks_held(service, "server::loop::adopt") >= before + 200; }));
    open.clear();
    constexpr int pooled = 60;  // of some 200: what each loop keeps for the next connections
    EXPECT_TRUE(eventually([&] { return blocks_held(service, "server::loop::adopt") < before + pooled; }));
}

TEST(HeapProfile, IsReadByGoToolPprof) {
    const auto program = support::tool("go");
    if (program.empty()) GTEST_SKIP() << "go is not installed: scripts/setup all";
    const service service;
    if (service.ask_debug(get("/debug/pprof/heap")).status == 404) GTEST_SKIP() << "built without HEAP";
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/pprof/heap?rate=64")).status, 200);
    std::list<client> open;
    for (int times = 0; times < 50; ++times) open.push_back(service.connect());
    const support::temporary_directory home;
    std::filesystem::create_directory(home.path() / "run");
    support::process go(
        {.program = program,
         .arguments = {"tool", "pprof", "-top", fmt::format("http://{}/debug/pprof/heap", service.debug().text())},
         .environment = go_environment(home.path()),
         .directory = home.path() / "run"});
    ASSERT_TRUE(go.wait(go_patience)) << go.err();
    EXPECT_THAT(go.out(), testing::AllOf(HasSubstr("Type: inuse_space"), HasSubstr("server::loop"))) << go.err();
}

}  // namespace
}  // namespace integration
