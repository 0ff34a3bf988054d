// What the next run says of the last one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/generations.hpp"
#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string metric_of(const service& service) { return service.ask_debug(get("/metrics")).body; }

/// What the note of a run says; it is written beside what it speaks of.
bool noted(const support::temporary_directory& shared, const std::string& text) {
    return eventually(
        [&] { return support::read_file(shared.path() / "events/last-run.json").find(text) != std::string::npos; });
}

TEST(PreviousRun, IsNamedAsKilledWithItsPhaseAfterSigkill) {
    const support::temporary_directory shared;
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        service first(flags);
        EXPECT_THAT(metric_of(first), HasSubstr("previous_exit{kind=\"none\"} 1"));
        EXPECT_TRUE(noted(shared, "serving"));
        first.process().signal(SIGKILL);
        first.exit_code();
    }
    service second(flags);
    EXPECT_TRUE(second.logs("previous run: killed while serving")) << second.err();
    EXPECT_THAT(metric_of(second), HasSubstr("previous_exit{kind=\"killed\"} 1"));
    second.process().signal(SIGTERM);
    EXPECT_EQ(second.exit_code(), 0);

    service third(flags);
    EXPECT_THAT(third.err(), Not(HasSubstr("previous run")));
    EXPECT_THAT(metric_of(third), HasSubstr("previous_exit{kind=\"clean\"} 1"));
}

TEST(PreviousRun, KilledInTheMiddleOfADrainSaysWhichPartWasStopping) {
    const support::temporary_directory shared;
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        service first(flags);
        auto connection = first.connect();
        connection.send(get("/slow?ms=20000"));
        ASSERT_TRUE(first.handles("/slow"));
        first.begin_stop(SIGTERM);
        EXPECT_TRUE(noted(shared, "stopping app"));
        first.process().signal(SIGKILL);
        first.exit_code();
    }
    service second(flags);
    EXPECT_TRUE(second.logs("previous run: killed while stopping app")) << second.err();
}

TEST(PreviousRun, EventsThatItTookOverAreCountedToo) {
    const support::temporary_directory shared;
    const auto events = shared.path() / "events";
    const std::vector<std::string> flags{"--tracker.directory=" + events.string()};
    {
        service first(flags);
        std::filesystem::remove(events / "events.jsonl");
        std::filesystem::create_directory(events / "events.jsonl");  // where the file should be: nothing is delivered
        for (const char* id : {"a", "b"}) ASSERT_EQ(first.ask(post(id)).status, 201);
        first.process().signal(SIGKILL);
        first.exit_code();
    }
    std::filesystem::remove(events / "events.jsonl");
    {
        service second(flags);
        ASSERT_TRUE(eventually([&] { return metric(second, "tracker_events_delivered_total") == 2; }));
        auto connection = second.connect();
        connection.send(get("/slow?ms=20000"));
        ASSERT_TRUE(second.handles("/slow"));
        second.begin_stop(SIGTERM);
        EXPECT_TRUE(noted(shared, "stopping app"));
        second.process().signal(SIGKILL);
        second.exit_code();
    }
    const service third(flags);
    EXPECT_TRUE(third.logs("; 0 events had then been accepted or taken over, and not delivered")) << third.err();
}

TEST(PreviousRun, IsNamedAsKilledAfterAnUpgradeToo) {
    const support::temporary_directory shared;
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        generations all(flags);
        ASSERT_EQ(all.upgrade().first, 0) << all.first().err();
        EXPECT_TRUE(noted(shared, "serving")) << "the successor has taken it over";
    }  // SIGKILL
    const service next(flags);
    EXPECT_TRUE(next.logs("previous run: killed while serving")) << next.err();
    EXPECT_THAT(metric_of(next), HasSubstr("previous_exit{kind=\"killed\"} 1"));
}

TEST(PreviousRun, IsUnknownWhenItsNoteCannotBeRead) {
    const support::temporary_directory shared;
    std::filesystem::create_directory(shared.path() / "events");
    support::write_file(shared.path() / "events/last-run.json", std::string(512, '\0'));
    const service next({"--tracker.directory=" + (shared.path() / "events").string()});
    EXPECT_TRUE(next.logs("previous run: its note cannot be read")) << next.err();
    EXPECT_THAT(metric_of(next), HasSubstr("previous_exit{kind=\"unknown\"} 1"));
}

TEST(PreviousRun, AFormerNoteOfTwiceTheLengthIsStillRead) {
    const support::temporary_directory shared;
    std::filesystem::create_directory(shared.path() / "events");
    std::string note = R"({"phase":"ended","time":"2026-01-01T00:00:00Z","pid":1,"exit_code":2,"cause":"part:app"})";
    note.resize(1023, ' ');
    support::write_file(shared.path() / "events/last-run.json", note + '\n');
    const std::vector<std::string> flags{"--tracker.directory=" + (shared.path() / "events").string()};
    {
        service next(flags);
        EXPECT_THAT(metric_of(next), HasSubstr("previous_exit{kind=\"exit_2\"} 1"));
        next.process().signal(SIGTERM);
        EXPECT_EQ(next.exit_code(), 0);
    }
    EXPECT_THAT(metric_of(service(flags)), HasSubstr("previous_exit{kind=\"clean\"} 1"));
}

TEST(AccessLog, SaysWithTwoLettersWhoEndedARequestAndWhen) {
    service service({"--log.access=true"});
    service.ask(get("/"));
    service.ask("GET /slow?ms=5000 HTTP/1.1\r\nHost: a\r\nX-Request-Timeout: 50ms\r\n\r\n");
    service.ask("nonsense\r\n\r\n");
    auto drained = service.connect();
    drained.send(get("/slow?ms=600"));
    ASSERT_TRUE(service.handles("/slow"));
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(drained.receive());
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET / 200 [0-9]+us [^ ]+ --"));
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET /slow[^ ]* 504 [0-9]+us [^ ]+ CH"));
    EXPECT_THAT(service.err(), testing::ContainsRegex("access 127.0.0.1 GET /slow[^ ]* 200 [0-9]+us [^ ]+ D-"));
    EXPECT_TRUE(service.logs("after 0 requests PR")) << service.err();
}

}  // namespace
}  // namespace integration
