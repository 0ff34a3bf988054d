// GET /ticks on the real binary: streams of events, and what a stop makes of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/integration/service.hpp"
#include "tests/integration/unread.hpp"

namespace integration {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

std::string ticks(std::string_view query, std::string_view fields = {}, std::string_view version = "1.1") {
    return "GET /ticks?" + std::string(query) + " HTTP/" + std::string(version) + "\r\nHost: x\r\n" +
           std::string(fields) + "\r\n";
}

TEST(EventStream, TicksFromOneOrGoesOnWhereItsClientHasStopped) {
    const service service;
    for (const auto& [fields, first] : {std::pair{"", "1"},
                                        {"Last-Event-ID: 41\r\n", "42"},
                                        {"Last-Event-ID: \xff\xfe none of ours\r\n", "1"},
                                        {"Last-Event-ID: 99999999999999999999999\r\n", "1"},
                                        {"Last-Event-ID: 18446744073709551615\r\n", "1"},  // none is after it
                                        {"Last-Event-ID: -1\r\n", "1"},
                                        {"Last-Event-ID: 1.5\r\n", "1"}}) {
        auto client = service.connect();
        client.send(ticks("ms=10", fields));
        const auto event = std::string("data: ") + first + "\nid: " + first + "\n\n";
        EXPECT_TRUE(says(client, event)) << client.rest();
        EXPECT_EQ(client.rest().find(event), client.rest().find("data: ")) << "there is none before it";
        EXPECT_THAT(client.rest(), HasSubstr("Content-Type: text/event-stream"));
        EXPECT_THAT(client.rest(), HasSubstr("retry: "));
    }
}

TEST(EventStream, StartsAnewAfterTheLargestOfItsNumbers) {
    const service service;
    auto client = service.connect();
    client.send(ticks("ms=10", "Last-Event-ID: 18446744073709551614\r\n"));
    EXPECT_TRUE(says(client, "data: 18446744073709551615\nid: 18446744073709551615\n\n")) << client.rest();
    EXPECT_TRUE(says(client, "data: 1\nid: 1\n\n")) << client.rest();
    EXPECT_THAT(client.rest(), Not(HasSubstr("id: 0\n")));
}

TEST(EventStream, RefusesANumberThatIsNone) {
    const service service;
    for (const char* query : {"", "ms=", "ms=9", "ms=60001", "ms=-1", "ms=x"})
        EXPECT_EQ(service.ask(ticks(query)).status, 400) << query;
}

TEST(EventStream, SaysHeadAndACommentAtOnce) {
    const service service;
    auto client = service.connect();
    client.send(ticks("ms=60000"));
    EXPECT_TRUE(says(client, "\r\n\r\n2\r\n:\n\r\n")) << client.rest();
}

TEST(EventStream, IsToldOfTheDrainEndsWholeAndHoldsNoStop) {
    service service({"--shutdown.idle_grace=300ms", "--shutdown.budget=10m"});  // which nobody here waits for
    std::vector<client> clients;
    for (int nth = 0; nth < 20; ++nth) {
        clients.push_back(service.connect());
        clients.back().send(ticks(nth % 2 == 0 ? "ms=10" : "ms=60000", {}, nth % 4 == 3 ? "1.0" : "1.1"));
        ASSERT_TRUE(says(clients.back(), ":\n"));
    }
    service.process().signal(SIGTERM);
    for (std::size_t nth = 0; nth < clients.size(); ++nth) {
        const auto seen = clients[nth].receive_to_end();
        const std::string bye = "event: bye\nretry: ";
        EXPECT_THAT(seen, HasSubstr(bye));
        EXPECT_THAT(seen, EndsWith(nth % 4 == 3 ? "\n\n" : "\n\n\r\n0\r\n\r\n"));
        EXPECT_EQ(clients[nth].ended(), client::ending::closed) << nth;
    }
    EXPECT_EQ(service.exit_code(), 0);
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "streams", "told"), 20);
    EXPECT_EQ(number(service.report(), "streams", "ended"), 20);
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
}

TEST(EventStream, WhoseClientDoesNotReadIsCutASecondAfterTheIdleGraceAndHoldsNoStop) {
    service service({"--shutdown.idle_grace=200ms", "--shutdown.budget=10m", "--app.write_timeout=10m", small_sockets,
                     "--app.threads=1", "--log.access=true"});
    std::vector<client> clients;
    for (const auto* version : {"1.0", "1.1"}) {
        clients.push_back(service.connect(small_receive_buffer));
        clients.back().send(ticks("ms=10", "Last-Event-ID: 10000000000000000000\r\n", version));
    }
    auto reader = stream_behind_unread_ones(service);
    service.process().signal(SIGTERM);
    reader.receive_to_end();
    EXPECT_EQ(service.exit_code(), 0);
    for (auto& client : clients) {
        client.receive_to_end();
        EXPECT_EQ(client.ended(), client::ending::reset);
    }
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "streams", "told"), 3);
    EXPECT_EQ(number(service.report(), "streams", "ended"), 1);
    EXPECT_EQ(number(service.report(), "streams", "cut"), 2);
    EXPECT_EQ(number(service.report(), "requests", "gone"), 2);
    EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
    EXPECT_TRUE(service.logs("closed 127.0.0.1 after 1 requests TD\n"));
}

TEST(EventStream, ThatIsSilentIsCountedWhereItIsAndNotInTheEstimateOfAStop) {
    const service service;
    std::vector<client> clients;
    for (int nth = 0; nth < 3; ++nth) {
        clients.push_back(service.connect());
        clients.back().send(ticks("ms=60000"));
        ASSERT_TRUE(says(clients.back(), ":\n"));
    }
    EXPECT_TRUE(
        eventually([&] { return metric(service, "http_connections{server=\"app\",state=\"streaming\"}") == 3; }));
    const auto stop = boost::json::parse(service.ask_debug(get("/debug/shutdown")).body).as_object();
    EXPECT_EQ(stop.at("eta_seconds").to_number<double>(), 0) << "a stop ends them";
    EXPECT_EQ(number(stop, "waits_for", "requests_in_flight"), 0);
    EXPECT_THAT(service.ask_debug(get("/debug/tasks")).body, HasSubstr("GET /ticks"));
}

TEST(EventStream, AClientThatHasSentMoreAndGoesIsNotedToo) {
    const service service;
    {
        auto client = service.connect();
        client.send(ticks("ms=60000"));
        ASSERT_TRUE(says(client, ":\n"));
        client.send(get("/"));  // nobody reads it before the end of the stream
        client.finish_sending();
    }
    EXPECT_TRUE(eventually([&] {
        const auto vars = boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object();
        return number(vars, "connections", "open") == 0;
    }));
}

TEST(EventStream, AClientThatHasGoneIsNotedBeforeTheNextEvent) {
    const service service;
    {
        auto client = service.connect();
        client.send(ticks("ms=60000"));
        ASSERT_TRUE(says(client, ":\n"));
    }
    EXPECT_TRUE(eventually([&] {
        const auto vars = boost::json::parse(service.ask_debug(get("/debug/vars")).body).as_object();
        return number(vars, "connections", "open") == 0;
    }));
}

}  // namespace
}  // namespace integration
