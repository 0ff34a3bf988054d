// SIGUSR2: a new process of a new binary takes the listeners, the old one drains.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "tests/integration/generations.hpp"
#include "tests/integration/swaps.hpp"
#include "tests/support/notify_listener.hpp"

namespace integration {
namespace {

using testing::ElementsAre;

constexpr const char* never_ready = "exec tail -f /dev/null\n";

std::vector<std::string> lines_of(const std::filesystem::path& path) {
    std::istringstream text(support::read_file(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
    return lines;
}

TEST(Upgrade, UnderLoadRefusesAndLosesNobody) {
    generations all({"--shutdown.idle_grace=300ms", "--tracker.retry_max=50ms"});
    traffic clients(all.first().app());
    std::int64_t accepted = 0;
    const auto expect_clean = [&](const auto& end, const char* cause) {
        const auto& [code, report] = end;
        EXPECT_EQ(code, 0) << all.first().err();
        EXPECT_EQ(report.at("cause"), cause);
        EXPECT_EQ(faults(report), "");
        EXPECT_EQ(number(report, "requests", "cut"), 0);
        accepted += number(report, "events", "accepted");
    };
    for (int nth = 0; nth < swaps(); ++nth) {
        SCOPED_TRACE(fmt::format("upgrade {}", nth));
        clients.expect_answers();
        // One that never got the file of the sink has events for it at its stop, and waits for it until the budget
        // ends.
        ASSERT_TRUE(eventually([&] { return metric(all.first(), "tracker_events_delivered_total") > 0; }));
        expect_clean(all.upgrade(), "upgrade");
    }
    clients.expect_none_failed();
    // What a generation left in the spool because the one before still had the file, the last one has delivered.
    expect_clean(all.stop(), "SIGTERM");
    const auto events = lines_of(all.first().directory() / "var/events/events.jsonl");
    EXPECT_EQ(static_cast<std::int64_t>(events.size()), accepted);
    EXPECT_EQ(all.first().err().find("previous run"), std::string::npos) << "nobody was killed";
}

TEST(Upgrade, TakesTheBinaryThatIsAtThePathNow) {
    generations all;
    const support::temporary_directory other;
    std::filesystem::copy_file(SERVICE_WITH_MODULES, other.path() / "newer");
    all.install(other.path() / "newer");
    EXPECT_EQ(all.upgrade().first, 0);
    EXPECT_EQ(std::filesystem::read_symlink(fmt::format("/proc/{}/exe", all.pid())), other.path() / "newer");
    EXPECT_EQ(all.first().ask(get("/")).status, 200);
    EXPECT_EQ(all.first().ask_debug(get("/readyz")).status, 200);
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
}

TEST(Upgrade, AListenerThatNobodyElseHasIsTheNextOnesOwn) {
    generations all;
    for (int nth = 0; nth < 2; ++nth) {
        EXPECT_EQ(all.upgrade().first, 0);
        EXPECT_THAT(support::read_file(fmt::format("/proc/{}/environ", all.pid())),
                    testing::HasSubstr("UPGRADE_PATHS=app,debug"));
    }
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
}

TEST(Upgrade, ARequestInFlightIsAnsweredByTheOldOneAndTheNextByTheNewOne) {
    generations all({"--shutdown.lame_duck=500ms"});
    auto slow = all.first().connect();
    slow.send(get("/slow?ms=700"));
    ASSERT_TRUE(all.first().handles("/slow"));
    const auto [code, report] = all.upgrade();
    EXPECT_EQ(code, 0);
    const auto answer = slow.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_TRUE(answer->closes());
    EXPECT_EQ(number(report, "requests", "in_flight_at_stop"), 1);
    EXPECT_EQ(number(report, "requests", "finished"), 1);
    EXPECT_FALSE(all.first().ask(get("/")).closes());
}

TEST(Upgrade, ASuccessorThatDoesNotStartLeavesTheOldOneServing) {
    generations all({"--upgrade_timeout=300ms"});
    const auto expect_no_upgrade = [&](const std::string& why) {
        all.signal(SIGUSR2);
        EXPECT_TRUE(all.says(why)) << all.first().err();
        EXPECT_EQ(all.first().ask(get("/readyz")).status, 200);
        EXPECT_EQ(all.first().ask_debug(get("/readyz")).status, 200);
    };
    all.install_script("exit 7\n");
    expect_no_upgrade("ended with exit code 7 before it was ready");
    all.install_script("kill -KILL $$\n");
    expect_no_upgrade("was ended by signal 9 before it was ready");
    all.install_script(never_ready);
    expect_no_upgrade("was not ready within 300 ms and was ended by signal 15");
    all.install("/nowhere");
    expect_no_upgrade("cannot be executed: No such file or directory");
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
    EXPECT_EQ(faults(all.first().report()), "");
}

TEST(Upgrade, AfterOneThatFailedTheNextSucceeds) {
    generations all;
    all.install_script("exit 1\n");
    all.signal(SIGUSR2);
    ASSERT_TRUE(all.says("exit code 1 before it was ready"));
    all.install(SERVICE_WITH_MODULES);
    EXPECT_EQ(all.upgrade().first, 0) << all.first().err();
    EXPECT_EQ(all.first().ask(get("/")).status, 200);
}

TEST(Upgrade, IsRefusedDuringAnotherAndDuringAStop) {
    generations all({"--shutdown.lame_duck=300ms"});
    all.install_script(never_ready);
    all.signal(SIGUSR2);
    ASSERT_TRUE(all.says("upgrade: starting"));
    all.signal(SIGUSR2);
    EXPECT_TRUE(all.says("SIGUSR2 ignored: upgrade is under way"));
    all.signal(SIGTERM);
    EXPECT_TRUE(all.says("this process stays: a stop has begun"));
    all.signal(SIGUSR2);
    EXPECT_TRUE(all.says("SIGUSR2 ignored: the service is stopping"));
    EXPECT_EQ(all.first().exit_code(), 0) << all.first().err();
    EXPECT_EQ(faults(all.first().report()), "");
}

TEST(Upgrade, LeavesTheSuccessorTheListenersAndNothingElse) {
    generations all({}, {"WATCHDOG_PID=1"});
    const auto connection = all.first().connect();  // a descriptor that it must not have
    // The shell itself holds the script, above 9.
    all.install_script(
        "cd /proc/$$/fd; for one in ?; do readlink $one; done >\"$OLDPWD/descriptors\"\n"
        // No other process: a shell blocks its signals while it starts one.
        "while read name mask; do case $name in SigBlk:) echo $mask;; esac; done <../status >\"$OLDPWD/mask\"\n"
        "echo $$ $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES $WATCHDOG_PID >\"$OLDPWD/variables\"\nexit 3\n");
    all.signal(SIGUSR2);
    ASSERT_TRUE(all.says("exit code 3"));
    const auto descriptors = lines_of(all.first().directory() / "descriptors");
    const auto socket = testing::StartsWith("socket:"), pipe = testing::StartsWith("pipe:");
    ASSERT_EQ(descriptors.size(), 6U) << support::read_file(all.first().directory() / "descriptors");
    EXPECT_THAT(std::vector<std::string>(descriptors.begin() + 3, descriptors.end()),
                ElementsAre(socket, socket, pipe));
    EXPECT_EQ(support::read_file(all.first().directory() / "mask"), "0000000000000000\n");
    std::istringstream words(support::read_file(all.first().directory() / "variables"));
    std::string pid, listen_pid, count, names, watchdog_pid;
    words >> pid >> listen_pid >> count >> names >> watchdog_pid;
    EXPECT_EQ(listen_pid, pid);
    EXPECT_EQ(watchdog_pid, pid);
    EXPECT_EQ(count + ' ' + names, "2 app:debug");
}

TEST(Upgrade, TellsSystemdWhoTheServiceIsNow) {
    support::notify_listener systemd;
    generations all({}, {systemd.variable()});
    ASSERT_TRUE(systemd.hears("READY=1"));
    all.signal(SIGUSR2);
    ASSERT_TRUE(systemd.hears("MAINPID="));
    const auto told = systemd.heard().back().text;
    EXPECT_EQ(all.followed().first, 0) << all.first().err();
    EXPECT_EQ(told, fmt::format("MAINPID={}", all.pid()));
    systemd.listen();
    EXPECT_FALSE(systemd.has("STOPPING")) << "the service does not stop";
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
    EXPECT_TRUE(systemd.hears("STOPPING=1"));
}

/// systemd kills a main process that is no child of its own, instead of waiting for it.
TEST(Upgrade, TheSuccessorIsAChildOfTheManagerBeforeThatIsToldOfIt) {
    support::notify_listener systemd;
    generations all({}, {systemd.variable()});
    ASSERT_TRUE(systemd.hears("READY=1"));
    auto busy = all.first().connect();
    ASSERT_TRUE(busy.send(get("/slow?ms=1000")));  // the old one is still there
    ASSERT_TRUE(all.first().handles("/slow"));
    all.signal(SIGUSR2);
    ASSERT_TRUE(systemd.hears("MAINPID="));
    const auto told = systemd.heard().back().text;
    const auto status = support::read_file("/proc/" + told.substr(told.find('=') + 1) + "/status");
    EXPECT_NE(status.find(fmt::format("PPid:\t{}\n", ::getpid())), status.npos) << status;
    EXPECT_EQ(busy.receive()->status, 200);
    EXPECT_EQ(all.followed().first, 0) << all.first().err();
    EXPECT_EQ(all.stop().first, 0) << all.first().err();
}

/// Of its descriptors.
std::ptrdiff_t sockets_of(pid_t pid) {
    std::error_code gone;
    return std::ranges::count_if(
        std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid)), [&](const auto& each) {
            return std::filesystem::read_symlink(each.path(), gone).string().starts_with("socket:");
        });
}

TEST(Upgrade, AStopThatIsTakenBackWhileItHandsOverLeavesOneThatListens) {
    support::notify_listener systemd;
    generations all({"--shutdown.lame_duck=5s"}, {systemd.variable()});
    ASSERT_TRUE(systemd.hears("READY=1"));
    client debug(all.first().debug(), milliseconds(20'000));
    const auto asks = [&](const std::string& method) {
        debug.send(method + " /debug/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        const auto answer = debug.receive();
        return answer ? answer->status : 0;
    };
    debug.send(get("/livez"));  // it stays connected when the listener goes
    ASSERT_TRUE(debug.receive());
    const auto sockets = sockets_of(all.pid());
    systemd.fill();  // which holds the old one up between the word of the new one and its own stop
    all.signal(SIGUSR2);
    ASSERT_TRUE(all.says("is ready and has the listeners"));
    EXPECT_EQ(asks("POST"), 202);
    EXPECT_TRUE(eventually([&] { return sockets_of(all.pid()) < sockets; })) << "it has given its listeners up";
    const auto left = asks("DELETE");
    EXPECT_TRUE(left == 200 || left == 409) << left << ", the second when the upgrade was faster";
    systemd.listen();
    const auto [code, report] = all.followed();
    EXPECT_EQ(code, 0) << all.first().err();
    EXPECT_EQ(report.at("cause"), "upgrade");
    EXPECT_EQ(all.first().ask(get("/")).status, 200);
    EXPECT_EQ(all.first().ask_debug(get("/readyz")).status, 200);
}

TEST(Upgrade, WithoutTheModuleSigusr2IsALine) {
    service plain;
    plain.process().signal(SIGUSR2);
    EXPECT_TRUE(eventually([&] { return plain.err().find("built without UPGRADE") != std::string::npos; }));
    EXPECT_EQ(plain.ask(get("/")).status, 200);
}

/// The number of the service as the test sees it, when unshare(1) has made it process 1 of a namespace.
pid_t child_of(pid_t parent) {
    const auto text = support::read_file(fmt::format("/proc/{0}/task/{0}/children", parent));
    return text.empty() ? -1 : std::stoi(text);
}

TEST(Upgrade, IsRefusedAsProcess1) {
    service init(
        {.wait_until_ready = false,
         .program = SERVICE_WITH_MODULES,
         .starter = {support::tool("unshare"), "--user", "--map-root-user", "--pid", "--fork", "--kill-child"}});
    const auto ready = [&] { return !support::read_file(init.directory() / "ready.json").empty(); };
    if (!eventually([&] { return ready() || init.process().ended(); }) || !ready())
        GTEST_SKIP() << "a process namespace cannot be made here: " << init.err();
    const auto pid = child_of(init.process().pid());
    ASSERT_GT(pid, 1);
    ::kill(pid, SIGUSR2);
    EXPECT_TRUE(eventually([&] { return init.err().find("SIGUSR2 ignored: this is process 1") != std::string::npos; }));
    EXPECT_EQ(init.err().find("upgrade: starting"), std::string::npos);
    ::kill(pid, SIGTERM);
    EXPECT_EQ(init.exit_code(), 0) << init.err();
}

}  // namespace
}  // namespace integration
