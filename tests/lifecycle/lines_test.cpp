#include "lifecycle/lines.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/sink.h>

#include <memory>
#include <string>
#include <vector>

namespace {

using lifecycle::lines;
using lifecycle::log_fact;
using testing::ElementsAre;

/// Keeps what it is given: the sentence, and "name=value" of each fact.
class keeping_sink final : public spdlog::sinks::sink {
public:
    void log(const spdlog::details::log_msg& message) override {
        sentences.emplace_back(message.payload.data(), message.payload.size());
        facts.clear();
        const auto keep = [this](const log_fact& fact) {
            if (!fact.is_field()) return;
            const bool is_text = fact.what == log_fact::kind::text || fact.what == log_fact::kind::json;
            facts.push_back(std::string(fact.name) + '=' +
                            (is_text ? std::string(fact.text) : std::to_string(fact.integer)));
        };
        const auto said = lifecycle::facts_of_this_line();
        for (const auto& each : said.own) keep(each);
        for (const auto& each : said.of_request) keep(each);
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    std::vector<std::string> sentences, facts;
};

struct Lines : testing::Test {
    std::shared_ptr<keeping_sink> sink = std::make_shared<keeping_sink>();
    spdlog::logger log{"test", sink};
};

TEST_F(Lines, TheSentenceHasEachValueInItsPlaceAndTheSinkEachByItsName) {
    const std::string name = "http";
    lines(log).warn("sink {sink} fails ({failures} times now): {error}", name, 3U, "refused");
    EXPECT_THAT(sink->sentences, ElementsAre("sink http fails (3 times now): refused"));
    EXPECT_THAT(sink->facts, ElementsAre("sink=http", "failures=3", "error=refused"));
}

TEST_F(Lines, AValueWithoutANameAndATextThatIsEmptyAreNoFacts) {
    lines(log).info("{worker} still runs{}{where}", "app-1", " in ", "f()");
    EXPECT_THAT(sink->facts, ElementsAre("worker=app-1", "where=f()"));
    lines(log).info("{worker} still runs{}{where}", "app-1", "", "");
    EXPECT_THAT(sink->facts, ElementsAre("worker=app-1"));
    EXPECT_EQ(sink->sentences.back(), "app-1 still runs");
}

TEST_F(Lines, NumbersKeepTheirSignAndTheirSize) {
    lines(log).info("{a} {b} {c} {d}", -5, std::uint64_t{1} << 63U, true, 0.25);
    EXPECT_EQ(sink->sentences.back(), "-5 9223372036854775808 true 0.25");
}

TEST_F(Lines, WhatIsSaidOfARequestHasItsFactsBehindItsOwn) {
    const std::array of{log_fact("request_id", "d11f"), log_fact("trace_id", "")};
    lines(&log, of).error("{route} failed", "GET /");
    EXPECT_THAT(sink->facts, ElementsAre("route=GET /", "request_id=d11f"));
    EXPECT_EQ(sink->sentences.back(), "GET / failed");
}

TEST_F(Lines, AFactThatTheSentenceHasItselfIsNotThereASecondTime) {
    const std::array of{log_fact("request_id", "d11f"), log_fact("route", "GET /"), log_fact("trace_id", "0af7")};
    lines(&log, of).warn("{route} waits for {error}", "GET /orders", "room");
    EXPECT_THAT(sink->facts, ElementsAre("route=GET /orders", "error=room", "request_id=d11f", "trace_id=0af7"));
}

TEST_F(Lines, ALineWithoutFactsHasNoneOfTheLineBefore) {
    lines(log).info("{sink}", "http");
    log.info("nothing");
    EXPECT_TRUE(sink->facts.empty());
    EXPECT_TRUE(lifecycle::facts_of_this_line().own.empty());
}

TEST_F(Lines, WithoutALoggerOrBelowItsLevelNothingIsMade) {
    lines(nullptr, {}).error("{sink}", "http");
    log.set_level(spdlog::level::warn);
    lines(log).info("{sink}", "http");
    EXPECT_TRUE(sink->sentences.empty());
}

}  // namespace
