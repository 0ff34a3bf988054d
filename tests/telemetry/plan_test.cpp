#include "cmd/service/telemetry/plan.hpp"
#include "configs/program.hpp"

#include <gmock/gmock.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "lifecycle/lines.hpp"
#include "tests/support/process.hpp"

namespace telemetry {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using values = std::map<std::string, std::string>;

/// Of these variables and no others.
plan plan_of(const values& all, const std::string& endpoint = {}) {
    configs::telemetry_options options;
    options.endpoint = endpoint;
    return make_plan(options, [&](const char* name) -> std::optional<std::string> {
        const auto found = all.find(name);
        if (found == all.end() || found->second.empty()) return std::nullopt;
        return found->second;
    });
}
plan plan_of_one(const std::string& name, const std::string& value) {
    return plan_of({{name, value}}, "http://127.0.0.1:4318");
}

/// Keeps of each line its sentence and behind it its facts, " name=value".
struct keeping_sink final : spdlog::sinks::sink {
    void log(const spdlog::details::log_msg& message) override {
        auto& line = lines.emplace_back(message.payload.data(), message.payload.size());
        for (const auto& fact : lifecycle::facts_of_this_line().own)
            line += fmt::format(" {}={}", fact.name,
                                fact.text.empty() ? std::to_string(fact.integer) : std::string(fact.text));
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}
    std::vector<std::string> lines;
};
std::vector<std::string> said_of(const plan& made) {
    const auto kept = std::make_shared<keeping_sink>();
    spdlog::logger log("", kept);
    say(made, log);
    return kept->lines;
}
std::string warning(const plan& made) { return made.warnings.empty() ? std::string() : made.warnings.front(); }

TEST(TelemetryPlan, isEmptyWithoutAnEndpoint) {
    EXPECT_FALSE(plan_of({}));
    EXPECT_FALSE(plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", ""}, {"OTEL_SERVICE_NAME", "shop"}}));
}

TEST(TelemetryPlan, addsThePathOfEachSignalToTheEndpointForAll) {
    const auto made = plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"}});
    EXPECT_EQ(made.traces->url, "http://c:4318/v1/traces");
    EXPECT_EQ(made.metrics->url, "http://c:4318/v1/metrics");
    EXPECT_EQ(made.logs->url, "http://c:4318/v1/logs");
    EXPECT_EQ(plan_of_one("X", "").traces->url, "http://127.0.0.1:4318/v1/traces");
    for (const auto& [base, url] : {std::pair("http://c/", "http://c/v1/traces"),
                                    {"http://c/a", "http://c/a/v1/traces"},
                                    {"http://c/a/", "http://c/a/v1/traces"},
                                    {"https://c/a?k=v", "https://c/a/v1/traces?k=v"}})
        EXPECT_EQ(plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", base}}).traces->url, url);
}

TEST(TelemetryPlan, takesTheEndpointOfOneSignalAsItIs) {
    const auto made = plan_of({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:4318"}});
    EXPECT_EQ(made.traces->url, "http://t:4318");
    EXPECT_FALSE(made.metrics) << "nobody has said where they go";
    EXPECT_EQ(plan_of({{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://l/x"}}, "http://c").logs->url, "http://l/x");
}

TEST(TelemetryPlan, prefersOurOwnKeyToTheVariableForAllProgramsOfAMachine) {
    EXPECT_EQ(plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://other"}}, "http://own").traces->url,
              "http://own/v1/traces");
}

TEST(TelemetryPlan, refusesAWrongKeyOfOursAndWarnsOfAWrongVariable) {
    for (const auto* wrong : {"c:4318", "grpc://c:4317", "http://", "http://user:secret@c", "http://c:0"}) {
        try {
            plan_of({}, wrong);
            ADD_FAILURE() << wrong;
        } catch (const std::runtime_error& refused) {
            EXPECT_THAT(refused.what(),
                        testing::AllOf(HasSubstr("telemetry.otlp_endpoint"), testing::Not(HasSubstr("secret"))));
        }
        const auto made = plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", wrong}});
        EXPECT_THAT(warning(made), HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT")) << wrong;
        EXPECT_THAT(warning(made), testing::Not(HasSubstr("secret")));
        EXPECT_EQ(made.traces->url, "http://localhost:4318/v1/traces") << "the default of the specification";
    }
}

TEST(TelemetryPlan, isOffOnlyByTheWordTrue) {
    for (const auto* word : {"true", "TRUE", "True"}) EXPECT_FALSE(plan_of_one("OTEL_SDK_DISABLED", word)) << word;
    EXPECT_TRUE(plan_of_one("OTEL_SDK_DISABLED", "false"));
    for (const auto* word : {"1", "yes"}) {
        const auto made = plan_of_one("OTEL_SDK_DISABLED", word);
        EXPECT_TRUE(made) << word;
        EXPECT_THAT(warning(made), HasSubstr("OTEL_SDK_DISABLED"));
    }
}

TEST(TelemetryPlan, leavesOutASignalWhoseExporterIsNone) {
    EXPECT_FALSE(plan_of_one("OTEL_METRICS_EXPORTER", "none").metrics);
    EXPECT_TRUE(plan_of_one("OTEL_METRICS_EXPORTER", "prometheus").metrics);
}

TEST(TelemetryPlan, readsHeadersAsBaggageIsWritten) {
    const auto made = plan_of_one("OTEL_EXPORTER_OTLP_HEADERS", " Api-Key = b%20c%2Cd ,x=a=b, empty=,bad,q=%zz");
    EXPECT_THAT(made.traces->headers,
                ElementsAre(Pair("api-key", "b c,d"), Pair("x", "a=b"), Pair("empty", ""), Pair("q", "%zz")));
    EXPECT_THAT(warning(made), HasSubstr("OTEL_EXPORTER_OTLP_HEADERS: '***' is left out")) << "it may be a value";
    const auto own =
        plan_of({{"OTEL_EXPORTER_OTLP_HEADERS", "a=1"}, {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"}}, "http://c");
    EXPECT_THAT(own.traces->headers, ElementsAre(Pair("b", "2"))) << "in the place of the others";
    EXPECT_THAT(own.logs->headers, ElementsAre(Pair("a", "1")));
}

TEST(TelemetryPlan, takesNoHeaderThatWouldBeAnotherRequest) {
    for (const auto* bad :
         {"a=x%0d%0aHost: evil", "a b=c", "content-length=5", "Host=evil", "transfer-encoding=chunked"}) {
        const auto made = plan_of_one("OTEL_EXPORTER_OTLP_HEADERS", bad);
        EXPECT_THAT(made.traces->headers, IsEmpty()) << bad;
        EXPECT_FALSE(made.warnings.empty()) << bad;
    }
}

TEST(TelemetryPlan, readsTimeoutsAsMillisecondsAndSaysWhatItHasUnderstood) {
    const auto made = plan_of_one("OTEL_EXPORTER_OTLP_TIMEOUT", "10");
    EXPECT_EQ(made.traces->timeout.count(), 10);
    EXPECT_THAT(said_of(made), Contains(HasSubstr("timeout 10 ms")));
    EXPECT_EQ(plan_of_one("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "7").logs->timeout.count(), 10'000);
    for (const auto* wrong : {"2s", "-1", "0", "1.5", "99999999999999999999"}) {
        const auto other = plan_of_one("OTEL_EXPORTER_OTLP_TIMEOUT", wrong);
        EXPECT_EQ(other.traces->timeout.count(), 10'000) << wrong;
        EXPECT_THAT(warning(other), HasSubstr("milliseconds")) << wrong;
    }
}

TEST(TelemetryPlan, compressesByGzipOrNotAtAll) {
    EXPECT_TRUE(plan_of_one("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip").logs->gzip);
    EXPECT_FALSE(plan_of_one("OTEL_EXPORTER_OTLP_COMPRESSION", "none").logs->gzip);
    const auto made = plan_of_one("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd");
    EXPECT_FALSE(made.traces->gzip);
    EXPECT_THAT(warning(made), HasSubstr("zstd"));
}

TEST(TelemetryPlan, knowsTheSamplersOfTheSpecification) {
    const auto of = [](const std::string& name, const std::string& argument = {}) {
        return plan_of({{"OTEL_TRACES_SAMPLER", name}, {"OTEL_TRACES_SAMPLER_ARG", argument}}, "http://c");
    };
    EXPECT_TRUE(of("").sampling.by_parent);
    EXPECT_FALSE(of("Always_On").sampling.by_parent) << "in any case of letters";
    EXPECT_FALSE(of("always_off").sampling.samples(true, true, 1));
    EXPECT_TRUE(of("parentbased_always_off").sampling.samples(true, true, 1));
    EXPECT_FALSE(of("parentbased_always_off").sampling.samples(false, false, 1));
    EXPECT_FALSE(of("parentbased_always_on").sampling.samples(true, false, 1));
    EXPECT_TRUE(of("always_on").sampling.samples(true, false, 1));
    const auto half = of("parentbased_traceidratio", "0.5").sampling;
    EXPECT_TRUE(half.samples(false, false, 0x7fff'ffff'ffff'ffff));
    EXPECT_FALSE(half.samples(false, false, 0x8000'0000'0000'0000));
    EXPECT_TRUE(half.samples(true, true, 0xffff'ffff'ffff'ffff)) << "the parent has decided";
    EXPECT_TRUE(of("traceidratio", "1").sampling.samples(false, false, UINT64_MAX));
    EXPECT_FALSE(of("traceidratio", "0").sampling.samples(false, false, 0));
    for (const auto* wrong : {"x", "7", "-0.1", "nan"}) {
        EXPECT_EQ(of("traceidratio", wrong).sampling.fraction, 1) << wrong;
        EXPECT_THAT(warning(of("traceidratio", wrong)), HasSubstr("from 0 to 1")) << wrong;
    }
    EXPECT_THAT(warning(of("sometimes")), HasSubstr("parentbased_always_on is taken"));
    EXPECT_TRUE(of("sometimes").sampling.by_parent);
}

TEST(TelemetryPlan, namesTheServiceByItsVariableAboveTheAttributes) {
    const auto made = plan_of({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=p%20q,bad"},
                               {"OTEL_SERVICE_NAME", "shop"}},
                              "http://c");
    EXPECT_THAT(made.resource, Contains(Pair("service.name", "shop")));
    EXPECT_THAT(made.resource, Contains(Pair("deployment.environment.name", "p q")));
    EXPECT_THAT(made.resource, Contains(Pair("telemetry.sdk.language", "cpp")));
    EXPECT_THAT(warning(made), HasSubstr("OTEL_RESOURCE_ATTRIBUTES"));
    EXPECT_THAT(plan_of({}, "http://c").resource, Contains(Pair("service.name", configs::this_program().name)));
    values named;
    for (const auto& [name, value] : made.resource) EXPECT_TRUE(named.emplace(name, value).second) << name;
    EXPECT_NE(named["service.instance.id"], "");
}

TEST(TelemetryPlan, saysNoSecretAtTheStart) {
    const auto made = plan_of({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=topsecret"},
                               {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/?key=topsecret"}});
    for (const auto& line : said_of(made)) EXPECT_THAT(line, testing::Not(HasSubstr("topsecret")));
    EXPECT_THAT(said_of(made), Contains(HasSubstr("1 header fields")));
}

TEST(TelemetryPlan, hasAFieldForEachFactThatItSaysAtTheStart) {
    const auto lines = said_of(plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"},
                                        {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"},
                                        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"},
                                        {"OTEL_LOGS_EXPORTER", "none"},
                                        {"OTEL_SERVICE_NAME", "shop"},
                                        {"OTEL_TRACES_SAMPLER", "traceidratio"},
                                        {"OTEL_TRACES_SAMPLER_ARG", "0.5"}}));
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0],
              "telemetry: traces to http://c:4318/v1/traces, timeout 10000 ms, gzip, 1 header fields "
              "signal=traces url=http://c:4318/v1/traces timeout_ms=10000 compression=gzip headers=1");
    EXPECT_THAT(lines[1], HasSubstr(" signal=metrics url=http://c:4318/v1/metrics timeout_ms=10000 "
                                    "compression=not compressed headers=1"));
    EXPECT_THAT(lines[2],
                testing::AllOf(HasSubstr(" sampler=traceidratio 0.5 "), HasSubstr("resource=service.name=shop")));
    EXPECT_THAT(said_of(plan_of_one("OTEL_SDK_DISABLED", "true")), ElementsAre("telemetry: off, by OTEL_SDK_DISABLED"));
}

TEST(TelemetryPlan, warnsOnceOfAVariableThatIsForAllSignals) {
    for (const auto& [name, value] : {std::pair("TIMEOUT", "2s"),
                                      {"HEADERS", "bad"},
                                      {"CERTIFICATE", "/nowhere/ca.pem"},
                                      {"COMPRESSION", "zstd"},
                                      {"PROTOCOL", "grpc"}}) {
        const auto made = plan_of_one(std::string("OTEL_EXPORTER_OTLP_") + name, value);
        EXPECT_EQ(made.warnings.size(), 1U) << name;
        EXPECT_THAT(said_of(made).front(), HasSubstr(" warning=OTEL_EXPORTER_OTLP_" + std::string(name)));
    }
    EXPECT_EQ(plan_of({{"OTEL_EXPORTER_OTLP_ENDPOINT", "c:4318"}}).warnings.size(), 1U);
}

TEST(TelemetryPlan, saysNoSecretOfAHeaderThatItDoesNotTake) {
    for (const auto* wrong : {"authorization: topsecret", "Bearer topsecret=", "Host=topsecret"}) {
        const auto made = plan_of_one("OTEL_EXPORTER_OTLP_HEADERS", wrong);
        ASSERT_FALSE(made.warnings.empty()) << wrong;
        for (const auto& line : made.warnings) EXPECT_THAT(line, testing::Not(HasSubstr("topsecret")));
    }
    EXPECT_THAT(warning(plan_of_one("OTEL_EXPORTER_OTLP_HEADERS", "Host=topsecret")), HasSubstr("'Host'"));
}

TEST(TelemetryPlan, trustsTheSystemWhereACertificateCannotBeRead) {
    const auto made = plan_of_one("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem");
    EXPECT_EQ(made.traces->ca, "");
    EXPECT_THAT(warning(made), HasSubstr("'/nowhere/ca.pem' is as if it were not set: it cannot be read"));
}

TEST(TelemetryPlan, warnsOfACertificateThatIsNoneAndTakesItsDefault) {
    const support::temporary_directory place;
    const auto file = (place.path() / "nonsense.pem").string();
    support::write_file(file, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    for (const auto& bad : {file, place.path().string()}) {
        const auto made = plan_of_one("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", bad);
        EXPECT_EQ(made.traces->ca, "") << bad;
        ASSERT_EQ(made.warnings.size(), 1U) << bad;
        EXPECT_THAT(warning(made), HasSubstr("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE '" + bad + "' is as if"));
        const auto own =
            plan_of({{"OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", bad}, {"OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", bad}},
                    "https://c");
        EXPECT_EQ(own.logs->certificate + own.logs->key, "") << bad;
        EXPECT_THAT(warning(own), HasSubstr("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE '" + bad + "'"));
    }
    EXPECT_THAT(warning(plan_of_one("OTEL_EXPORTER_OTLP_CLIENT_KEY", file)), HasSubstr("go together"));
}

}  // namespace
}  // namespace telemetry
