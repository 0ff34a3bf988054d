// Rolling restarts behind a real HAProxy that repeats nothing: no request fails.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

std::string haproxy() { return support::tool("haproxy"); }

// inter x fall + one check + a margin, as deploy/haproxy/haproxy.cfg says.
constexpr int inter_ms = 100, fall = 2, check_ms = 100, margin_ms = 200;
constexpr int lame_duck_ms = inter_ms * fall + check_ms + margin_ms;

/// Ports that were free a moment ago: HAProxy's file needs them before anybody listens.
std::vector<std::uint16_t> free_ports(std::size_t count) {
    std::vector<int> held;
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
        held.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(held.back(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
            ::getsockname(held.back(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no free port");
        ports.push_back(ntohs(address.sin_port));
    }
    for (const int each : held) ::close(each);
    return ports;
}

/// Replaces `from`, which must be there exactly once.
void replace(std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    if (at == std::string::npos || text.find(from, at + 1) != std::string::npos)
        throw std::runtime_error("haproxy.cfg: not exactly once: " + from);
    text.replace(at, from.size(), to);
}

/// HAProxy with the file of deploy/, other ports in it.
class balancer {
public:
    balancer(const std::vector<std::uint16_t>& ports, const std::string& reuse)
        : clients_(fmt::format("127.0.0.1:{}", ports[3])), state_(fmt::format("127.0.0.1:{}", ports[4])) {
        auto text = support::read_file(SOURCE_DIR "/deploy/haproxy/haproxy.cfg");
        for (std::size_t i = 0; i < 3; ++i)
            replace(text, fmt::format("127.0.0.1:{}\n", 8081 + i), fmt::format("127.0.0.1:{}\n", ports[i]));
        replace(text, "bind 127.0.0.1:8000", "bind " + clients_.text());
        replace(text, "bind 127.0.0.1:8404", "bind " + state_.text());
        replace(text, "http-reuse safe", "http-reuse " + reuse);
        replace(text, fmt::format("inter {}ms fall {} ", inter_ms, fall),
                fmt::format("inter {}ms fall {} ", inter_ms, fall));  // the test's numbers are the file's
        replace(text, "timeout check 100ms", fmt::format("timeout check {}ms", check_ms));
        const auto directory = root_.path() / "haproxy";
        std::filesystem::create_directory(directory);
        support::write_file(directory / "haproxy.cfg", text);
        process_ = std::make_unique<support::process>(
            support::process::options{haproxy(), {"-db", "-f", "haproxy.cfg"}, {}, directory});
        if (!eventually([&] { return has("three", "UP") || process_->ended(); }) || process_->ended())
            throw std::runtime_error("haproxy: " + process_->err());
    }

    const support::endpoint& clients() const { return clients_; }

    /// What the page of states says of a server; columns of the CSV: 2 the name, 18 the status.
    bool has(const std::string& server, const std::string& status) const {
        std::string page;
        try {
            client connection(state_);
            connection.send("GET /;csv HTTP/1.0\r\n\r\n");
            page = connection.receive_to_end();
        } catch (const std::system_error&) {
            return false;  // not there yet
        }
        const auto row = page.find("replicas," + server + ",");
        if (row == std::string::npos) return false;
        auto at = row;
        for (int column = 1; column < 18; ++column) at = page.find(',', at) + 1;
        return page.compare(at, status.size() + 1, status + ",") == 0;
    }

private:
    support::temporary_directory root_;
    support::endpoint clients_, state_;
    std::unique_ptr<support::process> process_;
};

std::unique_ptr<service> replica(std::uint16_t port) {
    return std::make_unique<service>(std::vector<std::string>{fmt::format("--app.port={}", port),
                                                              fmt::format("--shutdown.lame_duck={}ms", lame_duck_ms),
                                                              "--shutdown.idle_grace=300ms", "--app.threads=1"});
}

void expect_none_failed(const char* who, const support::load::counts& seen) {
    EXPECT_EQ(seen.lost(), 0U) << who;
    EXPECT_EQ(seen.errors, 0U) << who;
    EXPECT_EQ(seen.refused, 0U) << who;
    EXPECT_GT(seen.answered, 50U) << who;
    fmt::print("{}: {} answered, {} errors, {} lost\n", who, seen.answered, seen.errors, seen.lost());
}

void two_rounds(const std::string& reuse) {
    if (haproxy().empty()) GTEST_SKIP() << "haproxy is not installed (scripts/setup ci)";
    const auto ports = free_ports(5);
    std::array<std::unique_ptr<service>, 3> replicas;
    for (std::size_t i = 0; i < 3; ++i) replicas[i] = replica(ports[i]);
    const balancer balancer(ports, reuse);
    const std::array<std::string, 3> names = {"one", "two", "three"};
    for (const auto& name : names) ASSERT_TRUE(eventually([&] { return balancer.has(name, "UP"); })) << name;

    const auto slow_request = [](std::uint64_t nth) {
        return nth % 2 == 0 ? get("/slow?ms=400") : request("POST", "/echo", {}, std::string(50'000, 'u'));
    };
    support::background_load keep_alive(balancer.clients(), {50, [](std::uint64_t) { return get("/"); }});
    support::background_load slow(balancer.clients(), {20, slow_request});
    for (int round = 0; round < 2; ++round)
        for (std::size_t i = 0; i < 3; ++i) {
            SCOPED_TRACE(fmt::format("round {}, replica {}", round, names[i]));
            const auto when = replicas[i]->process().signal(SIGTERM);
            EXPECT_EQ(replicas[i]->exit_code(milliseconds(10'000)), 0) << replicas[i]->err();
            EXPECT_EQ(faults(replicas[i]->report()), "");
            EXPECT_GE(replicas[i]->lasted(when), milliseconds(lame_duck_ms - 1));
            replicas[i] = replica(ports[i]);
            ASSERT_TRUE(eventually([&] { return balancer.has(names[i], "UP"); }));
        }
    expect_none_failed("keep-alive clients", keep_alive.finish());
    expect_none_failed("slow clients", slow.finish());
}

TEST(RollingRestart, FailsNothingWithHttpReuseSafe) { two_rounds("safe"); }
TEST(RollingRestart, FailsNothingWithHttpReuseAlways) { two_rounds("always"); }

}  // namespace
}  // namespace integration
