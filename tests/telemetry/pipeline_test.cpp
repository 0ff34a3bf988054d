#include "cmd/service/telemetry/pipeline.hpp"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>

#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "server/exchange.hpp"
#include "server/metrics.hpp"
#include "tests/support/eventually.hpp"
#include "tests/telemetry/decode.hpp"
#include "tests/telemetry/joined.hpp"

namespace telemetry {
namespace {

namespace http = server::http;
using lifecycle::clock;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// A pipeline whose receiver is a function of the test: it stores what it says 200 to.
struct scene {
    explicit scene(std::size_t capacity = 10'000) {
        options.queue_capacity = capacity;
        options.interval = 1h;
        options.metrics_interval = 1h;
        options.flush = 1h;
        make();
        route.name = "GET /";
        asked.method = http::verb::get;
        asked.method_name = "GET";
        asked.target = asked.path = "/";
        row.to = &route;
        row.digit = 2;
        row.of = &asked;
        row.since = clock::now();
    }

    /// By `options` as they are now.
    void make() {
        plan plan;
        plan.traces = destination{.url = "http://c/v1/traces"};
        plan.metrics = plan.traces;
        plan.metrics->url = "http://c/v1/metrics";
        plan.logs = plan.traces;
        plan.logs->url = "http://c/v1/logs";
        plan.resource = {{"service.name", "x"}};
        whole.emplace(std::move(plan), options, part, logger,
                      [this](const destination& to, const tracker::deadline_function&) {
                          return [this, url = to.url](const body_pieces& body) { return answer(url, joined(body)); };
                      });
        observer = whole->observer();
    }

    reply answer(const std::string& url, const std::string& body) {
        const std::scoped_lock lock(mutex);
        ++posts;
        if (status != 200) return {.status = status, .body = {}, .error = status == 0 ? "refused" : ""};
        if (url.ends_with("traces")) {
            const auto got = otlp::read_traces(body).spans;
            largest = std::max(largest, got.size());
            spans.insert(spans.end(), got.begin(), got.end());
        }
        if (url.ends_with("metrics")) {
            metrics = otlp::read_metrics(body).metrics;
            seen(metrics);
        }
        if (url.ends_with("logs")) {
            const auto got = otlp::read_logs(body).logs;
            logs.insert(logs.end(), got.begin(), got.end());
        }
        return {.status = 200};
    }
    void ask(std::size_t times = 1) {
        for (std::size_t nth = 0; nth < times; ++nth) {
            asked.trace = {};
            observer->begin(asked, false);
            observer->end(row);
        }
    }
    std::size_t stored() {
        const std::scoped_lock lock(mutex);
        return spans.size();
    }
    /// The part, from its start until it has been asked to stop.
    template <class During>
    void run(const During& during) {
        std::jthread thread([this](std::stop_token token) { whole->run(std::move(token)); });
        during();
    }

    std::function<void(const std::vector<otlp::metric>&)> seen = [](const auto&) {};
    std::mutex mutex;
    unsigned status = 200;
    std::size_t posts = 0, largest = 0;
    std::vector<otlp::span> spans;
    std::vector<otlp::metric> metrics;
    std::vector<otlp::log_record> logs;
    std::ostringstream log;
    spdlog::logger logger{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)};
    lifecycle::stop_channel stop{lifecycle::shutdown_options{}};
    lifecycle::part part = stop.add_part("telemetry", 1s);
    configs::telemetry_options options;
    std::optional<pipeline> whole;
    std::unique_ptr<server::request_observer> observer;
    server::route route;
    server::request asked;
    server::answer_row row;
};

TEST(TelemetryPipeline, sendsABatchAsSoonAsItIsWhole) {
    scene s;
    s.run([&] {
        s.ask(512);
        EXPECT_TRUE(support::eventually([&] { return s.stored() == 512; }));
    });
    EXPECT_EQ(s.stored(), 512U);
}

TEST(TelemetryPipeline, sendsAtTheStopWhatIsLeftInRequestsOfABatch) {
    scene s;
    s.ask(1300);
    s.whole->others()->delivered("file", 3, clock::now(), "disk full");
    s.run([] {});
    EXPECT_EQ(s.stored(), 1301U);
    EXPECT_LE(s.largest, 512U);
    EXPECT_EQ(s.spans.back().name, "deliver file");
    EXPECT_EQ(s.spans.back().message, "disk full");
    EXPECT_EQ(s.spans.back().values.at("messaging.batch.message_count"), "3");
    EXPECT_FALSE(s.metrics.empty()) << "and the last metrics";
    s.whole->finish(R"({"exit_code":0})", false, clock::now() + 1h);
    ASSERT_EQ(s.logs.size(), 1U);
    EXPECT_EQ(s.logs[0].event, "shutdown.report");
    EXPECT_EQ(s.log.str(), "");
}

TEST(TelemetryPipeline, sendsTheSpansThatComeAfterItsEndWithTheReport) {
    scene s;
    s.run([] {});
    s.whole->others()->delivered("file", 1, clock::now(), {});
    s.whole->finish("{}", false, clock::now() + 1h);
    EXPECT_EQ(s.stored(), 1U);
}

TEST(TelemetryPipeline, triesADeadReceiverOnceAtTheStopAndSaysWhatIsLeft) {
    scene s(200'000);
    s.status = 0;
    s.ask(100'000);
    s.whole->logs()->add_report("{}", false);
    std::stop_source stop;
    stop.request_stop();  // before its first turn, which would try too
    s.whole->run(stop.get_token());
    EXPECT_LE(s.posts, 3U) << "one try a signal";
    const auto posts = s.posts;
    s.whole->finish("{}", false, clock::now() + 1h);
    EXPECT_EQ(s.posts, posts) << "and no more";
    EXPECT_THAT(s.log.str(), HasSubstr("telemetry: 100000 spans and 2 log records are left: refused"));
}

TEST(TelemetryPipeline, saysWhatIsLeftOfAStopThatHasNoTime) {
    scene s;
    s.ask(3);
    s.whole->finish("{}", true, clock::now());
    EXPECT_THAT(s.log.str(), HasSubstr("3 spans and 1 log records are left: no time was left"));
}

TEST(TelemetryPipeline, countsWhatBecameOfEachRecord) {
    scene s(100);
    s.ask(130);
    s.run([] {});
    server::metrics_text text;
    s.whole->write_metrics(text);
    const auto all = text.take();
    EXPECT_THAT(all, HasSubstr("telemetry_records_sent_total{signal=\"traces\"} 100\n"));
    EXPECT_THAT(all, HasSubstr("telemetry_records_dropped_total{signal=\"traces\"} 30\n"));
    EXPECT_THAT(all, HasSubstr("telemetry_records_waiting{signal=\"traces\"} 0\n"));
}

TEST(TelemetryPipeline, countsFromOneStartInAllItsLife) {
    scene s;
    s.options.metrics_interval = 5ms;
    s.make();
    std::set<std::uint64_t> starts, counts;
    s.seen = [&](const std::vector<otlp::metric>& metrics) {
        for (const auto& metric : metrics)
            for (const auto& point : metric.points) {
                starts.insert(point.start);
                counts.insert(point.count);
            }
    };
    s.run([&] {
        for (std::size_t nth = 1; nth <= 3; ++nth) {
            s.ask();
            EXPECT_TRUE(support::eventually([&] {
                const std::scoped_lock lock(s.mutex);
                return counts.contains(nth);
            })) << "added up, not since the last time: "
                << nth;
        }
    });
    EXPECT_EQ(starts.size(), 1U);
}

TEST(TelemetryPipeline, sendsTheMetricsThatStandUnderTheirNames) {
    scene s;
    s.whole->measure_by([] { return std::string("# HELP a_total x\n# TYPE a_total counter\na_total 7\n"); });
    s.ask(2);
    s.run([] {});
    std::map<std::string, double> values;
    for (const auto& metric : s.metrics)
        values[metric.name] =
            metric.points.at(0).count > 0 ? static_cast<double>(metric.points.at(0).count) : metric.points.at(0).value;
    EXPECT_EQ(values, (std::map<std::string, double>{{"http.server.request.duration", 2}, {"a_total", 7}}));
}

}  // namespace
}  // namespace telemetry
