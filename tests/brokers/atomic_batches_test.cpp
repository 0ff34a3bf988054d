// The sink nats with batches that a stream stores whole or not at all: at a stream as strict as nats-server's, and at a
// nats-server that knows them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <csignal>
#include <list>
#include <sstream>

#include "tests/brokers/fake_nats.hpp"
#include "tests/brokers/nats_cluster.hpp"
#include "tests/brokers/promises.hpp"
#include "tests/brokers/relay.hpp"
#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"
#include "tracker/nats/atomic_batches.hpp"
#include "tracker/nats/nats_sink.hpp"

namespace {

using brokers::fake_nats;
using brokers::nats_cluster;
using brokers::promises;
using integration::metric;
using integration::service;
using support::milliseconds;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

std::vector<tracker::event> events(std::size_t count, std::size_t from = 0) {
    std::vector<tracker::event> made(count);
    for (std::size_t i = 0; i < count; ++i) made[i] = {.id = fmt::format("e{}", from + i), .time = {}, .data = "x"};
    return made;
}

struct NatsBatches : testing::Test {
    NatsBatches() {
        broker.allows_atomic = true;
        options.nats.url = broker.url();
        options.nats.atomic = true;
        log.sinks().push_back(std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    }
    void deliver(const std::vector<tracker::event>& batch) {
        if (!sink) sink = tracker::make_nats_sink(options, log, [] { return lifecycle::clock::time_point::max(); });
        sink->deliver(batch);
    }
    /// All of this and nothing else, each once.
    void expect_each_once(std::size_t count) {
        EXPECT_THAT(broker.stream().ids(), SizeIs(count));
        EXPECT_THAT(broker.stream().ids(), Each(Pair(testing::_, 1)));
    }

    fake_nats broker;
    tracker::options options;
    std::ostringstream text;
    spdlog::logger log{"test"};
    std::unique_ptr<tracker::sink> sink;
};

TEST_F(NatsBatches, ABatchIsStoredWholeAndAcknowledgedOnce) {
    deliver(events(40));
    deliver(events(256, 40));
    EXPECT_THAT(broker.stream().stored(), ElementsAre(40, 256));
    EXPECT_EQ(broker.stream().singly(), 0U);
    EXPECT_EQ(broker.connections(), 1U);
    expect_each_once(296);
}

TEST_F(NatsBatches, OneThatIsLargerThanAnyServerTakesGoesInSeveral) {
    deliver(events(2'003));
    EXPECT_THAT(broker.stream().stored(), ElementsAre(1'000, 1'000));
    EXPECT_EQ(broker.stream().singly(), 3U) << "what is left is not worth a batch";
    expect_each_once(2'003);
}

TEST_F(NatsBatches, WhenTheAcknowledgementIsLostItIsAFailureAndThenEachGoesByItselfAndNoneIsTwice) {
    broker.answers_lost = 1;
    EXPECT_THROW(deliver(events(40)), std::runtime_error);
    deliver(events(40));
    EXPECT_THAT(broker.stream().stored(), ElementsAre(40));
    EXPECT_EQ(broker.stream().refused(), 1U);
    EXPECT_EQ(broker.stream().singly(), 40U);
    expect_each_once(40);
    deliver(events(40, 40));
    EXPECT_THAT(broker.stream().stored(), ElementsAre(40, 40)) << "the next one is a batch again";
}

TEST_F(NatsBatches, OneIdThatTheStreamKnowsHasAllOfABatchGoOneByOneWithALine) {
    broker.stream().knows("e7");
    deliver(events(40));
    EXPECT_THAT(broker.stream().stored(), IsEmpty());
    EXPECT_EQ(broker.stream().singly(), 40U);
    expect_each_once(40);
    EXPECT_THAT(text.str(),
                HasSubstr("the stream EVENTS has refused a batch, which went one by one: atomic publish batch "
                          "contains duplicate message id (10201)"));
    deliver(events(40, 40));
    EXPECT_THAT(broker.stream().stored(), ElementsAre(40));
}

TEST_F(NatsBatches, AnEventThatComesTwiceInABatchIsInItOnce) {
    auto twins = events(40);
    twins[30].id = twins[3].id;
    deliver(twins);
    EXPECT_THAT(broker.stream().stored(), ElementsAre(39));
    EXPECT_EQ(broker.stream().refused(), 0U);
    expect_each_once(39);
}

TEST_F(NatsBatches, AServerThatIsSetToTakeFewerGetsThemOneByOne) {
    broker.stream().takes_at_most(10);
    deliver(events(40));
    EXPECT_THAT(broker.stream().stored(), IsEmpty());
    expect_each_once(40);
    EXPECT_THAT(text.str(), HasSubstr("went one by one: atomic publish batch is "));
}

TEST_F(NatsBatches, AServerThatDoesNotKnowThemStoresMessageByMessageAndIsAskedForEach) {
    broker.stream().knows_no_batches();
    deliver(events(40));
    expect_each_once(40);
    EXPECT_THAT(text.str(), HasSubstr("went one by one: it has been acknowledged as one message"));
}

TEST_F(NatsBatches, WhatIsLargerThanAMessageMayBeSpoilsNoBatchAndIsNamed) {
    auto all = events(40);
    all[7].data.assign(1'100'000, 'x');
    try {
        deliver(all);
        FAIL() << "nobody can take it";
    } catch (const tracker::rejected_event& failure) {
        EXPECT_THAT(failure.indices(), ElementsAre(7));
    }
    EXPECT_THAT(broker.stream().stored(), ElementsAre(39));
    EXPECT_THAT(text.str(), Not(HasSubstr("refused")));
}

TEST_F(NatsBatches, AFewGoOneByOne) {
    deliver(events(tracker::atomic_batches::fewest - 1));
    EXPECT_THAT(broker.stream().stored(), IsEmpty());
    expect_each_once(tracker::atomic_batches::fewest - 1);
}

TEST_F(NatsBatches, AStreamThatDoesNotAllowThemIsALineAndGetsItsMessagesOneByOne) {
    broker.allows_atomic = false;
    deliver(events(40));
    EXPECT_THAT(broker.stream().stored(), IsEmpty());
    EXPECT_EQ(broker.stream().singly(), 40U);
    EXPECT_THAT(text.str(),
                HasSubstr("the stream EVENTS does not allow atomic batches (allow_atomic, nats-server 2.12)"));
}

TEST_F(NatsBatches, ACloudEventHasItsHeadersInABatchAndByItself) {
    options.cloud_events = {.on = true, .source = "/shop", .type = "sold"};
    auto all = events(40);
    all[39].headers.set("datacontenttype", "text/plain");
    all[39].headers.set("subject", "a b");
    for (const auto count : {std::ptrdiff_t{40}, std::ptrdiff_t{1}}) {
        deliver({all.end() - count, all.end()});
        EXPECT_EQ(broker.stream().last("ce-id"), "e39");
        EXPECT_EQ(broker.stream().last("ce-type"), "sold");
        EXPECT_EQ(broker.stream().last("ce-datacontenttype"), "text/plain");
        EXPECT_EQ(broker.stream().last("ce-subject"), "a%20b");
    }
    EXPECT_THAT(broker.stream().stored(), ElementsAre(40));
    expect_each_once(40);
}

TEST_F(NatsBatches, WithoutTheSettingNoneIsMade) {
    options.nats.atomic = false;
    deliver(events(40));
    EXPECT_THAT(broker.stream().stored(), IsEmpty());
    EXPECT_EQ(broker.stream().singly(), 40U);
    EXPECT_THAT(text.str(), Not(HasSubstr("batch")));
}

/// nats-server of today, tests/all/nats: Debian's does not know batches.
struct NatsBatchesOfToday : testing::Test {
    void SetUp() override {
        if (!nats_cluster::knows_batches()) GTEST_SKIP() << "nats-server is older than 2.12 (tests/all/nats)";
    }
    static service::options with(const std::string& urls, std::vector<std::string> more = {}) {
        service::options options;
        options.flags = std::move(more);
        options.flags.insert(options.flags.end(), {"--tracker.sink=nats", "--tracker.nats_url=" + urls,
                                                   "--tracker.retry_max=200ms", "--tracker.nats_atomic=true"});
        options.program = SERVICE_WITH_MODULES;
        return options;
    }
    static void stop_clean(service& service) {
        EXPECT_TRUE(
            support::eventually([&] { return metric(service, "tracker_events_waiting") == 0; }, milliseconds(60'000)))
            << service.err();
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(integration::faults(service.report()), "");
    }
};

TEST_F(NatsBatchesOfToday, AStreamIsMadeThatAllowsThemAndHasEachEventOnce) {
    nats_cluster broker(1, "", "sync_interval: always");
    service service(with(broker.urls()));
    promises promised;
    support::load load(service.app(), promised.load_of(64));
    EXPECT_TRUE(load.run([&] { return promised.given.size() >= 2'000; }, milliseconds(60'000)));
    load.finish(milliseconds(5'000));
    stop_clean(service);
    EXPECT_TRUE(service.logs("made the stream EVENTS with 1 replicas")) << service.err();
    EXPECT_EQ(service.err().find("one by one"), std::string::npos) << service.err();
    EXPECT_GT(broker.messages_of_batches("EVENTS"), 1'000U);
    brokers::expect_each_once(broker.ids_in("EVENTS"), promised.given);
}

TEST_F(NatsBatchesOfToday, AServerKilledInTheMiddleOfBatchesAgainAndAgainLosesNone) {
    nats_cluster broker(1, "", "sync_interval: always");
    service service(with(broker.urls()));
    promises promised;
    support::load load(service.app(), promised.load_of(64));
    const auto delivered = [&](double more) {
        const auto until = metric(service, "tracker_events_delivered_total") + more;
        return promised.wait_for(load, [&] { return metric(service, "tracker_events_delivered_total") >= until; });
    };
    EXPECT_TRUE(delivered(200));
    for (const auto more : {300, 50, 700, 130, 400, 900}) {
        broker.kill(0);
        const auto sent = promised.given.size();
        EXPECT_TRUE(load.run([&] { return promised.given.size() >= sent + 1'500; }, milliseconds(60'000)));
        broker.start(0);  // a backlog to be killed in
        EXPECT_TRUE(delivered(more));
    }
    load.finish(milliseconds(5'000));
    stop_clean(service);
    brokers::expect_each_once(broker.ids_in("EVENTS"), promised.given);
}

/// Three nodes that sync before they acknowledge, and a stream of three replicas.
struct NatsClusterOfToday : NatsBatchesOfToday {
    static constexpr auto syncs = "sync_interval: always";

    /// Until so many more events are in the stream.
    static bool delivered(support::load& load, const promises& promised, const service& service, double more) {
        const auto until = metric(service, "tracker_events_delivered_total") + more;
        return promised.wait_for(load, [&] { return metric(service, "tracker_events_delivered_total") >= until; });
    }
    static void make_stream(service& service) {
        EXPECT_EQ(service.ask(integration::post("first")).status, 201);
        EXPECT_TRUE(support::eventually([&] { return metric(service, "tracker_events_delivered_total") == 1; },
                                        milliseconds(60'000)))
            << service.err();
    }
};

TEST_F(NatsClusterOfToday, ALeaderThatHandsOverOrIsStoppedOrKilledCostsBatchesNoEventAndDoublesNone) {
    nats_cluster cluster(3, "", syncs);
    service service(with(cluster.urls(), {"--tracker.nats_replicas=3"}));
    make_stream(service);
    promises promised;
    promised.given.insert("first");
    support::load load(service.app(), promised.load_of(16));
    EXPECT_TRUE(delivered(load, promised, service, 500));
    for (int turn = 0; turn < 2; ++turn) {
        cluster.step_down("EVENTS");
        EXPECT_TRUE(delivered(load, promised, service, 500)) << service.err();
        auto leader = cluster.leader_of("EVENTS");
        cluster.stop(leader);
        EXPECT_TRUE(delivered(load, promised, service, 500)) << service.err();
        cluster.start(leader);
        leader = cluster.leader_of("EVENTS");
        cluster.kill(leader);
        EXPECT_TRUE(delivered(load, promised, service, 500)) << service.err();
        cluster.start(leader);
    }
    load.finish(milliseconds(5'000));
    stop_clean(service);
    EXPECT_GT(cluster.messages_of_batches("EVENTS"), 1'000U);
    brokers::expect_each_once(cluster.ids_in("EVENTS"), promised.given);
}

TEST_F(NatsClusterOfToday, ABatchWhoseAcknowledgementIsLostGoesOneByOneAndNoneIsTwice) {
    nats_cluster cluster(3, "", syncs);
    std::list<brokers::relay> relays;
    std::string urls;
    for (std::size_t i = 0; i < 3; ++i) urls += (i == 0 ? "" : ",") + relays.emplace_back(cluster.port(i)).url();
    const auto swallow = [&](bool on) {
        for (auto& each : relays) each.swallow(on);
    };
    service service(with(urls, {"--tracker.nats_replicas=3"}));
    make_stream(service);
    promises promised;
    promised.given.insert("first");
    support::load load(service.app(), promised.load_of(16));
    EXPECT_TRUE(delivered(load, promised, service, 500));
    swallow(true);
    const auto lost = [&] {
        return std::ranges::any_of(relays, [](const auto& each) { return each.has_swallowed("\"batch\":"); });
    };
    EXPECT_TRUE(promised.wait_for(load, lost)) << "the stream has a batch, and its sender does not know";
    for (auto& each : relays) each.cut();
    EXPECT_TRUE(promised.wait_for(load, [&] { return service.err().find("sink nats fails") != std::string::npos; }));
    swallow(false);
    EXPECT_TRUE(delivered(load, promised, service, 500)) << service.err();
    load.finish(milliseconds(5'000));
    stop_clean(service);
    EXPECT_TRUE(service.logs("has refused a batch, which went one by one: ")) << service.err();
    EXPECT_THAT(service.err(), HasSubstr("(10201)"));
    EXPECT_GT(cluster.messages_of_batches("EVENTS"), 500U);
    brokers::expect_each_once(cluster.ids_in("EVENTS"), promised.given);
}

}  // namespace
