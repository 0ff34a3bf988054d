// Listeners that outlive the process: handed over by name in the manner of sd_listen_fds(3).

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/integration/swaps.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

/// A socket of the test, which starts the service with it as systemd does. Children inherit it.
class socket_unit {
public:
    explicit socket_unit(bool listens = true) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            (listens && ::listen(descriptor_, SOMAXCONN) != 0) ||
            ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("cannot listen");
        place_ = fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
    }
    ~socket_unit() { ::close(descriptor_); }
    socket_unit(const socket_unit&) = delete;
    socket_unit& operator=(const socket_unit&) = delete;

    int descriptor() const { return descriptor_; }
    support::endpoint place() const { return support::endpoint(place_); }

private:
    int descriptor_;
    std::string place_;
};

/// The service with descriptors 3 and 4; `$$` is the process that becomes it.
service::options with_sockets(const socket_unit& third, const socket_unit& fourth, const std::string& names,
                              std::vector<std::string> flags = {}, const std::string& meant_for = "$$") {
    const auto script = fmt::format(R"(export LISTEN_PID={}; exec "$0" "$@" 3<&{} 4<&{})", meant_for,
                                    third.descriptor(), fourth.descriptor());
    return {.flags = std::move(flags),
            .environment = {"LISTEN_FDS=2", "LISTEN_FDNAMES=" + names},
            .program = SERVICE_WITH_MODULES,
            .starter = {"/bin/bash", "-c", script}};
}

TEST(Activation, TakesListenersByTheirNames) {
    const socket_unit debug, app;
    service service(with_sockets(debug, app, "debug:app", {"--app.port=1", "--debug.port=2"}));
    EXPECT_EQ(service.app().port, app.place().port);
    EXPECT_EQ(service.debug().port, debug.place().port);
    EXPECT_EQ(service.ask(get("/")).status, 200);
    EXPECT_EQ(service.ask_debug(get("/metrics")).status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    const client still(app.place());  // throws when it is refused
}

TEST(Activation, ARestartUnderLoadRefusesAndLosesNobody) {
    const socket_unit app, debug;
    const auto generation = [&] {
        return std::make_unique<service>(with_sockets(app, debug, "app:debug", {"--shutdown.idle_grace=300ms"}));
    };
    auto current = generation();
    traffic clients(app.place());
    std::int64_t accepted = 0;
    std::uint64_t lines = 0;
    for (int nth = 0; nth < swaps(); ++nth) {
        SCOPED_TRACE(fmt::format("restart {}", nth));
        clients.expect_answers();
        current->begin_stop(SIGTERM);
        EXPECT_EQ(current->exit_code(), 0) << current->err();
        EXPECT_EQ(faults(current->report()), "");
        EXPECT_EQ(number(current->report(), "requests", "cut"), 0);
        accepted += number(current->report(), "events", "accepted");
        const auto events = current->events();
        lines += static_cast<std::uint64_t>(std::count(events.begin(), events.end(), '\n'));
        current = generation();
    }
    clients.expect_none_failed();
    EXPECT_EQ(lines, static_cast<std::uint64_t>(accepted));
}

void expect_refusal(const service::options& how, const std::string& words) {
    auto options = how;
    options.wait_until_ready = false;
    service service(options);
    EXPECT_EQ(service.exit_code(), 1);
    const auto said = service.err();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_THAT(said, HasSubstr(words));
}

TEST(Activation, WhatTheServiceCannotTakeStopsItsStartWithOneLine) {
    const socket_unit app, debug, deaf(false);
    expect_refusal(with_sockets(app, debug, "app:web"), "descriptor 4 is named \"web\": allowed are app, debug");
    expect_refusal(with_sockets(app, debug, "app"), "descriptor 4 is named \"\"");
    expect_refusal(with_sockets(app, debug, "app:app"), "app comes twice");
    expect_refusal(with_sockets(app, deaf, "app:debug"), "descriptor 4, debug, is not a listening TCP socket");
    auto many = with_sockets(app, debug, "app:debug");
    many.environment.front() = "LISTEN_FDS=many";
    expect_refusal(many, "LISTEN_FDS = \"many\"");
    for (const auto* beyond : {"65", "1000000000", "18446744073709551616", "-1"}) {
        many.environment.front() = std::string("LISTEN_FDS=") + beyond;
        expect_refusal(many, std::string("LISTEN_FDS = \"") + beyond + "\": allowed is a whole number from 0 to 64");
    }
}

TEST(Activation, MoreDescriptorsThanThereAreStopTheStartWithOneLine) {
    const socket_unit app, debug;
    auto more = with_sockets(app, debug, "app");  // 4 is not open in what it starts
    more.starter.back() = fmt::format(R"(export LISTEN_PID=$$; exec "$0" "$@" 3<&{} 4<&-)", app.descriptor());
    more.environment.back() = "LISTEN_FDNAMES=app:debug";
    expect_refusal(more, "LISTEN_FDS: descriptor 4, debug, is not a listening TCP socket");
    more.environment.front() = "LISTEN_FDS=64";
    more.environment.back() = "LISTEN_FDNAMES=app";
    expect_refusal(more, "descriptor 4 is named \"\": allowed are app, debug");
}

TEST(Activation, DescriptorsThatAreMeantForAnotherProcessAreLeftAlone) {
    const socket_unit app, debug;
    const service service(with_sockets(app, debug, "app:debug", {}, "1"));
    EXPECT_NE(service.app().port, app.place().port);
    EXPECT_EQ(service.ask(get("/")).status, 200);
}

TEST(Activation, WorksWithSystemdsOwnTool) {
    const auto tool = support::tool("systemd-socket-activate");
    if (tool.empty()) GTEST_SKIP() << "systemd-socket-activate is not installed (scripts/setup ci)";
    std::string places[2];
    {
        const socket_unit app, debug;  // free a moment later
        places[0] = app.place().text();
        places[1] = debug.place().text();
    }
    service service({.wait_until_ready = false,
                     .program = SERVICE_WITH_MODULES,
                     .starter = {tool, "--listen=" + places[0], "--listen=" + places[1], "--fdname=app:debug"}});
    // It starts the service at the first connection, which waits meanwhile.
    std::unique_ptr<client> first;
    const auto connects = [&] {
        try {
            first = std::make_unique<client>(support::endpoint(places[0]));
        } catch (const std::system_error&) {
            return service.process().ended();
        }
        return true;
    };
    ASSERT_TRUE(eventually(connects));
    ASSERT_TRUE(first) << service.err();
    const auto answer = first->exchange(get("/"));
    ASSERT_TRUE(answer) << service.err();
    EXPECT_EQ(answer->status, 200);
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
}

}  // namespace
}  // namespace integration
