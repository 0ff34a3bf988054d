#include "cmd/service/telemetry/names.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <thread>

#include "tests/support/process.hpp"
#include "tracker/descriptor.hpp"

namespace telemetry {
namespace {

using lifecycle::clock;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

/// An answer to a question: a CNAME, and what comes after it.
std::string answer_to(std::string question, const std::string& address) {
    question[2] = static_cast<char>(0x81);
    question[7] = 2;
    const std::string pointer("\xC0\x0C", 2);
    const auto type = question.substr(question.size() - 4, 2);
    question += pointer + std::string("\0\5\0\1\0\0\0\1\0\2", 10) + pointer;
    return question + pointer + type + std::string("\0\1\0\0\0\1\0", 7) + static_cast<char>(address.size()) + address;
}

/// A server of names that knows one.
class name_server {
public:
    name_server() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in own{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        socklen_t size = sizeof own;
        ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&own), size);
        ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&own), &size);
        port = ntohs(own.sin_port);
        thread_ = std::jthread([this](const std::stop_token& token) { run(token); });
    }
    ~name_server() {
        thread_.request_stop();
        ::shutdown(socket_.get(), SHUT_RDWR);
    }
    std::uint16_t port = 0;

private:
    void run(const std::stop_token& token) {
        timeval patience{.tv_sec = 0, .tv_usec = 20'000};
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        while (!token.stop_requested()) {
            std::array<char, 512> room;
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto got =
                ::recvfrom(socket_.get(), room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (got <= 0) continue;
            const std::string question(room.data(), static_cast<std::size_t>(got));
            const bool known = question.find(std::string("\x09"
                                                         "collector\x02"
                                                         "ns\x03svc\0\0\x01",
                                                         19)) != question.npos;
            auto answer = known ? answer_to(question, "\x7F" + std::string("\0\0\x09", 3)) : question;
            answer[2] = static_cast<char>(0x81);
            ::sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
        }
    }

    tracker::descriptor socket_;
    std::jthread thread_;
};

tracker::deadline_function never() {
    return [] { return clock::time_point::max(); };
}

TEST(Names, areLookedUpInHostsBeforeAServerIsAsked) {
    const support::temporary_directory place;
    support::write_file(place.path() / "hosts", "127.0.0.5 other Collector # no\n::5 collector\nbad collector\n");
    const name_sources from{.hosts = place.path() / "hosts", .resolver = place.path() / "none"};
    EXPECT_THAT(look_up("collector", never(), from), ElementsAre("127.0.0.5", "::5"));
}

TEST(Names, thatAreLiteralsOrThisMachineAskNobody) {
    const name_sources nowhere{.hosts = "/nowhere", .resolver = "/nowhere", .port = 1};
    EXPECT_THAT(look_up("192.0.2.1", never(), nowhere), ElementsAre("192.0.2.1"));
    EXPECT_THAT(look_up("::1", never(), nowhere), ElementsAre("::1"));
    EXPECT_THAT(look_up("localhost", never(), nowhere), ElementsAre("127.0.0.1", "::1"));
}

TEST(Names, areFoundInTheDomainsOfTheResolver) {
    name_server server;
    const support::temporary_directory place;
    support::write_file(place.path() / "resolv", "nameserver 127.0.0.1\nsearch nowhere.svc ns.svc\noptions ndots:5\n");
    const name_sources from{.hosts = "/nowhere", .resolver = place.path() / "resolv", .port = server.port};
    EXPECT_THAT(look_up("collector", never(), from), ElementsAre("127.0.0.9"));
    EXPECT_THROW(look_up("somebody.else", never(), from), std::runtime_error);
}

TEST(Names, areGivenUpAtTheDeadline) {
    const support::temporary_directory place;
    support::write_file(place.path() / "resolv", "nameserver 127.0.0.1\n");
    const name_sources from{.hosts = "/nowhere", .resolver = place.path() / "resolv", .port = 1, .patience = 1h};
    EXPECT_THROW(look_up(
                     "collector", [] { return clock::time_point(); }, from),
                 std::runtime_error);
}

TEST(Names, takeNoAddressFromAnAnswerThatIsNone) {
    const auto question = dns_question("collector.ns.svc", 1, 77);
    const auto answer = answer_to(question, std::string("\x0A\0\0\1", 4));
    EXPECT_THAT(dns_addresses(answer, 1, 77), ElementsAre("10.0.0.1"));
    EXPECT_THAT(dns_addresses(answer, 1, 78), IsEmpty());
    EXPECT_THAT(dns_addresses(question, 1, 77), IsEmpty()) << "a question";
    for (std::size_t size = 0; size < answer.size(); ++size)
        EXPECT_THAT(dns_addresses(answer.substr(0, size), 1, 77), IsEmpty());
    for (std::size_t at = 0; at < answer.size(); ++at) {
        auto other = answer;
        other[at] = static_cast<char>(0xFF);
        EXPECT_LE(dns_addresses(other, 1, 77).size(), 1U);
    }
    EXPECT_EQ(dns_question("a..b", 1, 1), "");
    EXPECT_EQ(dns_question(std::string(300, 'a'), 1, 1), "");
    EXPECT_EQ(dns_question(std::string(64, 'a') + ".b", 1, 1), "");
}

}  // namespace
}  // namespace telemetry
