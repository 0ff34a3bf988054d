// The files of deploy/: their numbers against each other, and against what the program makes of them.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "configs/load.hpp"
#include "configs/values.hpp"
#include "tests/integration/service.hpp"

namespace integration {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

const std::string deploy = SOURCE_DIR "/deploy/";
// After the app's share: 250 ms in which it answers for what has not ended, 100 ms for debug and report.
constexpr auto answers_and_report = 350ms;
constexpr auto before_sigkill = 1s;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
    return lines;
}

/// What stands after `name` on the one line that has it, from the line with `block` on; throws when there is none.
std::string behind(const std::string& text, const std::string& name, const std::string& block = {}) {
    const auto from = text.find(block);
    const auto at = from == std::string::npos ? from : text.find(name, from);
    if (at == std::string::npos) throw std::runtime_error(fmt::format("no {} {}", block, name));
    const auto begin = text.find_first_not_of(" \"'", at + name.size());
    return text.substr(begin, text.find_first_of(" \"'\n,}", begin) - begin);
}

std::chrono::seconds seconds_behind(const std::string& text, const std::string& name, const std::string& block = {}) {
    return std::chrono::seconds(std::stoi(behind(text, name, block)));
}

/// `NAME=value` lines, as the program has them in its environment.
using variables = std::vector<std::string>;

/// What the real program says to these variables, and the same as values.
configs::config accepted(const variables& given, const std::string& file = {}) {
    std::vector<std::string> arguments = {"--check-config"};
    if (!file.empty()) arguments.push_back("--config=" + file);
    const auto result = run_to_end(arguments, given);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    configs::environment environment;
    for (const auto& each : given) environment.emplace(each.substr(0, each.find('=')), each.substr(each.find('=') + 1));
    return configs::load(configs::read_command_line(arguments), environment).values;
}

/// A program of the system, in a directory of its own.
outcome run(const std::string& program, const std::vector<std::string>& arguments) {
    const support::temporary_directory root;
    std::filesystem::create_directory(root.path() / "work");
    support::process process(
        {program, arguments, {"PATH=/usr/bin:/bin", "HOME=" + root.path().string()}, root.path() / "work"});
    const auto status = process.wait(milliseconds(60'000));
    return {status ? status->code : -1, process.out(), process.err()};
}

/// The spool, and event files that are limited, have room on their volume, and a tenth is left for the file system.
void expect_room(const tracker::options& tracker, const std::string& volume) {
    const auto size = configs::parse_size(volume + "B");  // "1Gi"
    ASSERT_TRUE(size) << volume;
    auto most = tracker.spool_bytes;
    if (std::ranges::count(tracker.sinks, "file") > 0) most += tracker.file_max_size * (tracker.file_keep + 1);
    EXPECT_LE(most, *size / 10 * 9);
}

/// What the manifest tells the program of the patience before SIGKILL is what it says itself. The time from
/// SIGTERM to SIGKILL.
std::chrono::seconds expect_patience_to_be_told(const std::string& manifest, variables& given) {
    const auto grace = seconds_behind(manifest, "terminationGracePeriodSeconds:");
    const auto told = behind(manifest, "value:", "TERMINATION_GRACE_SECONDS");
    EXPECT_EQ(std::to_string(grace.count()), told);
    given.push_back("TERMINATION_GRACE_SECONDS=" + told);
    const bool sleeps = manifest.find("preStop:") != std::string::npos;
    EXPECT_EQ(manifest.find("PRE_STOP_SECONDS") != std::string::npos, sleeps);
    if (!sleeps) return grace;
    const auto hook = seconds_behind(manifest, "seconds:", "preStop:");
    const auto of_hook = behind(manifest, "value:", "PRE_STOP_SECONDS");
    EXPECT_EQ(std::to_string(hook.count()), of_hook);
    given.push_back("PRE_STOP_SECONDS=" + of_hook);
    return grace - hook;
}

/// The pods of a manifest and their settings agree about the end, and about the volume.
void expect_agreement(const std::string& manifest, variables given) {
    const auto patience = expect_patience_to_be_told(manifest, given);
    const auto config = accepted(given);
    const auto& stop = config.shutdown;
    EXPECT_GE(patience, stop.budget + before_sigkill);
    EXPECT_GE(stop.budget,
              stop.lame_duck + stop.idle_grace + config.app.request_timeout + stop.flush + answers_and_report)
        << "a request that comes with the last moment of the lame duck does not have its whole time";

    const auto of_readiness = [&](const char* name) { return seconds_behind(manifest, name, "readinessProbe:"); };
    EXPECT_GE(stop.lame_duck, of_readiness("periodSeconds:") * of_readiness("failureThreshold:").count() +
                                  of_readiness("timeoutSeconds:"))
        << "the listener closes before the readiness probe has failed";
    EXPECT_EQ(behind(manifest, "path:", "readinessProbe:"), "/readyz");
    EXPECT_EQ(behind(manifest, "path:", "startupProbe:"), "/readyz");
    EXPECT_THAT(manifest, HasSubstr(fmt::format("containerPort: {}", config.app.port)));
    const auto liveness = manifest.substr(manifest.find("livenessProbe:"), 200);
    EXPECT_THAT(liveness, HasSubstr("livez"));
    EXPECT_EQ(liveness.find("readyz"), std::string::npos) << "a pod that drains would be killed";

    const auto image = support::read_file(SOURCE_DIR "/Dockerfile");
    EXPECT_EQ(behind(image, "WORKDIR", "FROM debian:bookworm-slim\n") + "/var", behind(manifest, "mountPath:"));
    EXPECT_TRUE(config.tracker.directory.starts_with("var/"));
    EXPECT_EQ(behind(image, "--uid"), behind(manifest, "runAsUser:"));
    const bool of_the_pod = manifest.find("sizeLimit:") != std::string::npos;
    expect_room(config.tracker, behind(manifest, of_the_pod ? "sizeLimit:" : "storage:"));
}

TEST(Deploy, TheNumbersOfTheManifestsAgreeWithTheSettings) {
    variables given;
    for (auto& line : lines_of(support::read_file(deploy + "kubernetes/base/settings.env")))
        if (!line.starts_with('#')) given.push_back(std::move(line));
    expect_agreement(support::read_file(deploy + "kubernetes/base/deployment.yaml"), given);
}

/// The part of a rendered overlay that is of this kind.
std::string document(const std::string& rendered, const std::string& kind) {
    const auto at = rendered.find("\nkind: " + kind + "\n");
    if (at == std::string::npos) return {};
    const auto begin = rendered.rfind("---\n", at);
    return rendered.substr(begin == std::string::npos ? 0 : begin, rendered.find("\n---", at) - begin);
}

class DeployOverlay : public testing::TestWithParam<const char*> {};

TEST_P(DeployOverlay, AgreesWithTheSettingsAsItIsRendered) {
    const auto kubectl = support::tool("kubectl");
    if (kubectl.empty()) GTEST_SKIP() << "kubectl is not installed";
    const auto rendered = run(kubectl, {"kustomize", deploy + "kubernetes/overlays/" + GetParam()});
    ASSERT_EQ(rendered.code, 0) << rendered.err;
    variables given;
    for (const auto& line : lines_of(document(rendered.out, "ConfigMap")))
        if (line.starts_with("  SERVICE_"))
            given.push_back(fmt::format("{}={}", line.substr(2, line.find(':') - 2), behind(line, ": ")));
    ASSERT_GE(given.size(), 7U) << rendered.out;
    std::string workload;
    for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet"}) workload += document(rendered.out, kind);
    expect_agreement(workload, given);
}

INSTANTIATE_TEST_SUITE_P(, DeployOverlay,
                         testing::Values("daemonset", "development", "ipv6", "persistent", "production", "sleep"),
                         [](const auto& overlay) { return std::string(overlay.param); });

TEST(Deploy, TheImageStopsWithinThePatienceOfDockerStopAndIsAskedWhetherItLives) {
    const auto image = support::read_file(SOURCE_DIR "/Dockerfile");
    const std::string edit = "RUN sed ", file = " /etc/";
    const auto at = image.find(edit);
    ASSERT_NE(at, std::string::npos);
    const support::temporary_directory root;
    const std::string settings = root.path() / "settings.toml";
    support::write_file(settings, support::read_file(SOURCE_DIR "/configs/service.toml"));
    const auto begin = at + std::string("RUN ").size();
    const auto edited = run("/bin/sh", {"-c", image.substr(begin, image.find(file, at) - begin) + ' ' + settings});
    ASSERT_EQ(edited.code, 0) << edited.err;
    ASSERT_THAT(image, HasSubstr("ENV container=oci\n")) << "which makes a longer budget a warning";
    const auto config = accepted({"container=oci"}, settings);
    EXPECT_EQ(config.shutdown.budget, 9s);
    const auto asked = image.substr(image.find("HEALTHCHECK"));
    EXPECT_THAT(asked.substr(0, asked.find('\n')), HasSubstr("\"--probe\", \"livez\""));
}

// [module systemd]
/// Every value of a key in a unit, its words apart.
std::vector<std::string> values(const std::string& unit, const std::string& key) {
    std::vector<std::string> all;
    for (const auto& line : lines_of(unit)) {
        if (!line.starts_with(key + '=')) continue;
        std::istringstream words(line.substr(key.size() + 1));
        for (std::string word; words >> word;) all.push_back(std::move(word));
    }
    return all;
}

TEST(Deploy, TheNumbersOfTheUnitsAgreeWithTheSettings) {
    const auto unit = support::read_file(deploy + "systemd/service.service");
    const auto given = values(unit, "Environment");
    const auto config = accepted(given, SOURCE_DIR "/configs/service.toml");
    const auto patience = seconds_behind(unit, "TimeoutStopSec=");
    EXPECT_THAT(given, testing::Contains(fmt::format("TERMINATION_GRACE_SECONDS={}", patience.count())));
    EXPECT_GE(patience, config.shutdown.budget + before_sigkill);
    EXPECT_GE(std::stoul(behind(unit, "LimitNOFILE=")), config.app.max_connections + 64);

    const auto place = [](const server::options& options) {
        const auto port = std::to_string(options.port);  // alone: both IP versions where there are both
        return options.address == "::" ? port : options.address + ':' + port;
    };
    for (const auto& [file, name, listens] : {std::tuple("service.socket", "app", place(config.app)),
                                              std::tuple("service-debug.socket", "debug", place(config.debug))}) {
        const auto socket = support::read_file(deploy + "systemd/" + file);
        EXPECT_EQ(behind(socket, "FileDescriptorName="), name);
        EXPECT_EQ(behind(socket, "ListenStream="), listens);
        EXPECT_EQ(behind(socket, "Service="), "service.service");
    }
}

TEST(Deploy, SystemdFindsNoFaultInTheUnitsAndLittleToDistrust) {
    const auto analyze = support::tool("systemd-analyze");
    if (analyze.empty()) GTEST_SKIP() << "systemd-analyze is not installed (scripts/setup ci)";
    const support::temporary_directory root;  // the units name a program that is not installed here
    std::vector<std::string> verify = {"verify", "--man=no"};
    for (const char* name : {"service.service", "service.socket", "service-debug.socket"}) {
        auto text = support::read_file(deploy + "systemd/" + name);
        const std::string program = "ExecStart=/usr/local/bin/service";
        if (const auto at = text.find(program); at != std::string::npos)
            text.replace(at, program.size(), "ExecStart=" SERVICE_BINARY);
        verify.push_back(root.path() / name);
        support::write_file(verify.back(), text);
    }
    const auto verified = run(analyze, verify);
    EXPECT_EQ(verified.code, 0);
    EXPECT_EQ(verified.out + verified.err, "");
    // The threshold is in tenths.
    const auto judged = run(analyze, {"security", "--offline=yes", "--threshold=20", root.path() / "service.service"});
    EXPECT_EQ(judged.code, 0) << judged.out << judged.err;
    EXPECT_THAT(judged.out, HasSubstr("Overall exposure level"));
}
// [/module systemd]

}  // namespace
}  // namespace integration
