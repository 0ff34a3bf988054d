// Telemetry of the program as it is deployed, with real signals: what a receiver has in the end.

#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <map>
#include <set>
#include <string>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"
#include "tests/telemetry/collector.hpp"

namespace integration {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

constexpr const char* traceparent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03\r\n";

std::string to(const collector& receiver) { return "--telemetry.otlp_endpoint=" + receiver.url(); }

std::size_t of_kind(const std::vector<otlp::span>& spans, std::uint64_t kind) {
    return static_cast<std::size_t>(std::ranges::count(spans, kind, &otlp::span::kind));
}

std::set<std::string> phases_of(const boost::json::object& report) {
    std::set<std::string> names;
    for (const auto& phase : report.at("phases").as_array()) names.emplace(phase.at("name").as_string());
    return names;
}

TEST(Telemetry, isNotThereWithoutAnEndpoint) {
    service quiet;
    EXPECT_EQ(quiet.ask(get("/")).status, 200);
    EXPECT_THAT(quiet.ask_debug(get("/metrics")).body, Not(HasSubstr("telemetry_")));
    quiet.begin_stop(SIGTERM);
    EXPECT_EQ(quiet.exit_code(), 0);
    EXPECT_THAT(phases_of(quiet.report()), Not(Contains("telemetry")));
    EXPECT_THAT(quiet.err(), Not(HasSubstr("telemetry")));
}

TEST(Telemetry, hasTheLastRequestsAndTheReportOfTheStop) {
    collector receiver;
    service program({to(receiver), "--telemetry.interval=1h", "--tracker.sink=file"});
    EXPECT_EQ(program.ask(get("/", traceparent)).status, 200);
    EXPECT_EQ(program.ask(get("/nowhere")).status, 404);
    EXPECT_EQ(program.ask(request("POST", "/events", {}, "one")).status, 201);
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_THAT(receiver.faults(), IsEmpty());

    std::map<std::string, otlp::span> by_name;
    for (const auto& span : receiver.spans()) by_name[span.name] = span;
    ASSERT_TRUE(by_name.contains("GET /"));
    EXPECT_EQ(by_name["GET /"].trace, "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(by_name["GET /"].parent, "b7ad6b7169203331");
    EXPECT_EQ(by_name["GET /"].flags, 0x303U) << "-03 stays -03";
    EXPECT_EQ(by_name["GET /"].values["client.address"], "127.0.0.1");
    EXPECT_EQ(by_name["GET"].values["http.response.status_code"], "404");
    EXPECT_FALSE(by_name["GET"].values.contains("http.route"));
    EXPECT_EQ(by_name["POST /events"].values["http.response.status_code"], "201");
    EXPECT_EQ(by_name["deliver file"].values["messaging.batch.message_count"], "1") << "though the tracker stops later";

    std::vector<otlp::log_record> reports;
    for (const auto& log : receiver.logs())
        if (log.event == "shutdown.report") reports.push_back(log);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(boost::json::parse(reports[0].body).at("exit_code").as_int64(), 0);
    EXPECT_THAT(phases_of(program.report()), Contains("telemetry"));
    EXPECT_THAT(program.err(), Not(HasSubstr("are left")));

    std::map<std::string, otlp::metric> metrics;
    for (const auto& metric : receiver.metrics()) metrics[metric.name] = metric;
    EXPECT_EQ(metrics["http.server.request.duration"].points.size(), 3U);
    EXPECT_EQ(metrics["http.server.request.duration"].points.at(0).bounds.size(), 14U);
    EXPECT_TRUE(metrics.contains("http_requests_total"));
    EXPECT_EQ(metrics["http_request_duration_seconds"].type, "histogram");
    EXPECT_TRUE(metrics.contains("process_resident_memory_bytes"));
}

TEST(Telemetry, saysWhoHasAskedForWhatNoHandlerAnswers) {
    collector receiver;
    service program({to(receiver), "--telemetry.interval=1h", "--app.proxy_protocol=true", "--app.threads=1"});
    const std::string first = "PROXY TCP4 192.0.2.1 198.51.100.2 1001 443\r\n";
    const std::string second = "PROXY TCP4 192.0.2.2 198.51.100.2 1002 443\r\n";
    EXPECT_EQ(program.ask(first + get("/")).status, 200);
    EXPECT_EQ(program.ask(second + get("/nowhere")).status, 404);
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    std::map<std::string, otlp::span> by_name;
    for (const auto& span : receiver.spans()) by_name[span.name] = span;
    EXPECT_EQ(by_name["GET /"].values["client.address"], "192.0.2.1");
    EXPECT_EQ(by_name["GET"].values["client.address"], "192.0.2.2");
    EXPECT_EQ(by_name["GET"].values["network.peer.address"], "127.0.0.1");
}

TEST(Telemetry, losesNoSpanOfASigtermUnderLoad) {
    collector receiver;
    service program({to(receiver), "--telemetry.queue_capacity=200000", "--telemetry.flush=10s"});
    support::load load(program.app(), {.connections = 16, .request = [](std::uint64_t) { return get("/"); }});
    load.run([&] { return load.seen().answered > 2'000; }, milliseconds(30'000));
    program.begin_stop(SIGTERM);
    load.run([&] { return load.alive() == 0; }, milliseconds(30'000));
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_EQ(load.seen().lost(), 0U);
    EXPECT_THAT(receiver.faults(), IsEmpty());
    EXPECT_EQ(of_kind(receiver.spans(), 2), load.seen().answered) << "each request once";
    const auto metrics = receiver.metrics();
    std::uint64_t counted = 0;
    for (const auto& metric : metrics)
        if (metric.name == "http.server.request.duration")
            for (const auto& point : metric.points) counted += point.count;
    EXPECT_EQ(counted, load.seen().answered);
}

TEST(Telemetry, stopsWithinItsShareWhenTheReceiverIsSilentAndSaysWhatIsLeft) {
    collector silent([](const auto&, const auto&, std::size_t) {
        return support::scripted_upstream::reply{.bytes = {}, .after = support::scripted_upstream::reply::then::hang};
    });
    service program({to(silent), "--telemetry.interval=1h", "--telemetry.flush=100ms"});
    program.ask(get("/"));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_THAT(program.err(), HasSubstr("telemetry: 1 spans and "));
    EXPECT_THAT(phases_of(program.report()), Contains("telemetry"));
}

TEST(Telemetry, stopsWithADeadReceiverAsWithoutAnyAndSaysWhatIsLeft) {
    std::string nobody;
    {
        collector gone;
        nobody = gone.url();
    }
    service program(
        {"--telemetry.otlp_endpoint=" + nobody, "--telemetry.interval=1h", "--telemetry.metrics_interval=1h"});
    support::load load(program.app(), {.connections = 4, .request = [](std::uint64_t) { return get("/"); }});
    load.run([&] { return load.seen().answered >= 1'000; }, milliseconds(30'000));
    load.finish(milliseconds(30'000));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_THAT(program.err(), HasSubstr("telemetry: traces cannot be sent to " + nobody + "/v1/traces"));
    EXPECT_THAT(program.err(), HasSubstr("telemetry: " + std::to_string(load.seen().answered) + " spans and"));
}

/// A hundred thousand answers on one connection, to requests that are sent many at a time.
void ask_a_hundred_thousand(const service& program) {
    std::string many;
    for (int nth = 0; nth < 500; ++nth) many += get("/");
    auto client = program.connect();
    for (int turn = 0; turn < 200; ++turn) {
        ASSERT_TRUE(client.send(many));
        for (int nth = 0; nth < 500; ++nth) ASSERT_TRUE(client.receive()) << turn << ' ' << nth;
    }
}

/// How long that takes is compared by tests/all/collector. Here: nothing waits for it, and each span is accounted for.
TEST(Telemetry, stopsWithAHundredThousandSpansAndADeadReceiverAfterOneTry) {
    std::atomic<bool> stops{false};
    std::atomic<int> late{0};
    collector dead([&](const auto&, const auto&, std::size_t) {
        late += stops ? 1 : 0;
        return support::scripted_upstream::reply{.bytes = {}, .after = support::scripted_upstream::reply::then::reset};
    });
    service program({to(dead), "--app.threads=1", "--telemetry.queue_capacity=200000", "--telemetry.interval=1h",
                     "--telemetry.metrics_interval=1h", "--shutdown.budget=15s"});
    ask_a_hundred_thousand(program);
    EXPECT_TRUE(eventually([&] { return metric(program, "telemetry_records_waiting{signal=\"traces\"}") == 100'000; }));
    stops = true;
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0) << program.err();
    EXPECT_THAT(program.err(), HasSubstr("telemetry: 100000 spans and "));
    EXPECT_LE(late, 6) << "a try for each signal, once more where a connection was kept";
    EXPECT_EQ(faults(program.report()), "");
}

TEST(Telemetry, obeysTheVariablesOfOpenTelemetry) {
    collector receiver;
    service program({.flags = {"--telemetry.interval=1h"},
                     .environment = {"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.url() + "/base/",
                                     "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b",
                                     "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.name=no,region=x",
                                     "OTEL_TRACES_SAMPLER=Parentbased_Always_Off", "OTEL_EXPORTER_OTLP_TIMEOUT=5000"}});
    program.ask(get("/"));
    program.ask(get("/", traceparent));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_THAT(receiver.faults(), IsEmpty());
    ASSERT_EQ(of_kind(receiver.spans(), 2), 1U) << "only where the caller samples";
    EXPECT_THAT(receiver.resource(), Contains(Pair("service.name", "shop")));
    EXPECT_THAT(receiver.resource(), Contains(Pair("region", "x")));
    EXPECT_EQ(receiver.heads().front().field("api-key"), "a b");
    EXPECT_EQ(receiver.heads().front().path().substr(0, 9), "/base/v1/");
    EXPECT_THAT(program.err(), HasSubstr("traces to " + receiver.url() + "/base/v1/traces, timeout 5000 ms, gzip"));
    EXPECT_THAT(program.err(), Not(HasSubstr("a b")));
}

TEST(Telemetry, takesItsDefaultForAWrongVariableAndDoesNotStartWithAWrongKey) {
    const auto wrong = run_to_end({"--telemetry.otlp_endpoint=collector:4318", "--app.port=0", "--debug.port=0"});
    EXPECT_EQ(wrong.code, 1);
    EXPECT_THAT(wrong.err, HasSubstr("telemetry.otlp_endpoint 'collector:4318': allowed is http://"));
    const auto checked = run_to_end({"--telemetry.otlp_endpoint=collector:4318", "--check-config"});
    EXPECT_EQ(checked.code, 1);

    collector receiver;
    service program({.flags = {to(receiver), "--telemetry.interval=1h"},
                     .environment = {"OTEL_EXPORTER_OTLP_TIMEOUT=2s", "OTEL_TRACES_SAMPLER=sometimes"}});
    program.ask(get("/"));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_EQ(of_kind(receiver.spans(), 2), 1U);
    EXPECT_THAT(program.err(), HasSubstr("OTEL_EXPORTER_OTLP_TIMEOUT '2s'"));
    EXPECT_THAT(program.err(), HasSubstr("OTEL_TRACES_SAMPLER 'sometimes'"));
}

TEST(Telemetry, sendsWarningsAsLogRecords) {
    collector receiver;
    service program({to(receiver), "--telemetry.interval=10ms", "--telemetry.log_level=info"});
    EXPECT_TRUE(eventually([&] { return !receiver.logs().empty(); }));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_THAT(receiver.faults(), IsEmpty());
}

TEST(Telemetry, losesOneSpanForOneThatTheReceiverWillNotHave) {
    collector receiver([](const std::string& path, const otlp::request& asked,
                          std::size_t) -> std::optional<support::scripted_upstream::reply> {
        const bool bad = std::ranges::any_of(asked.spans, [](const auto& span) { return span.name == "GET"; });
        if (path.ends_with("traces") && bad) return answer_of(400, {}, "a bad span");
        return std::nullopt;
    });
    service program({to(receiver), "--telemetry.interval=1h"});
    auto client = program.connect();
    for (int nth = 0; nth < 40; ++nth) client.exchange(get(nth == 17 ? "/nowhere" : "/"));
    program.begin_stop(SIGTERM);
    EXPECT_EQ(program.exit_code(), 0);
    EXPECT_EQ(of_kind(receiver.spans(), 2), 39U);
    EXPECT_THAT(program.err(), HasSubstr("telemetry: 1 traces will not be taken by"));
}

}  // namespace
}  // namespace integration
