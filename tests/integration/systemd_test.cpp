// The module systemd, in the real program: what systemd is told of the life of the process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tests/support/notify_listener.hpp"

namespace integration {
namespace {

using support::notify_listener;

std::unique_ptr<service> told_to(const notify_listener& systemd, std::vector<std::string> flags = {}) {
    return std::make_unique<service>(service::options{
        .flags = std::move(flags), .environment = {systemd.variable()}, .program = SERVICE_WITH_MODULES});
}

TEST(Systemd, HearsWhenTheServiceAnswersAndThatItEndsHoweverShortTheStop) {
    notify_listener systemd;
    const auto service = told_to(systemd);
    ASSERT_TRUE(systemd.hears("READY=1"));
    EXPECT_EQ(service->ask(get("/readyz")).status, 200);
    EXPECT_TRUE(systemd.hears("STATUS=serving on 127.0.0.1:"));
    service->process().signal(SIGTERM);
    EXPECT_EQ(service->exit_code(), 0) << service->err();
    EXPECT_EQ(faults(service->report()), "");
    systemd.listen();
    EXPECT_EQ(systemd.times_of("STOPPING=1").size(), 1U);
    EXPECT_EQ(systemd.times_of("READY=1").size(), 1U);
    EXPECT_FALSE(systemd.has("WATCHDOG")) << "nobody asked for it";
}

TEST(Systemd, HearsWhenAReloadBeganAndThatItIsOver) {
    notify_listener systemd;
    const auto service = told_to(systemd);
    ASSERT_TRUE(systemd.hears("READY=1"));
    const auto before = std::chrono::duration_cast<std::chrono::microseconds>(clock::now().time_since_epoch()).count();
    service->process().signal(SIGHUP);
    const std::string reloading = "RELOADING=1\nMONOTONIC_USEC=";
    ASSERT_TRUE(systemd.hears(reloading));
    // steady_clock is CLOCK_MONOTONIC, which is what systemd compares it with.
    EXPECT_GE(std::stoll(systemd.heard().back().text.substr(reloading.size())), before);
    EXPECT_TRUE(systemd.hears("READY=1"));
}

TEST(Systemd, IsNotToldOfALameDuckThatCanStillBeLeft) {
    notify_listener systemd;
    const auto service = told_to(systemd, {"--shutdown.lame_duck=5s"});
    ASSERT_TRUE(systemd.hears("READY=1"));
    EXPECT_EQ(service->ask_debug(request("POST", "/debug/shutdown")).status, 202);
    EXPECT_TRUE(systemd.hears("STATUS=lame_duck"));
    EXPECT_EQ(service->ask_debug(request("DELETE", "/debug/shutdown")).status, 200);
    EXPECT_TRUE(systemd.hears("STATUS=serving"));
    EXPECT_FALSE(systemd.has("STOPPING"));
    service->process().signal(SIGTERM);
    EXPECT_TRUE(systemd.hears("STOPPING=1"));
    service->signal_again(SIGTERM);
    EXPECT_EQ(service->exit_code(), 0) << service->err();
}

TEST(Systemd, GivesMoreTimeOnlyWhileTheDrainGetsOn) {
    notify_listener systemd;
    const auto service = told_to(systemd, {"--shutdown.idle_grace=100ms"});
    ASSERT_TRUE(systemd.hears("READY=1"));
    auto quick = service->connect();
    auto slow = service->connect();
    quick.send(get("/slow?ms=1500"));
    slow.send(get("/slow?ms=6000"));
    const auto both_wait = [&] {
        return service->ask_debug(get("/debug/shutdown")).body.find("\"requests_in_flight\":2") != std::string::npos;
    };
    ASSERT_TRUE(eventually(both_wait));
    service->process().signal(SIGTERM);
    ASSERT_TRUE(systemd.hears("STOPPING=1"));
    ASSERT_TRUE(quick.receive());
    const auto moved = clock::now();
    EXPECT_TRUE(systemd.hears("EXTEND_TIMEOUT_USEC=")) << "something has ended";
    while (!service->process().ended()) systemd.hears("STATUS", milliseconds(100));
    ASSERT_TRUE(slow.receive());
    EXPECT_EQ(service->exit_code(), 0) << service->err();
    // Looked at every second: the end of the quick one, then nothing until the end of the slow one 4.5 s later.
    const auto from = moved + milliseconds(2'000), to = moved + milliseconds(4'000);
    for (const auto at : systemd.times_of("EXTEND_TIMEOUT_USEC=")) EXPECT_FALSE(at > from && at < to);
}

/// How often a text comes.
std::size_t times(const std::string& all, const std::string& text) {
    std::size_t count = 0;
    for (auto at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) ++count;
    return count;
}

void expect_one_line_and_a_stop(service& service, const std::string& line) {
    EXPECT_EQ(service.ask(get("/")).status, 200);
    EXPECT_TRUE(service.logs(line)) << service.err();
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(times(service.err(), "NOTIFY_SOCKET"), 1U) << service.err();
    EXPECT_EQ(faults(service.report()), "");
}

TEST(Systemd, HoldsNothingUpWhenItIsNotThereWhichIsALine) {
    for (const auto* where : {"/nowhere/notify", "@nobody-listens-here", "nowhere"}) {
        service service({.environment = {std::string("NOTIFY_SOCKET=") + where, "WATCHDOG_USEC=100000"},
                         .program = SERVICE_WITH_MODULES});
        expect_one_line_and_a_stop(
            service, std::string("NOTIFY_SOCKET = \"") + where + "\": systemd hears nothing of this process");
    }
}

TEST(Systemd, HoldsNothingUpWhenItIsGoneInTheMiddleWhichIsALine) {
    auto systemd = std::make_unique<notify_listener>();
    const auto service = told_to(*systemd, {"--shutdown.lame_duck=200ms"});
    ASSERT_TRUE(systemd->hears("READY=1"));
    systemd.reset();
    service->process().signal(SIGTERM);
    EXPECT_EQ(service->exit_code(), 0) << service->err();
    EXPECT_EQ(times(service->err(), "NOTIFY_SOCKET"), 1U) << service->err();
    EXPECT_EQ(faults(service->report()), "");
}

TEST(Systemd, HoldsNothingUpWhenItDoesNotListen) {
    notify_listener systemd;
    systemd.fill();
    const auto service =
        told_to(systemd, {"--shutdown.budget=2s", "--shutdown.idle_grace=100ms", "--shutdown.flush=1s"});
    const auto when = service->process().signal(SIGTERM);
    EXPECT_EQ(service->exit_code(), 0) << service->err();
    EXPECT_TRUE(support::in_time(service->lasted(when), milliseconds(1'000)));
    EXPECT_EQ(faults(service->report()), "");
}

}  // namespace
}  // namespace integration
