// Files that others touch while the real binary writes them, and what an earlier run has left in them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "tests/integration/event_lines.hpp"
#include "tests/integration/service.hpp"

namespace integration {
namespace {

using support::request;
using testing::HasSubstr;
using testing::Not;
using ids = std::set<std::string>;

struct Files : testing::Test {
    service::options with(std::vector<std::string> more = {}) const {
        more.push_back("--tracker.directory=" + directory.string());
        more.emplace_back("--tracker.retry_max=50ms");
        return {std::move(more), {}};
    }
    /// Five events that a killed run has not delivered.
    void leave_five() const {
        service service(with({"--tracker.batch_age=1m"}));
        for (const auto* id : {"a", "b", "c", "d", "e"}) EXPECT_EQ(service.ask(post(id)).status, 201);
        service.process().signal(SIGKILL);
        EXPECT_EQ(service.exit_code(), -1);
    }
    boost::json::object stop_clean(service& service) const {
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(faults(service.report()), "");
        return service.report();
    }
    bool delivered(const service& service, int events) const {
        return eventually([&] { return metric(service, "tracker_events_delivered_total") == events; });
    }
    std::filesystem::path sink() const { return directory / "events.jsonl"; }

    support::temporary_directory root;
    std::filesystem::path directory = root.path() / "events";
    const ids five{"a", "b", "c", "d", "e"};
};

TEST_F(Files, ABacklogIsDeliveredWithDurabilityMemoryToo) {
    leave_five();
    service next(with({"--tracker.durability=memory"}));
    EXPECT_EQ(next.ask(post("new")).status, 201);
    EXPECT_TRUE(delivered(next, 6)) << next.err();
    EXPECT_TRUE(next.logs("recovered 5 events")) << next.err();
    EXPECT_EQ(metric(next, "tracker_stranded_events"), 0);
    const auto report = stop_clean(next);
    EXPECT_EQ(number(report, "events", "recovered"), 5);
    EXPECT_EQ(number(report, "events", "delivered"), 6);
    auto all = five;
    all.insert("new");
    EXPECT_EQ(ids_in(sink()), all);
    EXPECT_TRUE(std::filesystem::is_empty(directory / "spool"));
}

TEST_F(Files, ABacklogThatTheSinkNoneWouldDiscardStaysIsNamedAndCounted) {
    leave_five();
    for (const std::string kept : {"memory", "process"}) {
        service next(with({"--tracker.sink=none", "--tracker.durability=" + kept}));
        EXPECT_TRUE(eventually([&] { return metric(next, "tracker_stranded_events") == 5; })) << next.err();
        EXPECT_TRUE(next.logs("tracker: 5 events of an earlier run stay undelivered in ")) << next.err();
        EXPECT_TRUE(next.logs("--spool-dump " + directory.string())) << next.err();
        const auto report = stop_clean(next);
        EXPECT_EQ(number(report, "events", "stranded"), 5);
        EXPECT_EQ(number(report, "events", "recovered"), 0);
    }
    service last(with());
    EXPECT_TRUE(delivered(last, 5));
    stop_clean(last);
    EXPECT_EQ(ids_in(sink()), five);
}

TEST_F(Files, ALineThatSomebodyCutsWhileItRunsIsTheOnlyOneThatSuffers) {
    service service(with());
    EXPECT_EQ(service.ask(post("first")).status, 201);
    EXPECT_EQ(service.ask(post("cut")).status, 201);
    EXPECT_TRUE(delivered(service, 2));
    std::filesystem::resize_file(sink(), std::filesystem::file_size(sink()) - 4);
    EXPECT_EQ(service.ask(post("next")).status, 201);
    EXPECT_TRUE(delivered(service, 3));
    EXPECT_EQ(ids_in(sink()), (ids{"first", "next"}));
    EXPECT_TRUE(service.logs("cut a torn last line of ")) << service.err();
    std::filesystem::resize_file(sink(), std::filesystem::file_size(sink()) - 1);
    EXPECT_EQ(service.ask(post("last")).status, 201);
    EXPECT_TRUE(delivered(service, 4));
    EXPECT_EQ(ids_in(sink()), (ids{"first", "next", "last"})) << "what lacked only its end is there";
    stop_clean(service);
}

TEST_F(Files, AfterARenameAndSighupNothingMoreGoesIntoTheOldFile) {
    service service(with({"--tracker.batch_age=0s"}));
    ids expected;
    for (int round = 0; round < 20; ++round) {
        const auto moved = directory / fmt::format("moved.{}", round);
        // Under way or not, at the sink or in the spool: the signal comes at any moment of a delivery.
        for (int i = 0; i < round % 3; ++i) {
            const auto id = fmt::format("before-{}-{}", round, i);
            EXPECT_EQ(service.ask(post(id)).status, 201);
            expected.insert(id);
        }
        if (!std::filesystem::exists(sink())) continue;
        std::filesystem::rename(sink(), moved);
        const auto reloads = metric(service, "config_reloads_total{result=\"applied\"}");
        service.process().signal(SIGHUP);
        ASSERT_TRUE(eventually([&] { return metric(service, "config_reloads_total{result=\"applied\"}") > reloads; }));
        const auto id = fmt::format("after-{}", round);
        EXPECT_EQ(service.ask(post(id)).status, 201);
        expected.insert(id);
        EXPECT_TRUE(delivered(service, static_cast<int>(expected.size())));
        EXPECT_THAT(support::read_file(moved), Not(HasSubstr("\"" + id + "\"")));
        EXPECT_THAT(support::read_file(sink()), HasSubstr("\"" + id + "\""));
    }
    stop_clean(service);
    auto all = ids_in(sink());
    for (int round = 0; round < 20; ++round) all.merge(ids_in(directory / fmt::format("moved.{}", round)));
    EXPECT_EQ(all, expected);
}

TEST_F(Files, ARotationThatCannotBeDoneSaysWhatToDoAndLosesNothing) {
    service service(with({"--tracker.file_max_size=64B", "--tracker.file_keep=1"}));
    EXPECT_EQ(service.ask(post("first")).status, 201);
    EXPECT_TRUE(delivered(service, 1));
    std::filesystem::create_directories(sink().string() + ".1");
    EXPECT_EQ(service.ask(post("second")).status, 201);
    EXPECT_TRUE(eventually([&] { return metric(service, "tracker_healthy") == 0; }));
    EXPECT_TRUE(service.logs(fmt::format("{}: cannot be rotated to {}.1: Is a directory; move what is in its way",
                                         sink().string(), sink().string())))
        << service.err();
    std::filesystem::remove(sink().string() + ".1");
    EXPECT_TRUE(delivered(service, 2));
    stop_clean(service);
    EXPECT_EQ(ids_in(sink()), ids{"second"});
    EXPECT_EQ(ids_in(sink().string() + ".1"), ids{"first"});
}

TEST_F(Files, AKeyWithAnotherBodyIsRefusedWithinARunAndNotBeyond) {
    {
        service service(with());
        EXPECT_EQ(service.ask(post("key", "body")).status, 201);
        EXPECT_EQ(service.ask(post("key", "body")).status, 201);
        const auto refused = service.ask(post("key", "another"));
        EXPECT_EQ(refused.status, 422);
        EXPECT_THAT(refused.body, HasSubstr("another event takes another key"));
        EXPECT_EQ(service.ask(request("POST", "/events", {}, "another")).status, 201) << "no key, no memory";
        const auto report = stop_clean(service);
        EXPECT_EQ(number(report, "events", "accepted"), 3);
    }
    service next(with());
    EXPECT_EQ(next.ask(post("key", "another")).status, 201);
    stop_clean(next);
}

std::string cloud_event(const std::string& key, const std::string& headers) {
    return request("POST", "/events", "Idempotency-Key: " + key + "\r\n" + headers, "x");
}

TEST_F(Files, AnEventTakesHeadersFromItsRequestWhereTheSettingsLetItAndTheyOutliveTheProcess) {
    const std::string key = "Ce-PartitionKey: k%201\r\n", text = "Content-Type: text/plain\r\n";
    const std::string trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    const std::string large = ": " + std::string(5'000, 'x') + "\r\n";
    {
        service service(with({"--tracker.cloudevents=true", "--tracker.batch_age=1m"}));
        EXPECT_EQ(service.ask(cloud_event("a", text + trace + key + "ce-id: other\r\n")).status, 201);
        EXPECT_EQ(service.ask(cloud_event("a", text + key)).status, 201) << "a repetition is part of another trace";
        EXPECT_EQ(service.ask(cloud_event("a", key)).status, 422) << "and of the same content type";
        EXPECT_EQ(service.ask(cloud_event("b", "ce-subject: a%0Ab\r\n")).status, 400);
        EXPECT_EQ(service.ask(cloud_event("b", "ce-a-b: c\r\n")).status, 400);
        EXPECT_EQ(service.ask(cloud_event("b", "ce-x" + large + "ce-y" + large)).status, 431);
        service.process().signal(SIGKILL);
        EXPECT_EQ(service.exit_code(), -1);
    }
    service next(with());
    EXPECT_TRUE(delivered(next, 2)) << next.err();
    EXPECT_EQ(next.ask(cloud_event("c", text + key)).status, 201);
    stop_clean(next);
    const auto lines = support::read_file(sink());
    EXPECT_THAT(lines,
                HasSubstr(R"(,"data":"x","headers":{"datacontenttype":"text/plain","traceparent":"00-0af7651916cd)"));
    EXPECT_THAT(lines, HasSubstr(R"(,"partitionkey":"k 1"}})"));
    EXPECT_THAT(lines, HasSubstr(R"(,"data":"x"})")) << "without the setting none is taken";
}

}  // namespace
}  // namespace integration
