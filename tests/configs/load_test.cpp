#include "configs/load.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "configs/toml.hpp"

namespace configs {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

/// A folder of its own for each test, with settings files in it.
class Load : public testing::Test {
public:
    Load() {
        auto pattern = testing::TempDir() + "configsXXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~Load() override { std::filesystem::remove_all(folder_); }

protected:
    std::string file(const std::string& text, const std::string& name = "test.toml") const {
        const auto path = folder_ / name;
        std::ofstream(path) << text;
        return path;
    }

    static loaded from(const std::vector<std::string>& arguments, const environment& variables = {}) {
        return load(read_command_line(arguments), variables);
    }

    loaded from_toml(const std::string& text) const { return from({"--config", file(text)}); }

    std::filesystem::path folder_;
};

TEST_F(Load, GivesTheBuiltInDefaultsWhenNothingIsSaid) {
    const auto result = from({});
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_THAT(result.warnings, IsEmpty());
    EXPECT_EQ(result.values.app.port, 8080);
    EXPECT_EQ(result.values.debug.address, "127.0.0.1");
    EXPECT_EQ(result.values.debug.port, 8001);
    EXPECT_EQ(result.values.debug.threads, 1U);
    for (const auto& [key, place] : result.origin) EXPECT_EQ(place, "built-in") << key;
    EXPECT_THAT(result.origin, SizeIs(settings().size()));
}

TEST_F(Load, TheLaterPlaceWins) {
    const auto path = file("[app]\nport = 1\nthreads = 1\nmax_in_flight = 1\n");
    const auto result =
        from({"--config", path, "--app.port=3"}, {{"SERVICE_APP_PORT", "2"}, {"SERVICE_APP_THREADS", "2"}});
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_EQ(result.values.app.port, 3);
    EXPECT_EQ(result.values.app.threads, 2U);
    EXPECT_EQ(result.values.app.max_in_flight, 1U);
    EXPECT_EQ(result.values.app.max_connections, 10'000U);
}

TEST_F(Load, KeepsThePlaceOfEachValue) {
    const auto path = file("# a comment\n[app]\nport = 1\nthreads = 1\n\nmax_in_flight = 1\n");
    const auto result = from({"--config", path, "--app.port=3"}, {{"SERVICE_APP_THREADS", "2"}});
    EXPECT_EQ(result.origin.at("app.port"), "--app.port");
    EXPECT_EQ(result.origin.at("app.threads"), "SERVICE_APP_THREADS");
    EXPECT_EQ(result.origin.at("app.max_in_flight"), path + ":6");
    EXPECT_EQ(result.origin.at("app.max_connections"), "built-in");
}

TEST_F(Load, AccessLogBelongsToTheAppServer) {
    const auto result = from({"--log.access=true"});
    EXPECT_TRUE(result.values.app.access_log);
    EXPECT_FALSE(result.values.debug.access_log);
}

TEST_F(Load, EverySettingCanComeFromEveryPlace) {
    for (const auto& setting : settings()) {
        const auto text = setting.default_text();
        EXPECT_EQ(from({setting.flag() + "=" + text}).origin.at(std::string(setting.key)), setting.flag());
        EXPECT_EQ(from({}, {{setting.variable(), text}}).origin.at(std::string(setting.key)), setting.variable());
        const auto result = from_toml(std::string(setting.key) + " = " + setting.toml(config{}) + "\n");
        EXPECT_THAT(result.faults, IsEmpty());
        EXPECT_THAT(result.origin.at(std::string(setting.key)), EndsWith("test.toml:1"));
    }
}

TEST_F(Load, TomlMayWriteValuesInTheirOwnTypes) {
    const auto result = from_toml(
        "ready_file = 'r.json'\n"
        "[app]\nport = 0x1F90\nthreads = '2'\nreuse_port = true\nidle_timeout = '5s'\nmax_body_bytes = 100\n"
        "[debug]\nallowed_hosts = ['a.example', 'b']\n"
        "[shutdown]\nlame_duck = 0\n"
        "[log]\naccess = 'true'\n");
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_EQ(result.values.ready_file, "r.json");
    EXPECT_EQ(result.values.app.port, 8080);
    EXPECT_EQ(result.values.app.threads, 2U);
    EXPECT_TRUE(result.values.app.reuse_port);
    EXPECT_EQ(result.values.app.idle_timeout, 5s);
    EXPECT_EQ(result.values.app.max_body_bytes, 100U);
    EXPECT_THAT(result.values.debug.allowed_hosts, ElementsAre("a.example", "b"));
    EXPECT_TRUE(result.values.log.access);
}

TEST_F(Load, ListsComeWithCommasFromVariableAndFlag) {
    EXPECT_THAT(from({"--debug.allowed_hosts=a,b"}).values.debug.allowed_hosts, ElementsAre("a", "b"));
    EXPECT_THAT(from({}, {{"SERVICE_DEBUG_ALLOWED_HOSTS", "a"}}).values.debug.allowed_hosts, ElementsAre("a"));
}

TEST_F(Load, AWrongTypeInTheFileIsAFaultThatNamesIt) {
    const std::vector<std::pair<std::string, std::string>> trials = {{"app.port = 80.0", "a float"},
                                                                     {"app.port = [80]", "an array"},
                                                                     {"app.port = {}", "a table"},
                                                                     {"[app.port]", "a table"},
                                                                     {"app.port = 1979-05-27", "a date"},
                                                                     {"app.port = true", "true"},
                                                                     {"app.reuse_port = 1", "1"},
                                                                     {"ready_file = 5", "an integer"},
                                                                     {"log.level = true", "a boolean"},
                                                                     {"app.idle_timeout = 5", "\"5\""},
                                                                     {"app.idle_timeout = true", "a boolean"},
                                                                     {"debug.allowed_hosts = [1]", "an array"},
                                                                     {"app.port = -1", "\"-1\""}};
    for (const auto& [text, shown] : trials) {
        const auto result = from_toml(text + "\n");
        EXPECT_THAT(result.faults,
                    ElementsAre(AllOf(HasSubstr(shown), HasSubstr("test.toml:1"), HasSubstr("allowed is "))))
            << text;
    }
}

TEST_F(Load, AFaultNamesKeyPlaceAndWhatIsAllowed) {
    const auto path = file("[app]\nport = 99999\n");
    EXPECT_THAT(from({"--config", path}).faults,
                ElementsAre("app.port = \"99999\" (" + path + ":2): allowed is a whole number from 0 to 65535"));
    EXPECT_THAT(from({}, {{"SERVICE_LOG_FORMAT", "xml"}}).faults,
                ElementsAre("log.format = \"xml\" (SERVICE_LOG_FORMAT): allowed is one of text, json"));
    EXPECT_THAT(from({"--shutdown.flush=soon"}).faults,
                ElementsAre("shutdown.flush = \"soon\" (--shutdown.flush): allowed is a duration from 0s to 24h"));
}

TEST_F(Load, AllFaultsAreCollectedInTheOrderOfTheirPlaces) {
    const auto path = file("[app]\nthreads = -1\nport = 'x'\nbogus = 1\n[nothing]\na = 1\n");
    const auto result = from({"--config", path, "--app.prot=1", "--log.level=loud"}, {{"SERVICE_APP_PORT", "y"}});
    EXPECT_THAT(
        result.faults,
        ElementsAre(AllOf(HasSubstr("app.bogus"), HasSubstr(":4")), AllOf(HasSubstr("nothing"), HasSubstr(":5")),
                    AllOf(HasSubstr("app.threads"), HasSubstr(":2")), AllOf(HasSubstr("app.port"), HasSubstr(":3")),
                    AllOf(HasSubstr("app.port"), HasSubstr("SERVICE_APP_PORT")), HasSubstr("--app.prot"),
                    AllOf(HasSubstr("log.level"), HasSubstr("--log.level"))));
    EXPECT_THAT(result.faults, Each(Not(HasSubstr("\n"))));
}

TEST_F(Load, AFaultThatALaterPlaceOverridesIsStillAFault) {
    const auto result = from({"--config", file("app.port = 'x'\n"), "--app.port=1"}, {{"SERVICE_APP_PORT", "y"}});
    EXPECT_THAT(result.faults, SizeIs(2));
    EXPECT_THAT(from({"--app.port=x", "--app.port=1"}).faults, SizeIs(1));
}

TEST_F(Load, AnUnknownKeyIsAFaultThatNamesTheNearest) {
    EXPECT_THAT(
        from_toml("[app]\nprot = 1\n").faults,
        ElementsAre(AllOf(StartsWith("app.prot ("), HasSubstr("test.toml:2)"), HasSubstr("nearest is app.port"))));
    EXPECT_THAT(from_toml("[ap]\n").faults, SizeIs(1));
    EXPECT_THAT(from_toml("app = 1\n").faults, SizeIs(1));
    EXPECT_THAT(from_toml("\"app.port\" = 1\n[app]\nport = 2\n").faults, SizeIs(1)) << "a key with a dot in it";
    EXPECT_THAT(from_toml("[app]\n").faults, IsEmpty());
}

TEST_F(Load, AFileThatBreaksAnAssertionOfTheParserIsAFaultAndNotAnAbort) {
    for (const auto* text : {"[`port = 8080\n", "a.` = 1\n"})
        EXPECT_THAT(from_toml(text).faults, ElementsAre(HasSubstr("not TOML"))) << text;
}

TEST_F(Load, AFileThatIsNotTomlIsAFaultWithItsLine) {
    for (const auto* text : {"[app]\nport = \n", "[app]\nport 1\n", "[app]\nport = 08\n", "[app]\n\"x\n",
                             "[app]\nport = 808\u01c0\n", "[app]\nport = 80 \u00e9\n"})
        EXPECT_THAT(from_toml(text).faults,
                    ElementsAre(AllOf(HasSubstr("test.toml:2: not TOML"), Not(HasSubstr("\n")))))
            << text;
    EXPECT_THAT(from_toml("app.port = 1\napp.port = 2\n").faults, ElementsAre(HasSubstr("test.toml:2"))) << "twice";
    EXPECT_THAT(from_toml("a = '\xFF'\n").faults, SizeIs(1));
}

TEST_F(Load, LettersBeyondAsciiStandInStringsAndComments) {
    const auto directory = [&](const std::string& value) {
        const auto loaded = from_toml("# caf\u00e9\ntracker.directory = " + value + " # \u0436\n");
        return loaded.faults.empty() ? loaded.values.tracker.directory : loaded.faults.front();
    };
    EXPECT_EQ(directory("\"caf\u00e9\""), "caf\u00e9");
    EXPECT_EQ(directory("'caf\u00e9 \"'"), "caf\u00e9 \"");
    EXPECT_EQ(directory(R"("\"caf\u00e9 # '")"), "\"caf\u00e9 # '");
    EXPECT_EQ(directory("'''\ncaf\u00e9 '' \"'''"), "caf\u00e9 '' \"");
    EXPECT_EQ(directory("\"\"\"\ncaf\\\n   \u00e9 \u20ac \U0001f600 \"\"\"\"\""), "caf\u00e9 \u20ac \U0001f600 \"\"");
}

TEST_F(Load, ALetterBeyondAsciiElsewhereIsAFaultWithItsLine) {
    for (const auto* text : {"\n\u00e9 = 1\n", "\ntracker.directory = \u0436\n", "\ntracker.directory = 'a'\u00e9\n",
                             "\n[app\u00e9]\n", "a = '''\n'''\u00e9\n", "a = \"\"\"\n\\\u00e9\"\"\"\n"})
        EXPECT_THAT(from_toml(text).faults, ElementsAre(HasSubstr("test.toml:2: not TOML: a letter beyond ASCII")))
            << text;
    EXPECT_THAT(from_toml("[app\n\u00e9 = 1\n").faults, ElementsAre(HasSubstr("test.toml:1: not TOML"))) << "before it";
    EXPECT_THAT(from_toml("\xef\xbb\xbf[app]\n").faults, IsEmpty()) << "a byte order mark";
}

TEST_F(Load, AFileThatCannotBeReadIsAFaultWithTheReason) {
    const auto missing = (folder_ / "missing.toml").string();
    EXPECT_THAT(from({"--config", missing}).faults,
                ElementsAre("--config " + missing + ": cannot be read: No such file or directory"));
    EXPECT_THAT(from({"--config", folder_.string()}).faults, ElementsAre(HasSubstr("Is a directory")));
    EXPECT_THAT(from({"--config="}).faults, SizeIs(1));
    EXPECT_THAT(from({"--config", file(std::string(2'000'000, '#'))}).faults, ElementsAre(HasSubstr("too large")));
    if (::geteuid() == 0) return;  // root may read everything
    const auto closed = file("");
    std::filesystem::permissions(closed, std::filesystem::perms::none);
    EXPECT_THAT(from({"--config", closed}).faults, ElementsAre(HasSubstr("Permission denied")));
}

TEST_F(Load, FaultsOfOtherPlacesAreFoundBesideABrokenFile) {
    EXPECT_THAT(from({"--config", file("="), "--app.port=x"}).faults, SizeIs(2));
}

TEST_F(Load, AnUnknownVariableIsAWarningWithTheNearestKey) {
    const auto result = from({}, {{"SERVICE_APP_PROT", "1"}, {"SERVICE_HOST", "10.0.0.1"}, {"PATH", "/bin"}});
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_THAT(result.warnings,
                ElementsAre(AllOf(HasSubstr("SERVICE_APP_PROT"), HasSubstr("app.port")), HasSubstr("SERVICE_HOST")));
}

TEST_F(Load, AVariableThatKubernetesMadeOfAServiceIsOnlyAWarning) {
    for (const auto* text : {"tcp://10.0.0.7:8080", "udp://10.0.0.7:53", "sctp://[fd00::7]:9"}) {
        const auto result = from({}, {{"SERVICE_APP_PORT", text}, {"SERVICE_APP_PORT_8080_TCP", text}});
        EXPECT_THAT(result.faults, IsEmpty());
        EXPECT_THAT(result.warnings,
                    ElementsAre(AllOf(StartsWith("SERVICE_APP_PORT = "), HasSubstr(text), HasSubstr("Kubernetes"),
                                      HasSubstr("app.port is a whole number from 0 to 65535")),
                                AllOf(StartsWith("SERVICE_APP_PORT_8080_TCP: "), HasSubstr("app.port"))));
        EXPECT_EQ(result.values.app.port, 8080);
        EXPECT_EQ(result.origin.at("app.port"), "built-in");
    }
    EXPECT_THAT(from({}, {{"SERVICE_APP_PORT", "tcp"}}).faults, SizeIs(1));
    EXPECT_THAT(from({}, {{"SERVICE_APP_ADDRESS", "tcp://10.0.0.7:8080"}}).faults, SizeIs(1))
        << "it makes none of these";
    EXPECT_THAT(from({"--app.port=tcp://10.0.0.7:8080"}).faults, SizeIs(1)) << "nor a flag";
}

TEST_F(Load, AnEmptyVariableIsAsIfItWereNotSetUnlessEmptyIsAValue) {
    const auto path = file(
        "[app]\nport = 1\nidle_timeout = '7s'\nreuse_port = true\naddress = '::1'\n"
        "[tracker]\nsink = ['none']\ndirectory = 'd'\noverflow = 'reject'\n"
        "[shutdown]\nreport = 'r.json'\n");
    const auto result = from({"--config", path}, {{"SERVICE_APP_PORT", ""},
                                                  {"SERVICE_APP_IDLE_TIMEOUT", ""},
                                                  {"SERVICE_APP_REUSE_PORT", ""},
                                                  {"SERVICE_APP_ADDRESS", ""},
                                                  {"SERVICE_TRACKER_SINK", ""},
                                                  {"SERVICE_TRACKER_DIRECTORY", ""},
                                                  {"SERVICE_TRACKER_OVERFLOW", ""},
                                                  {"SERVICE_SHUTDOWN_REPORT", ""},
                                                  {"SERVICE_LOG_ACCESS_EXCLUDE", ""}});
    EXPECT_THAT(result.faults, IsEmpty());
    EXPECT_THAT(result.warnings, IsEmpty());
    EXPECT_EQ(result.values.app.port, 1);
    EXPECT_EQ(result.values.app.idle_timeout, 7s);
    EXPECT_TRUE(result.values.app.reuse_port);
    EXPECT_EQ(result.values.app.address, "::1");
    EXPECT_THAT(result.values.tracker.sinks, ElementsAre("none"));
    EXPECT_EQ(result.values.tracker.directory, "d");
    EXPECT_EQ(result.values.tracker.overflow, tracker::overflow::reject);
    EXPECT_EQ(result.origin.at("app.port"), path + ":2");
    EXPECT_EQ(result.values.shutdown.report, "") << "a text may be empty";
    EXPECT_EQ(result.origin.at("shutdown.report"), "SERVICE_SHUTDOWN_REPORT");
    EXPECT_THAT(result.values.app.access_exclude, IsEmpty()) << "and so may a list";
}

TEST_F(Load, ABudgetThatItsPhasesDoNotFitIsAFault) {
    EXPECT_THAT(from({"--shutdown.budget=6099ms"}).faults,
                ElementsAre(AllOf(HasSubstr("shutdown.budget = \"6099ms\" (--shutdown.budget)"),
                                  HasSubstr("shutdown.flush = \"5s\" (built-in)"), HasSubstr("at least 6100ms"))));
    EXPECT_THAT(from({"--shutdown.budget=6100ms"}).faults, IsEmpty());
    EXPECT_THAT(from({"--shutdown.lame_duck=20s"}).faults, SizeIs(1));
    EXPECT_THAT(from({"--shutdown.budget=100ms", "--shutdown.idle_grace=0s", "--shutdown.flush=0s"}).faults, IsEmpty());
}

TEST_F(Load, ABudgetFitsTheGracePeriodWhenThatIsKnown) {
    const environment thirty = {{"TERMINATION_GRACE_SECONDS", "30"}};
    EXPECT_THAT(from({}, thirty).faults, IsEmpty());
    EXPECT_THAT(from({"--shutdown.budget=30s"}, thirty).faults, IsEmpty());
    EXPECT_THAT(from({"--shutdown.budget=31s"}, thirty).faults,
                ElementsAre(AllOf(HasSubstr("shutdown.budget"), HasSubstr("TERMINATION_GRACE_SECONDS"),
                                  HasSubstr("at most 30s"))));
    for (const auto* text : {"0", "soon", "30s", "99999999999"})
        EXPECT_THAT(from({}, {{"TERMINATION_GRACE_SECONDS", text}}).faults, ElementsAre(HasSubstr("allowed is")))
            << text;
    EXPECT_THAT(from({"--shutdown.budget=1h"}, {{"TERMINATION_GRACE_SECONDS", ""}}).faults, IsEmpty()) << "not set";
}

TEST_F(Load, APreStopHookTakesItsTimeFromTheGracePeriod) {
    environment variables = {{"TERMINATION_GRACE_SECONDS", "30"}, {"PRE_STOP_SECONDS", "5"}};
    EXPECT_THAT(from({"--shutdown.budget=25s"}, variables).faults, IsEmpty());
    EXPECT_THAT(from({"--shutdown.budget=26s"}, variables).faults,
                ElementsAre(AllOf(HasSubstr("shutdown.budget"), HasSubstr("what PRE_STOP_SECONDS leaves of "),
                                  HasSubstr("at most 25s"))));
    for (const auto* as_long : {"30", "31", "86400"}) {
        variables["PRE_STOP_SECONDS"] = as_long;
        EXPECT_THAT(from({}, variables).faults,
                    ElementsAre(AllOf(HasSubstr("leaves nothing of TERMINATION_GRACE_SECONDS = 30"),
                                      HasSubstr("SIGKILL comes 2s after SIGTERM"))))
            << as_long;
    }
    variables["PRE_STOP_SECONDS"] = "";
    EXPECT_THAT(from({"--shutdown.budget=30s"}, variables).faults, IsEmpty()) << "not set";
    EXPECT_THAT(from({"--shutdown.budget=31s"}, variables).faults, ElementsAre(HasSubstr("at most 30s")));
    for (const auto* text : {"0", "soon", "5s"}) {
        variables["PRE_STOP_SECONDS"] = text;
        EXPECT_THAT(from({}, variables).faults,
                    ElementsAre(AllOf(HasSubstr("PRE_STOP_SECONDS"), HasSubstr("allowed is"))))
            << text;
    }
    EXPECT_THAT(from({}, {{"PRE_STOP_SECONDS", "40"}}).faults, IsEmpty()) << "of a grace period that nobody has named";
}

TEST_F(Load, ABudgetThatDockerWouldNotWaitForIsAWarningInAContainer) {
    const environment container = {{"container", "podman"}};
    EXPECT_THAT(from({}, container).warnings,
                ElementsAre(AllOf(HasSubstr("shutdown.budget = 25s (built-in)"), HasSubstr("SIGKILL 10s after"),
                                  HasSubstr("--stop-timeout"), HasSubstr("TERMINATION_GRACE_SECONDS"))));
    EXPECT_THAT(from({}, container).faults, IsEmpty());
    EXPECT_THAT(from({"--shutdown.budget=9s"}, container).warnings, IsEmpty());
    EXPECT_THAT(from({}, {{"container", "oci"}, {"TERMINATION_GRACE_SECONDS", "30"}}).warnings, IsEmpty());
    EXPECT_THAT(from({}, {{"container", "oci"}, {"TERMINATION_GRACE_SECONDS", ""}}).warnings, SizeIs(1));
    EXPECT_THAT(from({}, {{"container", "oci"}, {"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}).warnings, IsEmpty());
    EXPECT_THAT(from({}, {{"container", "systemd-nspawn"}}).warnings, IsEmpty());
    EXPECT_THAT(from({}).warnings, IsEmpty());
}

TEST_F(Load, ATargetThatIsAskedForFitsTheHead) {
    EXPECT_THAT(from({"--app.max_target_bytes=17KiB"}).faults, ElementsAre(HasSubstr("at most 16KiB")));
    EXPECT_THAT(from({"--app.max_target_bytes=16KiB"}).faults, IsEmpty());
    const auto small = from({"--app.max_header_bytes=1KiB"});
    EXPECT_THAT(small.faults, IsEmpty()) << "the head's limit alone is enough";
    EXPECT_THAT(from_toml(to_toml(small)).faults, IsEmpty()) << "also in what --check-config prints";
}

TEST_F(Load, TheTwoServersNeedDifferentPortsOnOverlappingAddresses) {
    struct trial {
        const char* app;
        const char* debug;
        bool collide;
    };
    const std::vector<trial> trials = {{"0.0.0.0", "127.0.0.1", true},
                                       {"127.0.0.1", "0.0.0.0", true},
                                       {"127.0.0.1", "127.0.0.1", true},
                                       {"127.0.0.1", "127.0.0.2", false},
                                       {"::", "127.0.0.1", true},
                                       {"::", "::1", true},
                                       {"0.0.0.0", "::", true},
                                       {"0.0.0.0", "::1", false},
                                       {"::1", "::1", true},
                                       {"::1", "0:0::1", true},
                                       {"::1", "127.0.0.1", false},
                                       {"::ffff:127.0.0.1", "127.0.0.1", true},
                                       {"0.0.0.0", "::ffff:10.0.0.1", true}};
    for (const auto& trial : trials) {
        const std::vector<std::string> addresses = {std::string("--app.address=") + trial.app,
                                                    std::string("--debug.address=") + trial.debug};
        auto same = addresses;
        same.insert(same.end(), {"--app.port=9000", "--debug.port=9000"});
        EXPECT_THAT(from(same).faults, SizeIs(trial.collide ? 1 : 0)) << trial.app << " " << trial.debug;
        auto any = addresses;
        any.insert(any.end(), {"--app.port=0", "--debug.port=0"});
        EXPECT_THAT(from(any).faults, IsEmpty());
    }
}

TEST_F(Load, APathBelongsToOneSocket) {
    EXPECT_THAT(from({"--app.address=unix:a", "--debug.address=unix:b"}).faults, IsEmpty());
    EXPECT_THAT(from({"--app.address=unix:a", "--debug.port=8080"}).faults, IsEmpty()) << "it has no port";
    EXPECT_THAT(from({"--app.address=unix:a", "--debug.address=unix:a"}).faults,
                ElementsAre(AllOf(HasSubstr("app.address"), HasSubstr("debug.address"))));
    EXPECT_THAT(from({"--app.address=unix:a", "--app.reuse_port=true"}).faults,
                ElementsAre(AllOf(HasSubstr("app.address"), HasSubstr("app.reuse_port"))));
}

TEST_F(Load, AWrongPrefixNamesKeyPlaceAndWhatIsAllowed) {
    EXPECT_THAT(from({"--app.trusted_proxies=10.0.0.0/8,10.0.0.0/33"}).faults,
                ElementsAre(AllOf(HasSubstr("app.trusted_proxies"), HasSubstr("10.0.0.0/33"),
                                  HasSubstr("--app.trusted_proxies"), HasSubstr("prefixes such as 10.0.0.0/8"))));
}

TEST_F(Load, TheFirstRetryPauseIsNotLongerThanTheLongest) {
    EXPECT_THAT(from({"--tracker.retry_initial=6s"}).faults, ElementsAre(HasSubstr("tracker.retry_max")));
}

TEST_F(Load, WhatMustFitTogetherIsNotLookedAtWhereAValueIsWrong) {
    EXPECT_THAT(from({"--shutdown.budget=x", "--shutdown.flush=1h"}).faults, SizeIs(1));
    EXPECT_THAT(from({"--app.port=x", "--debug.port=8080"}).faults, SizeIs(1));
}

TEST_F(Load, TheSameCommandCanBeLoadedAgain) {
    const auto path = file("[log]\nlevel = 'info'\n");
    const auto line = read_command_line({"--config", path, "--app.port=1"});
    const auto before = load(line, {});
    file("[log]\nlevel = 'debug'\n[app]\nthreads = 2\nport = 2\n");
    const auto after = load(line, {});
    const auto differences = changes(before.values, after.values);
    ASSERT_THAT(differences, SizeIs(2));
    EXPECT_EQ(differences[0].key, "app.threads");
    EXPECT_EQ(differences[1].key, "log.level");
    EXPECT_EQ(differences[1].before, "info");
    EXPECT_EQ(differences[1].after, "debug");
}

TEST_F(Load, AReloadTakesWhatIsReloadableAndKeepsTheRest) {
    const auto before = from({"--app.port=1", "--app.idle_timeout=1s"});
    const auto fresh = from({"--app.port=2", "--app.idle_timeout=2s", "--log.access=true"});
    const auto after = reloaded(before, fresh, {});
    EXPECT_THAT(after.faults, IsEmpty());
    EXPECT_EQ(after.values.app.port, 1);
    EXPECT_EQ(after.values.app.idle_timeout, std::chrono::seconds(2));
    EXPECT_TRUE(after.values.app.access_log) << "what follows from a setting follows here too";
    const auto waiting = changes(after.values, fresh.values);
    ASSERT_THAT(waiting, SizeIs(1));
    EXPECT_EQ(waiting[0].key, "app.port");
}

TEST_F(Load, WhatIsInForceAfterAReloadFitsTogetherToo) {
    auto before = from({"--tracker.retry_max=1s"});
    before.values.tracker.retry_initial =
        std::chrono::seconds(9);  // no reload can make it so: the check does not rely on it
    EXPECT_THAT(reloaded(before, from({}), {}).faults, SizeIs(1));
}

TEST_F(Load, RowsShowEachEffectiveValueWithItsPlace) {
    const auto all = rows(from({"--app.port=1"}));
    ASSERT_THAT(all, SizeIs(settings().size()));
    EXPECT_EQ(all[3].key, "app.port");
    EXPECT_EQ(all[3].value, "1");
    EXPECT_EQ(all[3].place, "--app.port");
}

TEST_F(Load, RowsAndTomlMaskASecret) {
    auto table = settings();
    for (auto& row : table) row.secret = row.key == "ready_file";
    const auto result = from({"--ready_file=hunter2"});
    EXPECT_EQ(rows(result, table)[0].value, "***");
    EXPECT_THAT(to_toml(result, table), AllOf(HasSubstr("ready_file = \"***\""), Not(HasSubstr("hunter2"))));
}

TEST_F(Load, WhatCheckPrintsIsASettingsFileThatSaysTheSame) {
    const auto first =
        from({"--app.port=1", "--debug.allowed_hosts=a,b", "--ready_file=a \"b\" \\ ü", "--app.idle_timeout=90s"},
             {{"SERVICE_LOG_ACCESS", "true"}});
    const auto text = to_toml(first);
    EXPECT_THAT(text,
                AllOf(HasSubstr("app.port = 1  # --app.port\n"), HasSubstr("log.access = true  # SERVICE_LOG_ACCESS\n"),
                      HasSubstr("app.threads = 0  # built-in\n")));
    const auto second = from_toml(text);
    EXPECT_THAT(second.faults, IsEmpty());
    EXPECT_THAT(changes(first.values, second.values), IsEmpty());
}

TEST_F(Load, WhatCheckPrintsIsTomlWhateverTheFileIsCalled) {
    for (const auto* name : {"a\nb = 1.toml", "\xFF.toml", "\"#\".toml"})
        EXPECT_NO_THROW(std::ignore = toml::parse(to_toml(from({"--config", file("app.port = 1\n", name)})))) << name;
}

TEST_F(Load, TheEnvironmentIsCopied) {
    const char* const variables[] = {"A=1", "B=", "C", "D=x=y", nullptr};
    EXPECT_EQ(environment_of(variables), (environment{{"A", "1"}, {"B", ""}, {"D", "x=y"}}));
}

}  // namespace
}  // namespace configs
