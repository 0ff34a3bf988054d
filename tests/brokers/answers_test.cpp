// What a stream answers to messages that go one by one, and that no answer is taken for that to another message.

#include "tracker/nats/answers.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>

#include <limits>

#include "tests/brokers/fake_nats.hpp"
#include "tracker/nats/nats_sink.hpp"
#include "tracker/nats/stream_info.hpp"

namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;

std::vector<tracker::event> events(std::size_t count) {
    std::vector<tracker::event> made(count);
    for (std::size_t i = 0; i < count; ++i) made[i] = {.id = fmt::format("e{}", i), .time = {}, .data = "x"};
    return made;
}

struct NatsAnswers : testing::Test {
    NatsAnswers() {
        options.nats.url = broker.url();
        options.nats.in_flight = 16;
        options.nats.patience = 300ms;
    }
    lifecycle::clock::time_point deadline() const {
        return broker.published() < last_message ? lifecycle::clock::time_point::max() : lifecycle::clock::now();
    }
    /// Why it has not been delivered; empty: it has.
    std::string failure_of(const std::vector<tracker::event>& batch) try {
        if (!sink) sink = tracker::make_nats_sink(options, log, [this] { return deadline(); });
        sink->deliver(batch);
        return "";
    } catch (const tracker::rejected_event& failure) {
        return fmt::format("rejected {}: {}", fmt::join(failure.indices(), " "), failure.what());
    } catch (const std::runtime_error& failure) {
        return failure.what();
    }

    brokers::fake_nats broker;
    std::size_t last_message = std::numeric_limits<std::size_t>::max();  ///< the time is over when it has come
    tracker::options options;
    spdlog::logger log{"test"};
    std::unique_ptr<tracker::sink> sink;
};

TEST_F(NatsAnswers, NoMoreThanTheWindowIsUnderWayAndWhatWasNotAcknowledgedIsPublishedAgain) {
    options.nats.patience = 15s;
    broker.acknowledges = false;
    last_message = 16;
    EXPECT_EQ(failure_of(events(100)), "16 messages have not been acknowledged");
    EXPECT_EQ(broker.published(), 16U);
    broker.acknowledges = true;
    last_message = std::numeric_limits<std::size_t>::max();
    EXPECT_EQ(failure_of(events(100)), "");
    EXPECT_EQ(broker.published(), 116U);
    EXPECT_THAT(broker.stream().ids(), SizeIs(100));
    EXPECT_THAT(broker.stream().ids(), Each(Pair(testing::_, 1)));
}

TEST_F(NatsAnswers, TheAnswerToAMessageOfAnEarlierBatchAcknowledgesNothingOfThis) {
    broker.late = true;
    auto batch = events(2);
    batch[1].data.assign(1'100'000, 'x');
    EXPECT_THAT(failure_of(batch), HasSubstr("rejected 1: larger than the broker allows"));
    batch = {{.id = "another", .time = {}, .data = "x"}};
    EXPECT_EQ(failure_of(batch), "1 messages have not been acknowledged") << "what came was the answer to e0";
    EXPECT_EQ(broker.connections(), 1U);
}

TEST_F(NatsAnswers, AMessageThatTheStreamRefusesIsSaidInItsWords) {
    options.nats.stream = "ANOTHER";
    EXPECT_EQ(failure_of(events(3)), "expected stream does not match (10060)");
}

TEST(NatsAnswer, IsReadAsServersWriteItAndInAnyOtherForm) {
    for (const auto* stored :
         {R"({"stream":"EVENTS", "seq":1})", R"({"stream":"EVENTS","seq":0,"duplicate": true})",
          R"({"stream":"error", "seq":7})", R"({ "seq" : 7, "domain" : "hub", "stream" : "EVENTS" })"})
        EXPECT_EQ(tracker::read_message_answer(stored).error, 0) << stored;
    const auto refused = tracker::read_message_answer(
        R"({"stream":"EVENTS","error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"},"seq":0})");
    EXPECT_EQ(refused.error, 10'054);
    EXPECT_EQ(refused.why, "message size exceeds maximum allowed");
    for (const auto* nonsense : {"", "+OK", "{}", R"({"stream":"EVENTS"})", R"({"stream":"EVENTS","seq":1)", "[1]"})
        EXPECT_THROW(tracker::read_message_answer(nonsense), std::runtime_error) << nonsense;
}

}  // namespace
