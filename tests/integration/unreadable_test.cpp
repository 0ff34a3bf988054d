// The real binary on a disk that cannot be read: it is up, not ready, and goes on by itself.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/held_calls.hpp"

namespace integration {
namespace {

using support::held_calls;
using testing::HasSubstr;

TEST(UnreadableDisk, AStartWhoseEventsCannotBeReadIsUpAtOnceAndReadyOnceTheyCan) {
    if (const auto why = held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why;
    const support::temporary_directory shared;
    const auto events = shared.path() / "events";
    std::filesystem::create_directories(events);
    support::write_file(events / "events.jsonl", "{\"id\":\"to");
    held_calls calls;
    calls.fail([](const held_calls::call& call) {
        return call.name == "pread" && call.path.ends_with("events.jsonl") ? EIO : 0;
    });
    service service(service::options{.flags = {"--tracker.directory=" + events.string()}, .calls = &calls});
    EXPECT_TRUE(service.readiness_is(503));
    EXPECT_TRUE(service.logs("tracker: sink file fails (failed attempts: 1, events waiting: 0): " + events.string() +
                             "/events.jsonl: pread: Input/output error; nothing is given up"));
    EXPECT_EQ(service.ask(post("first")).status, 201) << "the spool has it";
    EXPECT_GT(metric(service, "tracker_disk_errors_total{call=\"pread\"}"), 0);
    EXPECT_EQ(metric(service, "tracker_healthy"), 0);
    calls.fail(nullptr);
    EXPECT_TRUE(eventually([&] { return service.readiness_is(200); }));
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; }));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_THAT(support::read_file(events / "events.jsonl"), testing::StartsWith("{\"id\":\"first\""));
}

}  // namespace
}  // namespace integration
