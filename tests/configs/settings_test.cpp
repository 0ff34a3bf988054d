#include "configs/settings.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "configs/layers.hpp"
#include "configs/values.hpp"

namespace configs {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsSupersetOf;

std::vector<std::string> keys() {
    std::vector<std::string> all;
    for (const auto& setting : settings()) all.emplace_back(setting.key);
    return all;
}

TEST(Settings, HaveEveryKeyOfTheContract) {
    EXPECT_THAT(keys(), IsSupersetOf({"app.address",
                                      "app.port",
                                      "app.reuse_port",
                                      "app.threads",
                                      "app.max_connections",
                                      "app.max_in_flight",
                                      "app.header_timeout",
                                      "app.body_timeout",
                                      "app.write_timeout",
                                      "app.idle_timeout",
                                      "app.request_timeout",
                                      "app.max_header_bytes",
                                      "app.max_target_bytes",
                                      "app.max_body_bytes",
                                      "debug.address",
                                      "debug.port",
                                      "debug.allowed_hosts",
                                      "shutdown.budget",
                                      "shutdown.lame_duck",
                                      "shutdown.idle_grace",
                                      "shutdown.flush",
                                      "shutdown.report",
                                      "ready_file",
                                      "tracker.sink",
                                      "tracker.queue_capacity",
                                      "tracker.overflow",
                                      "tracker.durability",
                                      "tracker.directory",
                                      "log.level",
                                      "log.format"}));
}

TEST(Settings, HaveTheDefaultsOfTheContract) {
    const std::vector<std::pair<std::string, std::string>> expected = {{"app.address", "::"},
                                                                       {"app.port", "8080"},
                                                                       {"app.reuse_port", "false"},
                                                                       {"app.unix_mode", "0660"},
                                                                       {"app.proxy_protocol", "false"},
                                                                       {"app.trusted_proxies", ""},
                                                                       {"app.forwarded_header", "x-forwarded-for"},
                                                                       {"app.threads", "0"},
                                                                       {"app.max_connections", "10000"},
                                                                       {"app.max_in_flight", "1000"},
                                                                       {"app.header_timeout", "10s"},
                                                                       {"app.body_timeout", "30s"},
                                                                       {"app.write_timeout", "30s"},
                                                                       {"app.idle_timeout", "2m"},
                                                                       {"app.strict_targets", "false"},
                                                                       {"app.half_close", "false"},
                                                                       {"app.keep_alive_hint", "0s"},
                                                                       {"app.request_timeout", "30s"},
                                                                       {"app.max_header_bytes", "16KiB"},
                                                                       {"app.max_target_bytes", "8KiB"},
                                                                       {"app.max_body_bytes", "1MiB"},
                                                                       {"debug.address", "127.0.0.1"},
                                                                       {"debug.port", "8001"},
                                                                       {"debug.allowed_hosts", ""},
                                                                       {"shutdown.budget", "25s"},
                                                                       {"shutdown.lame_duck", "0s"},
                                                                       {"shutdown.idle_grace", "1s"},
                                                                       {"shutdown.envoy_hint", "false"},
                                                                       {"shutdown.flush", "5s"},
                                                                       {"shutdown.report", ""},
                                                                       {"ready_file", ""},
                                                                       {"tracker.sink", "file"},
                                                                       {"tracker.queue_capacity", "4096"},
                                                                       {"tracker.overflow", "block"},
                                                                       {"tracker.durability", "process"},
                                                                       {"tracker.directory", "var/events"},
                                                                       {"log.level", "info"},
                                                                       {"log.format", "text"},
                                                                       {"log.access", "false"},
                                                                       {"log.access_exclude", "/livez,/readyz"}};
    for (const auto& [key, text] : expected) EXPECT_EQ(find_setting(key)->default_text(), text) << key;
}

TEST(Settings, AreUniqueByKeyFlagAndVariable) {
    std::set<std::string> names;
    for (const auto& setting : settings()) {
        EXPECT_TRUE(names.insert(std::string(setting.key)).second) << setting.key;
        EXPECT_TRUE(names.insert(setting.flag()).second) << setting.key;
        EXPECT_TRUE(names.insert(setting.variable()).second) << setting.key;
    }
}

TEST(Settings, NameTheirFlagAndVariable) {
    const auto& port = *find_setting("app.port");
    EXPECT_EQ(port.flag(), "--app.port");
    EXPECT_EQ(port.variable(), "SERVICE_APP_PORT");
    EXPECT_EQ(find_setting("ready_file")->variable(), "SERVICE_READY_FILE");
}

TEST(Settings, AcceptTheirOwnDefaults) {
    for (const auto& setting : settings()) {
        config values;
        EXPECT_TRUE(setting.set(values, setting.default_text())) << setting.key;
        EXPECT_EQ(setting.get(values), setting.default_text()) << setting.key;
    }
}

TEST(Settings, ReachAFieldOfTheirOwn) {
    const std::vector<std::string> tries = {"true",   "1",          "2",         "300",  "7s",     "::1",   "other",
                                            "stdout", "reject",     "json",      "warn", "memory", "64KiB", "/a,/b",
                                            "0600",   "10.0.0.0/8", "forwarded", "1.3",  "false",  "error"};
    for (const auto& setting : settings()) {
        config values;
        for (const auto& text : tries)
            if (setting.set(values, text) && setting.get(values) != setting.default_text()) break;
        EXPECT_NE(setting.get(values), setting.default_text()) << setting.key;
        for (const auto& other : settings()) {
            if (other.key == setting.key) continue;
            EXPECT_EQ(other.get(values), other.default_text()) << setting.key << " sets " << other.key;
        }
    }
}

TEST(Settings, LeaveTheValueAloneWhenTheTextIsNotAllowed) {
    config values;
    values.app.port = 1234;
    EXPECT_FALSE(find_setting("app.port")->set(values, "65536"));
    EXPECT_EQ(values.app.port, 1234);
}

struct trial {
    const char* key;
    std::vector<const char*> good;
    std::vector<const char*> bad;
};

TEST(Settings, CheckRangesAndChoices) {
    const std::vector<trial> trials = {
        {"app.port", {"0", "65535"}, {"65536", "-1", "", "http", "80.5"}},
        {"app.address",
         {"::", "10.0.0.1", "unix:app.sock", "unix:/run/service/app.sock"},
         {"localhost", "", "unix:", "unix:@abstract", "unix:a\nb", "/run/app.sock"}},
        {"app.unix_mode", {"0660", "600", "0000", "0777"}, {"", "0888", "66", "1777", "00660", "rw-"}},
        {"app.trusted_proxies",
         {"", "10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8,unix,192.0.2.1", "0.0.0.0/0", "::/0"},
         {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0", "proxy.example", "10.0.0.1,", "10.0.0.0/8/8",
          "unix:/run/a", "fe80::1%eth0"}},
        {"app.forwarded_header", {"x-forwarded-for", "forwarded", "x-real-ip"}, {"", "X-Forwarded-For", "via"}},
        {"app.reuse_port", {"true", "false"}, {"yes", "1", "TRUE", ""}},
        {"app.threads", {"0", "256"}, {"257"}},
        {"app.max_connections", {"1", "1000000"}, {"0", "1000001"}},
        {"app.max_connections_per_client", {"0", "1000000"}, {"-1", "1000001"}},
        {"app.http2_max_streams", {"1", "1000000"}, {"0", "1000001", "many"}},  // [module http2/]
        {"app.header_timeout", {"1ms", "24h"}, {"0ms", "25h", "10"}},
        {"app.max_body_bytes", {"0B", "1GiB", "100"}, {"1025MiB", "1MB"}},
        {"debug.allowed_hosts", {"", "a", "a,b.example"}, {"a,", "a b", "a:80"}},
        {"shutdown.lame_duck", {"0s", "5s"}, {"-1s", "soon"}},
        {"shutdown.report", {"", "a/b.json"}, {"a\nb", "\xFF"}},
        {"tracker.sink", {"file", "stdout", "none", "file,nats", "http"}, {"", "fax", "File", "file,", "file,file"}},
        {"tracker.overflow", {"block", "reject", "drop_oldest"}, {"", "drop"}},
        {"tracker.durability", {"memory", "process", "disk"}, {"", "tape"}},
        {"tracker.directory", {"x"}, {""}},
        {"log.level", {"trace", "debug", "info", "warn", "error", "critical", "off"}, {"", "loud"}},
        {"log.format", {"text", "json"}, {"xml"}}};
    for (const auto& trial : trials) {
        config values;
        for (const auto* text : trial.good)
            EXPECT_TRUE(find_setting(trial.key)->set(values, text)) << trial.key << " " << text;
        for (const auto* text : trial.bad)
            EXPECT_FALSE(find_setting(trial.key)->set(values, text)) << trial.key << " " << text;
    }
}

TEST(Settings, APathOfASocketHasToFitItsAddress) {
    config values;
    const auto& address = *find_setting("app.address");
    EXPECT_TRUE(address.set(values, "unix:" + std::string(107, 'p')));
    EXPECT_FALSE(address.set(values, "unix:" + std::string(108, 'p')));
    EXPECT_THAT(address.allowed, HasSubstr("at most 107 bytes"));
}

TEST(Settings, TrustedProxiesAreShownWithoutTheBitsThatDoNotCount) {
    config values;
    const auto& trusted = *find_setting("app.trusted_proxies");
    ASSERT_TRUE(trusted.set(values, "127.0.0.1/8,unix,2001:db8:ffff::1/33,192.0.2.1/32,::1/128"));
    EXPECT_EQ(trusted.get(values), "unix,127.0.0.0/8,2001:db8:8000::/33,192.0.2.1,::1");
    EXPECT_EQ(trusted.toml(values), R"(["unix", "127.0.0.0/8", "2001:db8:8000::/33", "192.0.2.1", "::1"])");
}

TEST(Settings, SayWhatIsAllowed) {
    EXPECT_EQ(find_setting("app.port")->allowed, "a whole number from 0 to 65535");
    EXPECT_EQ(find_setting("tracker.overflow")->allowed, "one of block, reject, drop_oldest");
    EXPECT_EQ(find_setting("tracker.batch_age")->allowed, "a duration from 0s to 1m");
    for (const auto& setting : settings()) {
        EXPECT_FALSE(setting.allowed.empty()) << setting.key;
        EXPECT_FALSE(setting.help.empty()) << setting.key;
        EXPECT_THAT(setting.help, Not(AnyOf(HasSubstr("\n"), EndsWith(".")))) << setting.key;
    }
}

TEST(Settings, WhoAUrlNamesAsItsUserIsNotShown) {
    configs::config values;
    values.tracker.http.url = "http://somebody:word@a:1,http://token@b:2,https://c:3";
    const auto& url = *std::ranges::find(configs::settings(), "tracker.http_url", &configs::setting::key);
    EXPECT_EQ(url.shown(values), "http://***@a:1,http://***@b:2,https://c:3");
    EXPECT_EQ(url.get(values), values.tracker.http.url);
}

TEST(Settings, ASecretIsNeverShown) {
    auto secret = *find_setting("tracker.directory");
    secret.secret = true;
    config values;
    values.tracker.directory = "hunter2";
    EXPECT_EQ(secret.shown(values), "***");
    EXPECT_EQ(secret.toml(values), "\"***\"");
    EXPECT_THAT(fault_of({.to = &secret, .text = "hunter2", .place = "--x"}),
                AllOf(HasSubstr("***"), Not(HasSubstr("hunter2"))));
}

TEST(Settings, ASecretThatIsNotSetIsSeenToBeEmpty) {
    auto secret = *find_setting("ready_file");
    secret.secret = true;
    EXPECT_EQ(secret.shown(config{}), "");
}

}  // namespace
}  // namespace configs
