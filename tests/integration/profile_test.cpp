// The profile of the program as it is deployed: static, with a table of symbols and a build-id.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/service.hpp"
#include "tests/pprof/decoded.hpp"
#include "tests/support/load.hpp"
#include "tests/support/slow_build.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(Profile, NamesTheFunctionsOfTheProgramUnderLoad) {
    if (support::signals_come_late) GTEST_SKIP() << "ThreadSanitizer keeps signals back";
    const service service({"--app.threads=2"});
    if (service.ask_debug(get("/debug/pprof/")).status == 404) GTEST_SKIP() << "built without PPROF";
    support::background_load load(service.app(), {.connections = 16, .request = [](auto) { return get("/"); }});
    std::uint64_t all = 0, named = 0, labelled = 0;
    // A handler is a small part of a request: on a busy machine two seconds may have no sample in one.
    for (int turns = 0; turns < 10 && (labelled == 0 || all <= 20); ++turns) {
        const auto answer = service.ask_debug(get("/debug/pprof/profile?seconds=2"));
        ASSERT_EQ(answer.status, 200);
        const server::pprof::decoded read(answer.body);
        EXPECT_THAT(read.mappings, Contains(HasSubstr(program_mapped()))) << "the program, with a build-id";
        for (const auto& sample : read.samples) {
            all += sample.values.at(0);
            if (testing::Value(sample.frames, Contains(HasSubstr("server::loop::run")))) named += sample.values.at(0);
            if (testing::Value(sample.labels, Contains("route=GET /"))) labelled += sample.values.at(0);
        }
    }
    EXPECT_EQ(load.finish().lost(), 0U);
    EXPECT_GT(all, 20U);
    EXPECT_GT(named, all / 2) << "of " << all;
    EXPECT_GT(labelled, 0U);
}

TEST(Profile, TheCommandLineAndTheNameOfAnAddressAreThere) {
    const service service(
        {"--tracker.http_authorization=Bearer hunter2", "--tracker.http_url=http://user:hunter2@a/?hunter2"});
    if (service.ask_debug(get("/debug/pprof/")).status == 404) GTEST_SKIP() << "built without PPROF";
    const auto line = service.ask_debug(get("/debug/pprof/cmdline")).body;
    EXPECT_TRUE(line.starts_with(program_under_test() + '\0')) << line;
    const std::string nul(1, '\0');
    EXPECT_TRUE(line.ends_with(nul + "--tracker.http_authorization=***" + nul + "--tracker.http_url=http://***@a/?***"))
        << line;
    EXPECT_THAT(line, AllOf(HasSubstr(nul + "--app.port=0" + nul), Not(HasSubstr("hunter2"))));
    EXPECT_THAT(service.ask_debug(get("/debug/pprof/symbol")).body, HasSubstr("num_symbols: 1"));
    EXPECT_EQ(service.ask_debug(request("POST", "/debug/pprof/symbol", {}, "0x10+nonsense+0x11")).body,
              "num_symbols: 1\n");
    EXPECT_THAT(service.ask_debug(get("/debug/")).body, HasSubstr("/debug/pprof/"));
}

}  // namespace
}  // namespace integration
