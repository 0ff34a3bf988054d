// The real program under a wall clock that jumps at each reading (tests/jumping_clock).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

std::string mixed(std::uint64_t nth) {
    return nth % 8 == 0 ? get("/slow?ms=300") : request("POST", "/events", {}, std::to_string(nth));
}

TEST(WallClock, ThatJumpsIsALineAndMovesNoDeadlineOfAStopUnderLoad) {
    service service({.flags = {"--shutdown.lame_duck=200ms", "--shutdown.idle_grace=200ms", "--shutdown.budget=10s"},
                     .program = SERVICE_WITH_JUMPING_CLOCK});
    support::load load(service.app(), {16, mixed});
    const auto line = [&] { return service.err().find("app: the wall clock has moved by ") != std::string::npos; };
    EXPECT_TRUE(load.run(line, milliseconds(20'000))) << service.err();
    const auto before = load.seen().answered;
    ASSERT_TRUE(load.run([&] { return load.seen().answered >= before + 200; }, milliseconds(20'000)));
    service.process().signal(SIGTERM);
    EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(15'000)));
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(load.seen().lost() + load.seen().errors, 0U) << "a deadline is 30 s away, and no hour";
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
    const auto events = service.events();
    EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), number(service.report(), "events", "accepted"));
    EXPECT_LE(service.report().at("duration_ms").to_number<std::int64_t>(), 10'000) << "of the budget";
}

TEST(WallClock, ThatJumpsEndsNoLameDuckAndCutsNoRequestAtTheDeadline) {
    service service({.flags = {"--shutdown.budget=2s", "--shutdown.flush=200ms", "--shutdown.idle_grace=100ms"},
                     .program = SERVICE_WITH_JUMPING_CLOCK});
    auto waits = service.connect();
    waits.send(get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    service.process().signal(SIGTERM);
    const auto answer = waits.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503) << "at the app's deadline: neither at once, nor never";
    EXPECT_EQ(service.exit_code(), 3) << service.err();
    const auto lasted = service.report().at("duration_ms").to_number<std::int64_t>();
    EXPECT_GE(lasted, 1'000) << "the request had the app's share";
}

}  // namespace
}  // namespace integration
