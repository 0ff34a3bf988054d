// A server whose name has several addresses, at some of which nothing answers.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/sinks/fake_server.hpp"
#include "tests/support/in_time.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/http/http_sink.hpp"
#include "tracker/http_connection/connect_race.hpp"

namespace {

using namespace std::chrono_literals;
using fakes::clock;
using fakes::fake_server;
using fakes::make_event;
using reply = fake_server::reply;
using testing::ElementsAre;
using testing::HasSubstr;
using strings = std::vector<std::string>;

/// An address at which the kernel swallows every SYN: the queue of its listener is full. It answers no client, and
/// refuses none.
class swallowing_address {
public:
    swallowing_address(const char* address, std::uint16_t port) {
        sockaddr_in here{};
        here.sin_family = AF_INET;
        here.sin_port = htons(port);
        ::inet_pton(AF_INET, address, &here.sin_addr);
        const auto* const at = reinterpret_cast<const sockaddr*>(&here);
        if (::bind(listener_.get(), at, sizeof here) != 0 || ::listen(listener_.get(), 0) != 0)
            throw std::system_error(errno, std::generic_category(), address);
        for (int i = 0; i < 4; ++i) {
            auto& socket = waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            ::connect(socket.get(), at, sizeof here);
        }
    }

private:
    const tracker::descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::vector<tracker::descriptor> waiting_;
};

struct Addresses : testing::Test {
    tracker::http_sink to(std::uint16_t port, const strings& addresses) {
        tracker::options options;
        options.http.url = "http://sink.example:" + std::to_string(port) + "/in";
        options.http.timeout = timeout;
        return {options, [this] { return flush_until.load(); },
                [this, addresses](const std::string& name) {
                    names.push_back(name);
                    return addresses;
                }};
    }
    static std::string failure(tracker::http_sink& sink) try {
        const std::vector<tracker::event> event{make_event("a")};
        sink.deliver(event);
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
    static std::uint16_t port_of(const fake_server& server) {
        const auto url = server.url();
        return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
    }

    std::chrono::milliseconds timeout{10s};
    std::atomic<clock::time_point> flush_until{clock::time_point::max()};
    strings names;
};

TEST_F(Addresses, OneThatSwallowsEverythingCostsItsShareAndNotTheDelivery) {
    fake_server server([](std::size_t, const auto&) { return reply(); });
    const swallowing_address first("127.0.0.2", port_of(server)), second("127.0.0.3", port_of(server));
    auto sink = to(port_of(server), {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
    const auto began = clock::now();
    EXPECT_EQ(failure(sink), "");
    EXPECT_TRUE(support::in_time(clock::now() - began, 5s));
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_THAT(names, ElementsAre("sink.example"));
}

TEST_F(Addresses, WithManyEachHasItsShareOfTheTimeOut) {
    timeout = 2s;
    fake_server server([](std::size_t, const auto&) { return reply(); });
    std::vector<std::unique_ptr<swallowing_address>> dead;
    strings addresses;
    for (int i = 2; i < 22; ++i) {
        addresses.push_back("127.0.0." + std::to_string(i));
        dead.push_back(std::make_unique<swallowing_address>(addresses.back().c_str(), port_of(server)));
    }
    addresses.emplace_back("127.0.0.1");
    auto sink = to(port_of(server), addresses);
    EXPECT_EQ(failure(sink), "");
}

TEST_F(Addresses, ThoseThatRefuseCostNoTime) {
    fake_server server([](std::size_t, const auto&) { return reply(); });
    strings addresses;
    for (int i = 2; i < 22; ++i) addresses.push_back("127.0.0." + std::to_string(i));
    addresses.emplace_back("127.0.0.1");
    auto sink = to(port_of(server), addresses);
    const auto began = clock::now();
    EXPECT_EQ(failure(sink), "");
    EXPECT_TRUE(support::in_time(clock::now() - began, 4s)) << "twenty waits would be five seconds";
}

TEST_F(Addresses, WhenAllSwallowTheTimeOutIsTheEnd) {
    timeout = 300ms;
    fake_server server([](std::size_t, const auto&) { return reply(); });
    const swallowing_address first("127.0.0.2", port_of(server)), second("127.0.0.3", port_of(server));
    auto sink = to(port_of(server), {"127.0.0.2", "127.0.0.3"});
    const auto began = clock::now();
    EXPECT_EQ(failure(sink), "connect: no time is left");
    EXPECT_GE(clock::now() - began, 300ms);
    EXPECT_TRUE(support::in_time(clock::now() - began, 5s));
}

TEST_F(Addresses, WhenAllRefuseItSaysSo) {
    std::uint16_t port = 0;
    {
        fake_server server([](std::size_t, const auto&) { return reply(); });
        port = port_of(server);
    }
    auto sink = to(port, {"127.0.0.2", "127.0.0.1"});
    EXPECT_THAT(failure(sink), HasSubstr("connect: Connection refused"));
    auto nowhere = to(port, {});
    EXPECT_THAT(failure(nowhere), HasSubstr("connect: Host not found"));
}

TEST_F(Addresses, OneThatTakesAConnectionAndHangsIsNotTheFirstAgain) {
    timeout = 1s;
    fake_server server([](std::size_t, const auto&) { return reply(); });
    // It has room in its queue, and nothing takes what stands in it.
    const tracker::descriptor hangs(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(port_of(server));
    ::inet_pton(AF_INET, "127.0.0.2", &here.sin_addr);
    ASSERT_EQ(::bind(hangs.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    ASSERT_EQ(::listen(hangs.get(), 16), 0);
    auto sink = to(port_of(server), {"127.0.0.2", "127.0.0.1"});
    EXPECT_EQ(failure(sink), "receive: no time is left");
    EXPECT_EQ(failure(sink), "");
}

TEST_F(Addresses, ASlowLookUpIsNotBegunWhenThereIsNoTimeForIt) {
    tracker::options options;
    options.http.url = "http://sink.example/";
    int asked = 0;
    tracker::http_sink sink(
        options, [this] { return flush_until.load(); },
        [&](const std::string&) -> strings {
            ++asked;
            fakes::eventually([until = clock::now() + 100ms] { return clock::now() >= until; });
            throw std::runtime_error("look up: no server of names answers");
        });
    EXPECT_EQ(failure(sink), "look up: no server of names answers");
    flush_until = clock::now() + 50ms;
    EXPECT_EQ(failure(sink), "look up: no time is left");
    EXPECT_EQ(asked, 1);
}

TEST(Interleaved, TheFamiliesTakeTurns) {
    using boost::asio::ip::make_address;
    using boost::asio::ip::tcp;
    std::vector<tcp::endpoint> all;
    for (const auto* each : {"::1", "::2", "::3", "127.0.0.1", "127.0.0.2"}) all.emplace_back(make_address(each), 1);
    strings order;
    for (const auto& each : tracker::interleaved(all)) order.push_back(each.address().to_string());
    EXPECT_THAT(order, ElementsAre("::1", "127.0.0.1", "::2", "127.0.0.2", "::3"));
    EXPECT_TRUE(tracker::interleaved({}).empty());
}

}  // namespace
