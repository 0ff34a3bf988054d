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

/// Each of the calls that make the spool's own directory.
TEST(UnreadableDisk, AStartThatCannotMakeItsSpoolIsUpAtOnceAndTakesEventsOnceItCan) {
    if (const auto why = held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why;
    for (const std::string name : {"mkdir", "openat", "ftruncate", "rename"}) {
        SCOPED_TRACE(name);
        const support::temporary_directory shared;
        const auto events = shared.path() / "events";
        const auto spool = (events / "spool").string();
        std::filesystem::create_directories(spool);
        held_calls calls(true);
        calls.fail(
            [&](const held_calls::call& call) { return call.name == name && call.path.starts_with(spool) ? EIO : 0; });
        service service(service::options{.flags = {"--tracker.directory=" + events.string()}, .calls = &calls});
        EXPECT_TRUE(service.readiness_is(503));
        EXPECT_TRUE(service.logs(
            "tracker: the spool cannot be written (failed attempts: 1), events are refused: " + spool + "/.new-"))
            << service.err();
        EXPECT_TRUE(service.logs(": Input/output error"));
        EXPECT_EQ(service.ask(post("refused")).status, 503);
        const auto counted = name == "openat" ? "open" : name;
        EXPECT_GT(metric(service, "tracker_disk_errors_total{call=\"" + counted + "\"}"), 0);
        calls.fail(nullptr);
        EXPECT_TRUE(eventually([&] { return service.readiness_is(200); }));
        EXPECT_EQ(service.ask(post("taken")).status, 201);
        EXPECT_TRUE(eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; }));
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_THAT(support::read_file(events / "events.jsonl"), testing::StartsWith("{\"id\":\"taken\""));
        EXPECT_TRUE(std::filesystem::is_empty(spool)) << "nothing of the tries is left";
    }
}

/// By a spool that is opened for that alone.
TEST(UnreadableDisk, WithDurabilityMemoryABacklogThatCannotBeReadIsTriedAgain) {
    if (const auto why = held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why;
    for (const std::string name : {"openat", "readdir"}) {
        SCOPED_TRACE(name);
        const support::temporary_directory shared;
        const auto events = shared.path() / "events";
        const auto spool = (events / "spool").string();
        const auto directory = "--tracker.directory=" + events.string();
        {
            service before({directory, "--tracker.batch_age=1m"});
            ASSERT_EQ(before.ask(post("left")).status, 201);
            before.process().signal(SIGKILL);
            ASSERT_EQ(before.exit_code(), -1);
        }
        held_calls calls(true);
        calls.fail([&](const held_calls::call& call) { return call.name == name && call.path == spool ? EIO : 0; });
        service next(service::options{.flags = {directory, "--tracker.durability=memory"}, .calls = &calls});
        EXPECT_TRUE(eventually([&] { return next.readiness_is(503); })) << next.err();
        EXPECT_TRUE(next.logs("tracker: the spool cannot be read (failed attempts: 1)")) << next.err();
        EXPECT_TRUE(next.logs(spool + ": ")) << next.err();
        EXPECT_GT(metric(next, "tracker_disk_errors_total{call=\"readdir\"}"), 0);
        calls.fail(nullptr);
        EXPECT_TRUE(eventually([&] { return next.readiness_is(200); }));
        EXPECT_TRUE(eventually([&] { return metric(next, "tracker_events_delivered_total") == 1; }));
        next.process().signal(SIGTERM);
        EXPECT_EQ(next.exit_code(), 0) << next.err();
        EXPECT_THAT(support::read_file(events / "events.jsonl"), testing::StartsWith("{\"id\":\"left\""));
    }
}

}  // namespace
}  // namespace integration
