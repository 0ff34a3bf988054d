// The real program on UNIX sockets: what finds them, what removes them, and how they outlive a process.

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "server/net/unix_socket.hpp"
#include "tests/integration/generations.hpp"
#include "tests/integration/swaps.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

/// A directory with paths for both servers.
class sockets {
public:
    std::string path(const std::string& name) const { return (root_.path() / name).string(); }
    std::vector<std::string> flags(std::vector<std::string> more = {}) const {
        more.push_back("--app.address=unix:" + path("app"));
        more.push_back("--debug.address=unix:" + path("debug"));
        return more;
    }
    bool are_there() const { return std::filesystem::exists(path("app")) && std::filesystem::exists(path("debug")); }
    bool are_gone() const { return !std::filesystem::exists(path("app")) && !std::filesystem::exists(path("debug")); }

private:
    support::temporary_directory root_;
};

TEST(UnixSockets, AreServedNamedByReadyFileAndRemovedAtTheEnd) {
    const sockets at;
    service service(at.flags({"--app.unix_mode=0600"}));
    EXPECT_EQ(service.app().text(), "unix:" + at.path("app"));
    EXPECT_EQ(service.debug().text(), "unix:" + at.path("debug"));
    EXPECT_EQ(service.ask(get("/")).body, "Hello, QCon!\n");
    EXPECT_EQ(service.ask_debug(get("/readyz")).status, 200);
    struct stat app {
    }, debug{};
    ASSERT_EQ(::stat(at.path("app").c_str(), &app) | ::stat(at.path("debug").c_str(), &debug), 0);
    EXPECT_EQ(app.st_mode & 07777U, 0600U);
    EXPECT_EQ(debug.st_mode & 07777U, 0660U);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_TRUE(at.are_gone());
}

TEST(UnixSockets, AreFoundByAProbe) {
    const sockets at;
    const auto address = "--debug.address=unix:" + at.path("debug");
    EXPECT_EQ(run_to_end({"--probe", "readyz", address}).code, 1);
    service service(at.flags({"--shutdown.lame_duck=20s", "--shutdown.budget=60s"}));
    EXPECT_EQ(run_to_end({"--probe", "livez", address}).code, 0);
    EXPECT_EQ(run_to_end({"--probe", "readyz", address}).code, 0);
    service.begin_stop(SIGTERM);
    EXPECT_EQ(run_to_end({"--probe", "readyz", address}).code, 1);
}

TEST(UnixSockets, WhatSigkillHasLeftIsReplacedAndASecondProcessIsToldSo) {
    const sockets at;
    {
        service killed(at.flags());
        const auto second = run_to_end(at.flags());
        EXPECT_EQ(second.code, 1);
        EXPECT_THAT(second.err, HasSubstr("cannot listen on unix:" + at.path("app")));
        EXPECT_THAT(second.err, HasSubstr("another process listens there"));
        EXPECT_EQ(killed.ask(get("/")).status, 200) << "and nothing of it was taken away";
        killed.process().signal(SIGKILL);
        killed.process().wait(milliseconds(5'000));
    }
    ASSERT_TRUE(at.are_there());
    const service next(at.flags());
    EXPECT_EQ(next.ask(get("/")).status, 200);
    EXPECT_EQ(next.ask_debug(get("/readyz")).status, 200);
}

TEST(UnixSockets, AWrongPathIsAFaultOfTheSettings) {
    for (const auto& [address, words] : std::vector<std::pair<std::string, std::string>>{
             {"unix:" + std::string(108, 'p'), "at most 107 bytes"}, {"unix:@name", "does not begin with @"}}) {
        const auto refused = run_to_end({"--app.address=" + address});
        EXPECT_EQ(refused.code, 1);
        EXPECT_EQ(refused.err_lines, 1U);
        EXPECT_THAT(refused.err, testing::AllOf(HasSubstr("app.address"), HasSubstr(words)));
    }
    const auto nowhere = run_to_end({"--app.address=unix:none/app.sock", "--debug.port=0"});
    EXPECT_EQ(nowhere.code, 1);
    EXPECT_THAT(nowhere.err, HasSubstr("its directory is not there"));
}

TEST(UnixSockets, AStopUnderLoadLosesNothing) {
    const sockets at;
    for (int nth = 0; nth < 5 && !testing::Test::HasFailure(); ++nth) {
        SCOPED_TRACE(fmt::format("stop {}", nth));
        service service(at.flags());
        support::load load(service.app(), {32, [](std::uint64_t number) {
                                               return number % 4 == 0 ? request("POST", "/events", {}, "one")
                                                                      : get("/");
                                           }});
        ASSERT_TRUE(load.run([&] { return load.seen().answered >= 500; }, milliseconds(20'000)));
        service.process().signal(SIGTERM);
        EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(15'000)));
        EXPECT_TRUE(load.finish(milliseconds(5'000)));
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(load.seen().lost(), 0U);
        EXPECT_EQ(load.seen().errors, 0U);
        EXPECT_EQ(faults(service.report()), "");
        EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
        EXPECT_TRUE(at.are_gone());
    }
}

TEST(UnixSockets, AnUpgradeInPlaceCarriesThemAndTheLastOneRemovesThem) {
    const sockets at;
    generations all(at.flags({"--shutdown.idle_grace=300ms", "--tracker.retry_max=50ms"}));
    traffic clients(all.first().app());
    for (int nth = 0; nth < 2; ++nth) {
        SCOPED_TRACE(fmt::format("upgrade {}", nth));
        clients.expect_answers();
        const auto [code, report] = all.upgrade();
        EXPECT_EQ(code, 0) << all.first().err();
        EXPECT_EQ(faults(report), "");
        EXPECT_TRUE(at.are_there());
        EXPECT_EQ(all.first().ask_debug(get("/readyz")).status, 200);
    }
    clients.expect_none_failed();
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
    EXPECT_TRUE(at.are_gone());
}

TEST(UnixSockets, ASuccessorThatDoesNotStartRemovesNothing) {
    const sockets at;
    generations all(at.flags({"--upgrade_timeout=20s"}));
    support::write_file(all.first().directory() / "wrong.toml", "[app]\nport = 'none'\n");
    all.install_script(fmt::format("exec {} \"$@\" --config wrong.toml\n", SERVICE_WITH_MODULES));
    all.signal(SIGUSR2);
    EXPECT_TRUE(all.says("upgrade failed, this process stays")) << all.first().err();
    EXPECT_TRUE(at.are_there());
    EXPECT_EQ(all.first().ask(get("/")).status, 200);
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
    EXPECT_TRUE(at.are_gone());
}

TEST(UnixSockets, OnesThatAreHandedInByNameStayWhereTheyAre) {
    const sockets at;
    const int app = server::listen_on_path(at.path("app"), 0600, SOMAXCONN);
    const int debug = server::listen_on_path(at.path("debug"), 0600, SOMAXCONN);
    const auto script = fmt::format(R"(export LISTEN_PID=$$; exec "$0" "$@" 3<&{} 4<&{})", app, debug);
    for (const int each : {app, debug}) ::fcntl(each, F_SETFD, 0);
    for (int nth = 0; nth < 2; ++nth) {
        service service({.environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=app:debug"},
                         .program = SERVICE_WITH_MODULES,
                         .starter = {"/bin/bash", "-c", script}});
        EXPECT_EQ(service.app().text(), "unix:" + at.path("app"));
        EXPECT_EQ(service.ask(get("/")).status, 200);
        EXPECT_EQ(service.ask_debug(get("/readyz")).status, 200);
        service.process().signal(SIGTERM);
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_TRUE(at.are_there());
    }
    ::close(app);
    ::close(debug);
}

TEST(UnixSockets, CurlFindsThem) {
    const auto curl = support::tool("curl");
    if (curl.empty()) GTEST_SKIP() << "curl is not installed (scripts/setup ci)";
    const sockets at;
    const service service(at.flags());
    support::process asks(
        {.program = curl,
         .arguments = {"-sS", "-m", "10", "--unix-socket", at.path("app"), "http://localhost/", "--next", "-sS", "-m",
                       "10", "-d", "event", "--unix-socket", at.path("app"), "http://localhost/events"},
         .environment = {},
         .directory = service.directory()});
    const auto ended = asks.wait(milliseconds(20'000));
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->code, 0) << asks.err();
    EXPECT_THAT(asks.out(), testing::AllOf(HasSubstr("Hello, QCon!"), HasSubstr("\"id\"")));
}

}  // namespace
}  // namespace integration
