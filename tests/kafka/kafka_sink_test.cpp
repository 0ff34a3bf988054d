// The sink kafka against the brokers that come with librdkafka: what is measured of real ones is in docs/tracker.md.

#include "tracker/kafka/kafka_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "tests/kafka/mock_cluster.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/process.hpp"
#include "tests/tracker/fakes.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::eventually;
using fakes::make_event;
using testing::ElementsAre;
using testing::HasSubstr;
using tracker::event;

constexpr auto too_large = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

struct Kafka : testing::Test {
    Kafka() {
        options.sinks = {"kafka"};
        options.directory = (root.path() / "events").string();
        std::filesystem::create_directories(options.directory);
        properties("linger.ms = 100\n");  // a batch of ours is one of Kafka's
    }
    void properties(const std::string& text) {
        options.kafka.properties = (root.path() / "kafka.properties").string();
        std::ofstream(options.kafka.properties) << text;
    }
    std::unique_ptr<tracker::kafka_sink> make_sink(const kafka::mock_cluster& on,
                                                   std::chrono::milliseconds patience = 10s) {
        options.kafka.brokers = on.bootstraps();
        return std::make_unique<tracker::kafka_sink>(
            options, [this] { return flush_until.load(); }, patience);
    }
    std::string fault() const {
        try {
            tracker::kafka_sink(options, [] { return clock::time_point::max(); });
        } catch (const std::runtime_error& why) {
            return why.what();
        }
        return "none";
    }

    support::temporary_directory root;
    tracker::options options;
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
};

std::vector<event> some(std::size_t count) {
    std::vector<event> made;
    for (std::size_t nth = 0; nth < count; ++nth)
        made.push_back(make_event("data " + std::to_string(nth), "id-" + std::to_string(nth)));
    return made;
}

/// What `deliver` throws; empty: it has delivered.
std::string failure_of(tracker::sink& sink, std::span<const event> batch) {
    try {
        sink.deliver(batch);
    } catch (const tracker::rejected_event& why) {
        return std::string("rejected: ") + why.what();
    } catch (const tracker::refused& why) {
        return std::string("refused: ") + why.what();
    } catch (const std::runtime_error& why) {
        return why.what();
    }
    return "";
}

/// Each id of `some(count)`, once.
std::map<std::string, int> each_once(std::size_t count) {
    std::map<std::string, int> times;
    for (const auto& each : some(count)) times[each.id] = 1;
    return times;
}

TEST_F(Kafka, EveryEventIsAMessageWithItsLineAndItsIdAsKeyInItsOrder) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster);
    const auto batch = some(3);
    sink->deliver(batch);
    const auto got = cluster.content();
    ASSERT_EQ(got.size(), 3U);
    for (std::size_t nth = 0; nth < 3; ++nth) {
        std::string line;
        tracker::append_json(line, batch[nth]);
        EXPECT_EQ(got[nth].key, batch[nth].id);
        EXPECT_EQ(got[nth].value, line);
    }
}

TEST_F(Kafka, ACloudEventIsItsDataWithItsHeadersAndItsPartitionKeyAndIsAcknowledgedByItsId) {
    kafka::mock_cluster cluster;
    options.cloud_events = {.on = true, .source = "/shop", .type = "sold"};
    const auto sink = make_sink(cluster);
    auto batch = some(3);
    batch[0].headers.set("partitionkey", "till");
    batch[2].headers.set("partitionkey", "till");
    batch[0].headers.set("datacontenttype", "text/plain");
    sink->deliver(batch);
    const auto got = cluster.content();
    ASSERT_EQ(got.size(), 3U);
    EXPECT_EQ(got[0].value, batch[0].data);
    EXPECT_EQ(got[0].key, "till");
    EXPECT_EQ(got[1].key, batch[1].id);
    EXPECT_EQ(got[2].key, "till");
    EXPECT_EQ(got[2].headers.at("ce_id"), batch[2].id);
    EXPECT_EQ(got[0].headers.at("ce_type"), "sold");
    EXPECT_EQ(got[0].headers.at("content-type"), "text/plain");
    EXPECT_EQ(got[0].headers.at("ce_partitionkey"), "till");
}

TEST_F(Kafka, WhatABrokerReportsForAWholeBatchIsSaidOfNoSingleEvent) {
    for (const auto code : {too_large, RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP}) {
        kafka::mock_cluster cluster;
        const auto sink = make_sink(cluster);
        cluster.answers_next({code});
        const auto batch = some(20);
        EXPECT_THAT(failure_of(*sink, batch), HasSubstr("refused: "));
        sink->deliver(batch);
        EXPECT_EQ(cluster.ids(), each_once(20));
    }
}

TEST_F(Kafka, OfABatchThatIsRefusedOnlyTheEventThatFailsAloneIsBuried) {
    kafka::mock_cluster cluster;
    cluster.answers_next({too_large, too_large, too_large, too_large, too_large});  // of 20, 10, 5, 2 and 1
    options.batch_age = 200ms;
    lifecycle::workers workers;
    fakes::log_book book;
    tracker::sinks sinks;
    sinks.push_back(make_sink(cluster));
    tracker::event_tracker events(options, sinks, workers, book.log, [this] { return flush_until.load(); });
    auto running = workers.start("tracker", "part", [&](std::stop_token stop) { events.run(std::move(stop)); });
    for (auto& each : some(20)) ASSERT_EQ(events.try_record(each), tracker::verdict::accepted);
    EXPECT_TRUE(eventually([&] { return events.account().delivered == 19; })) << book.text.str();
    running.request_stop();
    running.join();
    EXPECT_EQ(events.account().dropped["dead_letter"], 1U);
    EXPECT_THAT(support::read_file(std::filesystem::path(options.directory) / "dead-letter.jsonl"),
                HasSubstr("id-0\""));
    auto others = each_once(20);
    others.erase("id-0");
    EXPECT_EQ(cluster.ids(), others);
}

TEST_F(Kafka, WhatTheLibraryItselfFindsTooLargeIsThatEventAndTheOthersGoOn) {
    kafka::mock_cluster cluster;
    properties("message.max.bytes=1000\n");
    const auto sink = make_sink(cluster);
    auto batch = some(3);
    batch[1].data = std::string(2'000, 'x');
    try {
        sink->deliver(batch);
        FAIL() << "delivered";
    } catch (const tracker::rejected_event& rejected) {
        EXPECT_THAT(rejected.indices(), ElementsAre(1));
    }
    batch.erase(batch.begin() + 1);
    sink->deliver(batch);
    EXPECT_EQ(cluster.ids(), (std::map<std::string, int>{{"id-0", 1}, {"id-2", 1}}));
}

TEST_F(Kafka, AMessageThatIsUnderWayIsWaitedForAndNotSentAgain) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster, 50ms);
    cluster.answers_after(400ms);
    const auto batch = some(5);
    EXPECT_THAT(failure_of(*sink, batch), HasSubstr("5 messages have not been acknowledged"));
    EXPECT_TRUE(eventually([&] { return failure_of(*sink, batch).empty(); }));
    cluster.answers_after(0ms);
    EXPECT_EQ(cluster.ids(), each_once(5));
}

/// As with several workers.
TEST_F(Kafka, ABatchBetweenTwoTriesOfAnotherIsDeliveredAndBothAreSentOnce) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster, 50ms);
    cluster.answers_after(400ms);
    const auto all = some(10);
    const auto first = std::span(all).first(5), second = std::span(all).last(5);
    EXPECT_THAT(failure_of(*sink, first), HasSubstr("5 messages have not been acknowledged"));
    EXPECT_TRUE(eventually([&] { return failure_of(*sink, second).empty(); }));
    EXPECT_TRUE(eventually([&] { return failure_of(*sink, first).empty(); }));
    cluster.answers_after(0ms);
    EXPECT_EQ(cluster.ids(), each_once(10));
}

TEST_F(Kafka, BrokersThatAreAwayAreSaidAtOnceAndGetEachEventOnceWhenTheyAreBack) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster, 1min);
    cluster.goes_down();
    const auto began = clock::now();
    EXPECT_THAT(failure_of(*sink, some(5)), HasSubstr("5 messages have not been acknowledged: "));
    EXPECT_TRUE(support::in_time(clock::now() - began, 30s)) << "and not after the patience";
    cluster.comes_up();
    EXPECT_TRUE(eventually([&] { return failure_of(*sink, some(5)).empty(); }));
    EXPECT_EQ(cluster.ids(), each_once(5));
}

TEST_F(Kafka, WhatIsWrongWithTheTopicIsTheSinksStateAndNoEventsFault) {
    properties("linger.ms=100\ntopic.metadata.refresh.interval.ms=100\n");
    for (const auto code : {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS}) {
        kafka::mock_cluster cluster;
        const auto sink = make_sink(cluster);
        cluster.answers_next({code});
        const auto said = failure_of(*sink, some(3));
        EXPECT_THAT(said, HasSubstr(rd_kafka_err2name(code)));
        EXPECT_THAT(said, testing::Not(HasSubstr("refused: ")));
        // From then on the library itself says so, until it has looked at the topic again.
        EXPECT_TRUE(eventually([&] { return failure_of(*sink, some(3)).empty(); }));
        EXPECT_EQ(cluster.ids(), each_once(3));
    }
}

TEST_F(Kafka, APartitionThatMovesToAnotherLeaderLosesAndDoublesNothing) {
    kafka::mock_cluster cluster(3);
    const auto sink = make_sink(cluster);
    const auto all = some(60);
    for (std::size_t nth = 0; nth < 60; nth += 10) {
        cluster.leads(1 + static_cast<int>(nth / 10 % 3));
        const auto part = std::span(all).subspan(nth, 10);
        EXPECT_TRUE(eventually([&] { return failure_of(*sink, part).empty(); }));
    }
    EXPECT_EQ(cluster.ids(), each_once(60));
}

TEST_F(Kafka, AFatalErrorMakesANewProducerThatSendsAgain) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster);
    cluster.answers_next({RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
    EXPECT_THAT(failure_of(*sink, some(3)), HasSubstr("a new producer is made"));
    EXPECT_EQ(failure_of(*sink, some(3)), "");
    EXPECT_EQ(cluster.ids(), each_once(3));
}

TEST_F(Kafka, TheFlushDeadlineEndsAWaitWithinItsStepAndTheEndTakesMilliseconds) {
    kafka::mock_cluster cluster;
    const auto sink = make_sink(cluster, 1min);
    cluster.answers_after(20s);
    flush_until = clock::now() + 200ms;
    const auto batch = some(1'000);
    EXPECT_THAT(failure_of(*sink, batch), HasSubstr("have not been acknowledged"));
    const auto late = clock::now() - flush_until.load();
    const auto began = clock::now();
    sink->finish();
    EXPECT_TRUE(support::in_time(late, 500ms)) << "on a busy machine; 20 ms else";
    EXPECT_TRUE(support::in_time(clock::now() - began, 2s));
    EXPECT_THAT(failure_of(*sink, batch), HasSubstr("no time is left"));
    cluster.answers_after(0ms);
}

TEST_F(Kafka, SettingsOfTheLibraryAreFollowedAndFaultsNameTheirLine) {
    properties("# as librdkafka has them\n\n  compression.type = zstd \nretries=5\n");
    EXPECT_EQ(fault(), "none");
    properties("retries=5\nno.such.thing=1\n");
    EXPECT_THAT(fault(), HasSubstr("kafka.properties', line 2: No such configuration property: \"no.such.thing\""));
    properties("retries\n");
    EXPECT_THAT(fault(), HasSubstr("line 1: is not name=value"));
    options.kafka.properties = (root.path() / "none").string();
    EXPECT_THAT(fault(), HasSubstr("none' cannot be read"));
}

TEST_F(Kafka, WhatMakesDeliveredTrueIsNotToBeTakenAway) {
    for (const auto* line : {"acks=1", "request.required.acks=0", "enable.idempotence=false", "bootstrap.servers=a:1",
                             "allow.auto.create.topics=true", "delivery.report.only.error=true"}) {
        properties(line);
        EXPECT_THAT(fault(), HasSubstr("stays as it is")) << line;
    }
    properties("acks=-1\nenable.idempotence=true\n");
    EXPECT_EQ(fault(), "none");
}

}  // namespace
