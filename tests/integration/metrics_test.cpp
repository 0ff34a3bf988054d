// What a Prometheus server finds at /metrics of the real binary.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <set>
#include <sstream>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

std::string scrape(const service& service) { return service.ask_debug(get("/metrics")).body; }

/// What `promtool check metrics` has to say of it; none where there is no promtool. It reads a file: a pipe whose
/// reader is not there, or goes early, would be this program's end by SIGPIPE.
std::optional<std::string> promtool(const std::string& text) {
    const support::temporary_directory folder;
    const auto scraped = folder.path() / "scraped", said = folder.path() / "said";
    support::write_file(scraped, text);
    const int status =
        std::system(fmt::format("promtool check metrics <'{}' >'{}' 2>&1", scraped.string(), said.string()).c_str());
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return std::nullopt;
    return status == 0 ? support::read_file(said) : fmt::format("status {}: {}", status, support::read_file(said));
}

/// The series of a scrape: what stands before each value.
std::set<std::string> series(const std::string& text) {
    std::set<std::string> names;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (!line.starts_with('#')) names.insert(line.substr(0, line.rfind(' ')));
    return names;
}

void make_traffic(const service& service) {
    for (const char* target : {"/", "/slow?ms=1", "/slow?ms=x", "/big?bytes=100000", "/nowhere", "/livez"})
        service.ask(get(target));
    service.ask(post("metrics-1"));
    service.ask(request("POST", "/echo", {}, "hello"));
    service.ask(request("DELETE", "/echo"));
    service.ask(request("BREW", "/"));  // no method of HTTP: a class of status and a rule of its own
}

TEST(Metrics, PromtoolHasNothingToSay) {
    service service({"--shutdown.lame_duck=10s", "--shutdown.budget=30s"});
    make_traffic(service);
    auto waiting = service.connect();
    waiting.send(get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    const auto serving = promtool(scrape(service));
    if (!serving) GTEST_SKIP() << "promtool is not installed (scripts/setup ci)";
    EXPECT_EQ(*serving, "");
    EXPECT_NE(promtool("requests_total 1\n"), "") << "it must be able to complain";
    service.begin_stop(SIGTERM);
    EXPECT_EQ(promtool(scrape(service)), "");
}

TEST(Metrics, EveryPromisedFamilyHasHelpAndType) {
    const service service;
    make_traffic(service);
    const auto text = scrape(service);
    for (const char* family : {"http_requests_total counter",
                               "http_request_duration_seconds histogram",
                               "http_requests_in_flight gauge",
                               "http_requests_refused_total counter",
                               "http_connections gauge",
                               "http_connections_accepted_total counter",
                               "loop_lag_seconds histogram",
                               "tracker_events_accepted_total counter",
                               "tracker_events_delivered_total counter",
                               "tracker_events_spooled_total counter",
                               "tracker_events_dropped_total counter",
                               "tracker_events_recovered_total counter",
                               "tracker_stranded_events gauge",
                               "tracker_queue_depth gauge",
                               "tracker_queue_capacity gauge",
                               "build_info gauge",
                               "curfew_build_info gauge",
                               "shutdown_phase gauge",
                               "shutdown_eta_seconds gauge",
                               "process_cpu_seconds_total counter",
                               "process_open_fds gauge",
                               "process_max_fds gauge",
                               "process_virtual_memory_bytes gauge",
                               "process_virtual_memory_max_bytes gauge",
                               "process_resident_memory_bytes gauge",
                               "process_start_time_seconds gauge",
                               "process_threads gauge"}) {
        EXPECT_THAT(text, HasSubstr(fmt::format("# TYPE {}\n", family)));
        const std::string name(family, std::string_view(family).find(' '));
        EXPECT_THAT(text, HasSubstr(fmt::format("# HELP {} ", name)));
        if (name != "tracker_events_dropped_total") {  // nothing has been
            EXPECT_THAT(text, testing::ContainsRegex('\n' + name + "(_bucket)?[ {]"));
        }
    }
}

TEST(Metrics, EachRouteHasItsRateItsErrorsAndItsDurations) {
    const service service;
    make_traffic(service);
    const auto text = scrape(service);
    for (const char* line : {"http_requests_total{server=\"app\",route=\"GET /slow\",code=\"2xx\"} 1\n",
                             "http_requests_total{server=\"app\",route=\"GET /slow\",code=\"4xx\"} 1\n",
                             "http_requests_total{server=\"app\",route=\"POST /events\",code=\"2xx\"} 1\n",
                             "http_requests_total{server=\"app\",route=\"unmatched\",code=\"4xx\"} 2\n",
                             "http_request_duration_seconds_count{server=\"app\",route=\"GET /slow\"} 2\n",
                             "http_request_duration_seconds_bucket{server=\"app\",route=\"GET /slow\",le=\"+Inf\"} 2\n",
                             "tracker_events_accepted_total 1\n", "tracker_queue_capacity 4096\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(Metrics, EachRouteHasItsExactStatuses) {
    const service service;
    make_traffic(service);
    const auto text = scrape(service);
    for (const char* line : {"http_responses_total{server=\"app\",route=\"GET /slow\",code=\"200\"} 1\n",
                             "http_responses_total{server=\"app\",route=\"GET /slow\",code=\"400\"} 1\n",
                             "http_responses_total{server=\"app\",route=\"POST /events\",code=\"201\"} 1\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

TEST(Metrics, WhoeverAsksForOpenMetricsHasThemWithTheTraceOfASampledRequest) {
    const service service;
    const std::string trace = "0af7651916cd43dd8448eb211c80319c";
    for (const auto* flags : {"-01", "-00"})
        service.ask(get("/", "traceparent: 00-" + trace + "-b7ad6b7169203331" + flags + "\r\n"));
    make_traffic(service);
    const auto answer =
        service.ask_debug(get("/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n"));
    EXPECT_EQ(answer.header("Content-Type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    EXPECT_TRUE(answer.body.ends_with("\n# EOF\n"));
    const auto exemplar = " # {trace_id=\"" + trace + "\"} ";
    ASSERT_THAT(answer.body, HasSubstr(exemplar));
    EXPECT_EQ(answer.body.find(exemplar), answer.body.rfind(exemplar)) << "of what is not sampled there is none";
    EXPECT_THAT(answer.body, HasSubstr("# TYPE http_requests counter\n"));
    EXPECT_EQ(scrape(service).find(trace), std::string::npos) << "the other format has no place for it";
}

TEST(Metrics, WhoeverAsksForProtocolBuffersHasEachFamilyThatTheTextHas) {
    const service service;
    make_traffic(service);
    const auto answer = service.ask_debug(
        get("/metrics",
            "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
            "application/openmetrics-text;version=1.0.0;q=0.5\r\n"));
    EXPECT_EQ(answer.header("Content-Type"),
              "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
    std::istringstream text(scrape(service));
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        std::string hash, what, name;
        words >> hash >> what >> name;
        if (hash != "#" || what != "TYPE") continue;
        EXPECT_THAT(answer.body, HasSubstr(static_cast<char>(name.size()) + name)) << "its length and itself";
    }
}

TEST(Metrics, ConnectionsAreCountedByTheirState) {
    const service service;
    const auto in = [&](const char* state) {
        return metric(service, fmt::format("http_connections{{server=\"app\",state=\"{}\"}}", state));
    };
    auto idle = service.connect(), head = service.connect(), body = service.connect(), handling = service.connect();
    ASSERT_EQ(idle.exchange(get("/"))->status, 200);
    head.send("GET / HT");
    body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    handling.send(get("/slow?ms=60000"));
    for (const char* state : {"idle", "reading head", "reading body", "handling"})
        EXPECT_TRUE(eventually([&] { return in(state) == 1; })) << state << "\n" << scrape(service);
    EXPECT_EQ(metric(service, "http_requests_in_flight{server=\"app\",route=\"GET /slow\"}"), 1);
    EXPECT_EQ(in("streaming"), 0);
}

TEST(Metrics, NoMethodAndNoPathMakesANewSeries) {
    const service service;
    make_traffic(service);
    const auto before = series(scrape(service));
    auto connection = service.connect();
    for (int nth = 0; nth < 300; ++nth) {
        const auto method = nth % 3 == 0 ? fmt::format("METHOD{}", nth) : nth % 3 == 1 ? "GET" : "PROPFIND";
        const auto target = fmt::format("/{}/%22{}%0a?q={}", nth, std::string(static_cast<std::size_t>(nth), 'x'), nth);
        const auto answer = connection.exchange(
            fmt::format("{} {} HTTP/1.1\r\nHost: h{}.example\r\nUser-Agent: a{}\r\n\r\n", method, target, nth, nth));
        if (!answer || answer->closes()) connection = service.connect();
    }
    const auto after = series(scrape(service));
    for (const auto& each : after)
        EXPECT_TRUE(before.contains(each) || each.find("route=\"unmatched\"") != each.npos) << each;
    EXPECT_LE(after.size(), before.size() + 2) << "other classes of status for what no route answers";
    EXPECT_LT(after.size(), 300U);
}

TEST(Metrics, ShowThePhaseOfAStop) {
    service service({"--shutdown.lame_duck=10s", "--shutdown.budget=30s"});
    EXPECT_EQ(metric(service, "shutdown_phase{phase=\"serving\"}"), 1);
    EXPECT_EQ(metric(service, "shutdown_phase{phase=\"lame_duck\"}"), 0);
    EXPECT_GE(metric(service, "shutdown_eta_seconds"), 10) << "the lame duck is part of it";
    ASSERT_EQ(service.ask_debug(request("POST", "/debug/shutdown")).status, 202);
    EXPECT_TRUE(eventually([&] { return metric(service, "shutdown_phase{phase=\"lame_duck\"}") == 1; }));
    EXPECT_EQ(metric(service, "shutdown_phase{phase=\"serving\"}"), 0);
}

TEST(Metrics, AScrapeConnectionNeverHoldsADrain) {
    service service;
    client idle(service.debug()), half(service.debug()), unread(service.debug(), milliseconds(20'000), 4096);
    ASSERT_EQ(idle.exchange(get("/metrics"))->status, 200);
    half.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    for (int nth = 0; nth < 200; ++nth) unread.send(get("/metrics"));
    const auto since = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(support::in_time(service.lasted(since), milliseconds(900)))
        << "less than the idle grace, which is for the app's clients";
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "connections", "open_at_stop"), 0) << "they count in nothing of the stop";
}

}  // namespace
}  // namespace integration
