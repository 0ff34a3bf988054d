#include <gmock/gmock.h>
#include <spdlog/logger.h>

#include <string>

#include "cmd/service/telemetry/log_records.hpp"
#include "cmd/service/telemetry/request_body.hpp"
#include "lifecycle/lines.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::UnorderedElementsAre;

struct scene {
    std::shared_ptr<log_records> records = std::make_shared<log_records>(spdlog::level::warn, 10);
    spdlog::logger logger{"test", records};

    std::vector<otlp::log_record> logs() {
        batch all;
        records->ring().take(all.bytes, all.ends, 1000, 1 << 20);
        if (all.empty()) return {};
        return otlp::read_logs(joined(envelope(fields{{"service.name", "x"}}), all.bytes)).logs;
    }
};

TEST(LogRecords, haveTheFactsOfTheirLineAsAttributes) {
    scene s;
    lifecycle::lines(s.logger).warn("sink {sink} fails ({failures} times now)", "http", 3);
    const auto all = s.logs();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].body, "sink http fails (3 times now)");
    EXPECT_EQ(all[0].severity, 13U);
    EXPECT_EQ(all[0].severity_text, "warning");
    EXPECT_THAT(all[0].values, UnorderedElementsAre(Pair("sink", "http"), Pair("failures", "3")));
    EXPECT_GT(all[0].time, 1'000'000'000'000'000'000U);
}

TEST(LogRecords, areThoseOfALevelAndAbove) {
    scene s;
    s.logger.info("no");
    s.logger.error("yes");
    s.logger.critical("too");
    const auto all = s.logs();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].severity, 17U);
    EXPECT_EQ(all[1].severity, 21U);
}

TEST(LogRecords, belongToTheSpanOfTheirRequest) {
    scene s;
    const std::array of_request{lifecycle::log_fact("request_id", "abc"),
                                lifecycle::log_fact("trace_id", "0af7651916cd43dd8448eb211c80319c"),
                                lifecycle::log_fact("span_id", "b7ad6b7169203331")};
    lifecycle::lines(&s.logger, of_request).error("failed");
    const auto all = s.logs();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].trace, "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(all[0].span, "b7ad6b7169203331");
    EXPECT_THAT(all[0].values, ElementsAre(Pair("request_id", "abc")));
}

TEST(LogRecords, areUtf8AndNotEndless) {
    scene s;
    s.logger.warn("caf\xE9 " + std::string(100'000, 'x'));
    const auto all = s.logs();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all[0].body.starts_with("caf\xEF\xBF\xBD "));
    EXPECT_LT(all[0].body.size(), 10'000U);
}

TEST(LogRecords, areDroppedAndCountedWhenTheQueueIsFull) {
    scene s;
    for (int nth = 0; nth < 12; ++nth) s.logger.warn("x");
    EXPECT_EQ(s.records->ring().dropped(), 2U);
}

TEST(LogRecords, haveTheReportOfAStopAsAnEvent) {
    scene s;
    s.records->add_report(R"({"exit_code":3})", true);
    const auto all = s.logs();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].event, "shutdown.report");
    EXPECT_EQ(all[0].body, R"({"exit_code":3})");
    EXPECT_EQ(all[0].severity, 17U);
}

}  // namespace
}  // namespace telemetry
