// SIGHUP and POST /debug/config/reload on the real binary: what changes, what waits, and what is refused.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <optional>
#include <stop_token>
#include <thread>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

/// A service whose settings file can be written again.
class reloading {
public:
    explicit reloading(std::vector<std::string> flags = {}, support::held_calls* calls = nullptr)
        : path_(root_.path() / "settings.toml") {
        write("");
        flags.push_back("--config=" + path_.string());
        service_.emplace(service::options{.flags = std::move(flags), .calls = calls});
    }

    void write(const std::string& text) const { std::ofstream(path_) << text; }
    /// A reader that opens it waits for a writer, which never comes.
    void replace_by_a_pipe() const {
        std::filesystem::remove(path_);
        ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    }
    integration::service& service() { return *service_; }
    const std::filesystem::path& path() const { return path_; }
    response post() const { return service_->ask_debug(request("POST", "/debug/config/reload")); }
    boost::json::object posted() const { return boost::json::parse(post().body).as_object(); }

private:
    support::temporary_directory root_;
    std::filesystem::path path_;
    std::optional<integration::service> service_;
};

std::string body_of(std::size_t bytes) {
    return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
           std::string(bytes, 'x');
}

TEST(Reload, APostAppliesAndAnswersWithTheDifference) {
    reloading with;
    EXPECT_EQ(with.service().ask(body_of(11)).status, 200);
    with.write("[app]\nmax_body_bytes = '10B'\n");
    const auto told = with.posted();
    EXPECT_EQ(told.at("result").as_string(), "applied");
    EXPECT_EQ(told.at("generation").to_number<int>(), 2);
    EXPECT_EQ(boost::json::serialize(told.at("changed")),
              R"([{"key":"app.max_body_bytes","before":"1MiB","after":"10B"}])");
    EXPECT_EQ(with.service().ask(body_of(11)).status, 413);
    EXPECT_THAT(with.service().ask_debug(get("/debug/config")).body, HasSubstr("settings.toml:2"));
    EXPECT_EQ(metric(with.service(), "config_generation"), 2);
    EXPECT_EQ(metric(with.service(), "config_reloads_total{result=\"applied\"}"), 1);
}

TEST(Reload, WhatTakesANewStartIsNamedAndTheRestIsApplied) {
    reloading with;
    with.write("[app]\nthreads = 7\nidle_timeout = '9s'\n");
    const auto told = with.posted();
    EXPECT_EQ(boost::json::serialize(told.at("needs_restart")),
              R"([{"key":"app.threads","in_force":"0","asked":"7"}])");
    EXPECT_EQ(told.at("changed").as_array().size(), 1U);
    EXPECT_TRUE(with.service().logs("app.threads stays 0: 7 needs a restart")) << with.service().err();
    const auto shown = with.service().ask_debug(get("/debug/config")).body;
    EXPECT_THAT(shown, HasSubstr(R"({"key":"app.threads","value":"0","place":"built-in"})"));
    EXPECT_THAT(shown, HasSubstr(R"({"key":"app.idle_timeout","value":"9s")"));
}

TEST(Reload, AFaultKeepsEverythingAsItIs) {
    reloading with;
    for (const char* text : {"[app]\nmax_body_bytes = '10B'\nno_such = 1\n", "[app\n", "[app]\nidle_timeout = 'soon'\n",
                             "[app]\nmax_body_bytes = '10B'\nmax_header_bytes = '1KiB'\nmax_target_bytes = '2KiB'\n"}) {
        with.write(text);
        const auto answer = with.post();
        EXPECT_EQ(answer.status, 422) << text;
        EXPECT_THAT(answer.body, HasSubstr("settings.toml")) << text;
    }
    EXPECT_EQ(with.service().ask(body_of(11)).status, 200);
    EXPECT_EQ(metric(with.service(), "config_reloads_total{result=\"refused\"}"), 4);
    EXPECT_EQ(metric(with.service(), "config_generation"), 1);
}

TEST(Reload, SighupDoesTheSame) {
    reloading with;
    with.write("[app]\nmax_body_bytes = '10B'\n[log]\nlevel = 'debug'\n[tracker]\noverflow = 'reject'\n");
    with.service().process().signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return with.service().err().find("reloaded: 3 settings") != std::string::npos; }))
        << with.service().err();
    EXPECT_EQ(with.service().ask(body_of(11)).status, 413);
    EXPECT_THAT(with.service().ask_debug(get("/debug/log")).body, HasSubstr("debug"));
}

TEST(Reload, DuringAStopItIsRefusedWithALine) {
    reloading with;
    auto connection = with.service().connect();
    connection.send(get("/slow?ms=500"));
    ASSERT_TRUE(with.service().handles("/slow"));
    with.service().begin_stop(SIGTERM);
    EXPECT_EQ(with.post().status, 409);
    EXPECT_TRUE(with.service().logs("reload refused: the service is stopping")) << with.service().err();
    ASSERT_TRUE(connection.receive());
    EXPECT_EQ(with.service().exit_code(), 0);
}

TEST(Reload, WhatAStopOvertakesIsRefusedWithALineAndIsNoError) {
    if (const auto why = support::held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why;
    support::held_calls calls;
    reloading with({}, &calls);
    auto& service = with.service();
    auto connection = service.connect();
    connection.send(get("/slow?ms=500"));
    ASSERT_TRUE(service.handles("/slow"));
    with.write("[app]\nmax_body_bytes = '10B'\n");
    calls.hold([](const auto& call) { return call.path.ends_with("settings.toml"); });
    service.process().signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return calls.held() == 1; }));
    service.begin_stop(SIGTERM);
    calls.release();
    EXPECT_TRUE(service.logs("reload refused: the service is stopping")) << service.err();
    ASSERT_TRUE(connection.receive());
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(service.err().find(" error "), std::string::npos) << service.err();
}

TEST(Reload, APageOfAnotherOriginMayNotReload) {
    reloading with;
    const auto evil = "POST /debug/config/reload HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n";
    EXPECT_EQ(with.service().ask_debug(evil).status, 403);
}

TEST(Reload, AFileThatHangsHoldsNeitherTheServiceNorItsExitAndIsNamed) {
    reloading with({"--shutdown.budget=60s", "--shutdown.idle_grace=0s"});
    with.replace_by_a_pipe();
    client hanging(with.service().debug(), milliseconds(20'000), 0);
    hanging.send(request("POST", "/debug/config/reload"));
    ASSERT_TRUE(eventually([&] {
        return with.service().ask_debug(get("/debug/tasks")).body.find(R"("name":"reload")") != std::string::npos;
    }));
    EXPECT_EQ(with.post().status, 409) << "one at a time";
    EXPECT_EQ(with.service().ask(get("/")).status, 200);
    const auto when = with.service().begin_stop(SIGTERM);
    EXPECT_EQ(with.service().exit_code(), 3);
    EXPECT_TRUE(support::in_time(with.service().lasted(when), milliseconds(10'000))) << "not the whole budget";
    EXPECT_THAT(boost::json::serialize(with.service().report().at("stragglers")), HasSubstr(R"("name":"reload")"));
}

TEST(Reload, AFileThatNamesNoKeyIsRefusedWithALine) {
    reloading with;
    with.write("[app]\nmax_body_bytes = '10B'\n");
    ASSERT_EQ(with.post().status, 200);
    for (const char* text : {"", "# all of it\n\n", "[app]\n"}) {
        with.write(text);
        const auto answer = with.post();
        EXPECT_EQ(answer.status, 422) << text;
        EXPECT_THAT(answer.body, HasSubstr("names no key")) << text;
    }
    with.write("");
    with.service().process().signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return metric(with.service(), "config_reloads_total{result=\"refused\"}") == 4; }));
    EXPECT_TRUE(with.service().logs("reload refused, the settings stay as they are: ")) << with.service().err();
    EXPECT_EQ(with.service().ask(body_of(11)).status, 413);
    EXPECT_EQ(metric(with.service(), "config_generation"), 2);
}

TEST(Reload, AFileThatIsBeingWrittenIsRefusedUntilItIsWhole) {
    reloading with;
    with.write("[app]\nmax_body_bytes = '10B'\n");
    const std::jthread writing([&](const std::stop_token& enough) {
        while (!enough.stop_requested()) {
            ::utimensat(AT_FDCWD, with.path().c_str(), nullptr, 0);
            ::poll(nullptr, 0, 1);
        }
    });
    // If the writer did not get to run for 20 ms it looks like a file at rest, and rightly.
    EXPECT_TRUE(
        eventually([&] { return with.post().body.find("is being written all the time") != std::string::npos; }));
}

TEST(Reload, ASighupDuringAReloadIsASecondOneSoThatTheLastStateIsInForce) {
    if (const auto why = support::held_calls::unavailable(); !why.empty()) GTEST_SKIP() << why;
    support::held_calls calls;
    reloading with({}, &calls);
    auto& service = with.service();
    ASSERT_EQ(service.ask(post("one")).status, 201);
    ASSERT_TRUE(eventually([&] { return service.events().find("one") != std::string::npos; }));
    with.write("[app]\nmax_body_bytes = '10B'\n");
    calls.hold([](const auto& call) { return call.path.ends_with("settings.toml"); });
    service.process().signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return calls.held() == 1; }))
        << "it reads the settings, and has opened the event files";

    std::filesystem::rename(service.directory() / "var/events/events.jsonl", service.directory() / "moved.jsonl");
    with.write("[app]\nmax_body_bytes = '12B'\n");
    service.process().signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return service.err().find("another one follows") != std::string::npos; }));
    calls.release();
    EXPECT_TRUE(eventually([&] { return metric(service, "config_reloads_total{result=\"applied\"}") == 2; }));
    EXPECT_EQ(service.ask(body_of(12)).status, 200);
    EXPECT_EQ(service.ask(body_of(13)).status, 413);
    ASSERT_EQ(service.ask(post("two")).status, 201);
    EXPECT_TRUE(eventually([&] { return service.events().find("two") != std::string::npos; }));
    EXPECT_EQ(support::read_file(service.directory() / "moved.jsonl").find("two"), std::string::npos);
}

TEST(Reload, HundredsOfThemUnderRequestsLoseNothing) {
    reloading with;
    auto connection = with.service().connect();
    for (int nth = 0; nth < 300; ++nth) {
        with.write(nth % 2 == 0 ? "[app]\nidle_timeout = '70s'\n" : "[app]\nidle_timeout = '75s'\n");
        if (nth % 3 == 0)
            with.service().process().signal(SIGHUP);
        else
            ASSERT_EQ(with.post().status, 200) << nth;
        connection.send(get("/"));
        const auto answer = connection.receive();
        ASSERT_TRUE(answer) << nth;
        ASSERT_EQ(answer->status, 200) << nth;
    }
    with.service().begin_stop(SIGTERM);
    EXPECT_EQ(with.service().exit_code(), 0);
    EXPECT_EQ(faults(with.service().report()), "");
}

}  // namespace
}  // namespace integration
