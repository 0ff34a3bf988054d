// The real program with its modules and the sink kafka, where no broker is: what a stop costs then.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <thread>

#include "tests/integration/service.hpp"
#include "tests/support/in_time.hpp"
#include "tracker/descriptor.hpp"

namespace integration {
namespace {

using testing::HasSubstr;

service::options with(std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--tracker.sink=kafka", "--tracker.kafka_brokers=127.0.0.1:1", "--shutdown.flush=500ms",
                               "--shutdown.budget=2s"});
    service::options options;
    options.flags = std::move(flags);
    options.program = SERVICE_WITH_MODULES;
    return options;
}

bool is_built() {
    support::process::options how;
    const support::temporary_directory root;
    how.program = SERVICE_WITH_MODULES;
    how.directory = root.path();
    how.arguments = {"--check-config", "--tracker.sink=kafka"};
    support::process asked(std::move(how));
    const auto status = asked.wait(milliseconds(30'000));
    return status && status->code == 0;
}

TEST(KafkaSink, ABrokerThatIsAwayIsALineAndAMetricAndAStopEndsInTimeWithNoThreadLeft) {
    if (!is_built()) GTEST_SKIP() << "librdkafka is not installed (scripts/setup test)";
    service service(with({}));
    EXPECT_TRUE(service.readiness_is(200));
    for (const auto* id : {"a", "b", "c"}) EXPECT_EQ(service.ask(post(id)).status, 201);
    EXPECT_TRUE(service.logs("sink kafka fails")) << service.err();
    EXPECT_THAT(service.err(), HasSubstr("127.0.0.1:1"));
    EXPECT_EQ(metric(service, "tracker_sink_healthy{sink=\"kafka\"}"), 0);
    const auto since = service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_TRUE(support::in_time(service.lasted(since), milliseconds(2'100)));
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "spooled"), 3);
}

/// Answers whatever comes with what no broker says, and closes.
class nonsense {
public:
    nonsense() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length);
        ::listen(listener_.get(), 8);
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    int connections() const { return connections_; }

private:
    void run(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            pollfd watched{listener_.get(), POLLIN, 0};
            if (::poll(&watched, 1, 20) <= 0) continue;
            const tracker::descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            ++connections_;
            watched.fd = client.get();
            std::array<char, 4'096> asked;
            if (::poll(&watched, 1, 1'000) > 0 && ::recv(client.get(), asked.data(), asked.size(), 0) < 0) continue;
            constexpr std::string_view said("\0\0\0\x20HTTP/1.1 400 Bad Request\r\n\r\nxxxx", 36);
            ::send(client.get(), said.data(), said.size(), MSG_NOSIGNAL);
        }
    }

    tracker::descriptor listener_;
    int port_ = 0;
    std::atomic<int> connections_{0};
    std::jthread thread_;
};

TEST(KafkaSink, ABrokerThatAnswersNonsenseIsLeftAndTriedAgainWithALineInFiveSeconds) {
    if (!is_built()) GTEST_SKIP() << "librdkafka is not installed (scripts/setup test)";
    nonsense broker;
    auto how = with({});
    std::ranges::replace(how.flags, "--tracker.kafka_brokers=127.0.0.1:1",
                         "--tracker.kafka_brokers=" + broker.address());
    const auto since = support::clock::now();
    service service(std::move(how));
    EXPECT_EQ(service.ask(post("a")).status, 201);
    EXPECT_TRUE(service.logs("sink kafka fails")) << service.err();
    EXPECT_TRUE(eventually([&] { return broker.connections() >= 4; }, milliseconds(30'000))) << broker.connections();
    const auto log = service.err();
    const auto most = 1 + (support::clock::now() - since) / std::chrono::seconds(5);
    std::ptrdiff_t lines = 0;
    for (auto at = log.find("sink kafka fails"); at != log.npos; at = log.find("sink kafka fails", at + 1)) ++lines;
    EXPECT_LE(lines, most) << log;
    EXPECT_TRUE(service.readiness_is(200));
    service.process().signal(SIGTERM);
    EXPECT_EQ(service.exit_code(), 0) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "events", "spooled"), 1) << "nothing accepted is lost";
}

TEST(KafkaSink, AFaultInItsPropertiesIsAFaultAtTheStart) {
    if (!is_built()) GTEST_SKIP() << "librdkafka is not installed (scripts/setup test)";
    const support::temporary_directory root;
    const auto path = (root.path() / "kafka.properties").string();
    support::write_file(path, "acks=1\n");
    auto how = with({"--tracker.kafka_properties=" + path});
    how.wait_until_ready = false;
    service service(std::move(how));
    EXPECT_EQ(service.exit_code(), 1);
    EXPECT_TRUE(service.logs("line 1: acks stays as it is")) << service.err();
}

}  // namespace
}  // namespace integration
