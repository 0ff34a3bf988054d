// The command line and the settings: what stops a start, and what it says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string> free_ports = {"--app.address=127.0.0.1", "--app.port=0", "--debug.port=0"};

std::vector<std::string> with(std::vector<std::string> more) {
    more.insert(more.end(), free_ports.begin(), free_ports.end());
    return more;
}

void expect_refusal(const outcome& result, const std::vector<std::string>& words) {
    EXPECT_EQ(result.code, 1) << result.err;
    EXPECT_EQ(result.err_lines, 1U) << result.err;
    EXPECT_EQ(result.out, "");
    for (const auto& word : words) EXPECT_THAT(result.err, HasSubstr(word));
}

TEST(Settings, AWrongValueNamesKeyPlaceAndWhatIsAllowed) {
    expect_refusal(run_to_end(with({"--app.max_in_flight=many"})),
                   {"app.max_in_flight", "--app.max_in_flight", "many"});
    expect_refusal(run_to_end(with({"--app.header_timeout=5"})), {"app.header_timeout", "5"});
    expect_refusal(run_to_end(with({"--tracker.overflow=panic"})), {"tracker.overflow", "panic", "drop_oldest"});
    expect_refusal(run_to_end({"--app.port=70000", "--debug.port=0"}), {"app.port", "70000", "65535"});
    expect_refusal(run_to_end(free_ports, {"SERVICE_LOG_LEVEL=loud"}), {"log.level", "SERVICE_LOG_LEVEL", "loud"});
    expect_refusal(run_to_end(with({"--config=a.toml"}), {}, {{"a.toml", "[log]\n\nformat = \"xml\"\n"}}),
                   {"log.format", "a.toml:3", "xml", "json"});
    expect_refusal(run_to_end({"--app.address=localhost", "--app.port=0", "--debug.port=0"}),
                   {"app.address", "localhost"});
}

TEST(Settings, AnUnknownKeyIsNamedWithItsLine) {
    expect_refusal(run_to_end(with({"--config=a.toml"}), {}, {{"a.toml", "[app]\nprot = 8080\n"}}),
                   {"app.prot", "a.toml:2"});
}

TEST(Settings, AnUnknownFlagIsNamed) { expect_refusal(run_to_end(with({"--app.prot=8080"})), {"--app.prot"}); }

TEST(Settings, AFileThatCannotBeReadIsNamed) {
    expect_refusal(run_to_end(with({"--config=missing.toml"})), {"missing.toml"});
    expect_refusal(run_to_end(with({"--config=a.toml"}), {}, {{"a.toml", "[app\n"}}), {"a.toml:1"});
}

TEST(Settings, EveryFaultHasALineOfItsOwn) {
    const auto result = run_to_end(with({"--config=a.toml", "--log.level=loud"}), {"SERVICE_LOG_FORMAT=xml"},
                                   {{"a.toml", "[app]\nprot = 8080\n"}});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err_lines, 3U) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("app.prot"), HasSubstr("log.level"), HasSubstr("log.format")));
}

TEST(Settings, ABudgetThatDoesNotFitIsRefused) {
    expect_refusal(run_to_end(with({"--shutdown.budget=2s"})), {"shutdown.budget"});
}

TEST(Settings, ABusyPortIsOneLine) {
    const service first;
    const auto app = std::to_string(first.app().port);
    const auto debug = std::to_string(first.debug().port);
    const auto result = run_to_end({"--app.address=127.0.0.1", "--app.port=" + app, "--debug.port=0"});
    EXPECT_EQ(result.code, 1);
    EXPECT_THAT(result.err, HasSubstr(app));
    expect_refusal(run_to_end({"--app.address=127.0.0.1", "--app.port=" + app, "--debug.port=0"}), {app});
    expect_refusal(run_to_end({"--app.address=127.0.0.1", "--app.port=0", "--debug.port=" + debug}), {debug});
    EXPECT_EQ(first.ask(get("/")).status, 200);
}

TEST(Settings, ADirectoryThatCannotBeWrittenIsOneLine) {
    // Below a file, where root cannot write either.
    expect_refusal(run_to_end(with({"--tracker.directory=file/events"}), {}, {{"file", "x"}}), {"file/events"});
}

TEST(Settings, TheLaterPlaceWins) {
    const std::vector<std::pair<std::string, std::string>> file = {
        {"a.toml", "[app]\nmax_in_flight = 11\nmax_connections = 12\nmax_headers = 13\n"}};
    const auto result = run_to_end({"--config=a.toml", "--app.max_headers=33", "--check-config"},
                                   {"SERVICE_APP_MAX_CONNECTIONS=22", "SERVICE_APP_MAX_HEADERS=23"}, file);
    EXPECT_EQ(result.code, 0) << result.err;
    const auto line = [&](const std::string& key) {
        const auto at = result.out.find(key);
        return at == std::string::npos ? std::string() : result.out.substr(at, result.out.find('\n', at) - at);
    };
    EXPECT_THAT(line("max_in_flight"), AllOf(HasSubstr("11"), HasSubstr("a.toml:2")));
    EXPECT_THAT(line("max_connections"), AllOf(HasSubstr("22"), HasSubstr("SERVICE_APP_MAX_CONNECTIONS")));
    EXPECT_THAT(line("max_headers"), AllOf(HasSubstr("33"), HasSubstr("--app.max_headers")));
}

TEST(Settings, AnUnknownVariableIsOnlyAWarningWithTheNearestKey) {
    const auto result = run_to_end({"--check-config"}, {"SERVICE_APP_PROT=1"});
    EXPECT_EQ(result.code, 0);
    EXPECT_THAT(result.err, AllOf(HasSubstr("SERVICE_APP_PROT"), HasSubstr("app.port")));
}

TEST(Settings, WhatKubernetesSaysOfAServiceAndAnEmptyVariableKeepNoServiceFromStarting) {
    service service(service::options{.environment = {"SERVICE_APP_PORT=tcp://10.0.0.7:8080", "SERVICE_LOG_LEVEL="}});
    EXPECT_EQ(service.ask(get("/")).status, 200);
    EXPECT_THAT(service.err(), AllOf(HasSubstr("SERVICE_APP_PORT = \"tcp://10.0.0.7:8080\""),
                                     testing::Not(HasSubstr("SERVICE_LOG_LEVEL"))));
    service.begin_stop(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0);
}

TEST(Settings, CheckConfigPrintsEveryKeyAndStartsNothing) {
    const auto result = run_to_end({"--check-config"});
    EXPECT_EQ(result.code, 0) << result.err;
    for (const char* key : {"reuse_port", "max_target_bytes", "allowed_hosts", "idle_grace", "ready_file",
                            "queue_capacity", "durability", "directory", "format"})
        EXPECT_THAT(result.out, HasSubstr(key));
    EXPECT_EQ(run_to_end({"--check-config", "--app.port=-1"}).code, 1);
}

#ifndef HTTP_SINK
TEST(Settings, CheckConfigRefusesASinkThatThisProgramDoesNotHaveWithTheLineOfTheStart) {
    const auto started = run_to_end(with({"--tracker.sink=http"}));
    const auto checked = run_to_end({"--check-config", "--tracker.sink=http"});
    expect_refusal(started, {"tracker.sink", "http"});
    expect_refusal(checked, {"tracker.sink", "http"});
    const auto without_time = [](const std::string& line) { return line.substr(line.find(' ')); };
    EXPECT_EQ(without_time(checked.err), without_time(started.err));
}
#endif

TEST(Settings, WhatItPrintsIsAFileThatItReads) {
    const auto printed = run_to_end({"--check-config", "--app.port=1234"});
    const auto again = run_to_end({"--check-config", "--config=a.toml"}, {}, {{"a.toml", printed.out}});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_THAT(again.out, HasSubstr("1234"));
}

TEST(Settings, TheFileThatComesWithTheProgramIsValid) {
    const auto result = run_to_end({"--check-config", "--config=" SOURCE_DIR "/configs/service.toml"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
}

TEST(Settings, VersionAndHelpGoToStdout) {
    const auto version = run_to_end({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_THAT(version.out, testing::ContainsRegex("0\\.[0-9.]+ \\(.*\\), skeleton [0-9.]+ \\(.+\\)"));
    const auto help = run_to_end({"--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, AllOf(HasSubstr("--app.port"), HasSubstr("--config"), HasSubstr("--probe")));
    EXPECT_EQ(version.err + help.err, "");
}

TEST(Probe, SaysWhatTheDebugPortSays) {
    service service({"--shutdown.lame_duck=20s", "--shutdown.budget=60s"});
    const auto port = "--debug.port=" + std::to_string(service.debug().port);
    EXPECT_EQ(run_to_end({"--probe", "livez", port}).code, 0);
    EXPECT_EQ(run_to_end({"--probe", "readyz", port}).code, 0);
    EXPECT_EQ(run_to_end({"--probe", "readyz", "--debug.address=0.0.0.0", port}).code, 0)
        << "of a server on any address";
    service.begin_stop(SIGTERM);
    EXPECT_EQ(run_to_end({"--probe", "livez", port}).code, 0);
    EXPECT_EQ(run_to_end({"--probe", "readyz", port}).code, 1);
}

TEST(Probe, FailsWithinASecondWhereNobodyAnswers) {
    std::string port;
    {
        const service gone;
        port = "--debug.port=" + std::to_string(gone.debug().port);
    }
    const auto before = clock::now();
    const auto result = run_to_end({"--probe", "readyz", port});
    EXPECT_EQ(result.code, 1);
    EXPECT_LE(result.err_lines, 1U) << result.err;
    EXPECT_TRUE(support::in_time(clock::now() - before, milliseconds(2'000)));
    EXPECT_EQ(run_to_end({"--probe", "nonsense", port}).code, 1);
}

}  // namespace
}  // namespace integration
