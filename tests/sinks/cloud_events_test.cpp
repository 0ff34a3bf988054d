// The sink http with tracker.cloudevents: an event is a request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sinks/fake_server.hpp"
#include "tests/tracker/fakes.hpp"
#include "tracker/http/http_sink.hpp"

namespace {

using fakes::fake_server;
using fakes::make_event;
using reply = fake_server::reply;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

reply status(const std::string& line) { return {.bytes = "HTTP/1.1 " + line + "\r\nContent-Length: 0\r\n\r\n"}; }

struct HttpCloudEvents : testing::Test {
    HttpCloudEvents() { batch[0].headers.set("datacontenttype", "text/plain"); }
    tracker::http_sink to(const fake_server& server) {
        tracker::options options;
        options.http.url = server.url();
        options.cloud_events = {.on = true, .source = "/shop", .type = "sold"};
        return tracker::http_sink(options, [] { return lifecycle::clock::time_point::max(); });
    }
    static std::vector<std::string> ids(const fake_server& server) {
        std::vector<std::string> all;
        for (const auto& each : server.requests()) all.push_back(each.header("ce-id"));
        return all;
    }
    std::vector<tracker::event> batch{make_event("one", "a"), make_event("two", "b"), make_event("three", "c")};
};

TEST_F(HttpCloudEvents, EachEventIsARequestWithItsDataAndHeadersOnOneConnection) {
    fake_server server([](std::size_t, const auto&) { return reply(); });
    auto sink = to(server);
    batch[0].headers.set("subject", "x");
    sink.deliver(batch);
    ASSERT_THAT(ids(server), ElementsAre("a", "b", "c"));
    const auto requests = server.requests();
    EXPECT_EQ(requests[0].body, "one");
    EXPECT_EQ(requests[0].header("Content-Type"), "text/plain");
    EXPECT_EQ(requests[0].header("ce-type"), "sold");
    EXPECT_EQ(requests[0].header("ce-subject"), "x");
    EXPECT_EQ(requests[0].header("Idempotency-Key"), "a");
    EXPECT_THAT(requests[1].head, Not(HasSubstr("Content-Type"))) << "nothing is left of the one before";
    EXPECT_THAT(requests[1].head, Not(HasSubstr("ce-subject")));
    EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpCloudEvents, WhatHasBeenTakenOfABatchThatFailsIsNotSentAgain) {
    fake_server server([](std::size_t number, const auto&) { return number == 2 ? status("503 Later") : reply(); });
    auto sink = to(server);
    EXPECT_THROW(sink.deliver(batch), std::runtime_error);
    sink.deliver(batch);
    EXPECT_THAT(ids(server), ElementsAre("a", "b", "b", "c"));
    sink.deliver(batch);
    EXPECT_EQ(ids(server).size(), 7U) << "a batch that is delivered is forgotten";
}

TEST_F(HttpCloudEvents, TheOneThatIsRefusedForWhatItIsIsNamed) {
    fake_server server(
        [](std::size_t, const auto& asked) { return asked.header("ce-id") == "b" ? status("422 No") : reply(); });
    auto sink = to(server);
    try {
        sink.deliver(batch);
        FAIL();
    } catch (const tracker::rejected_event& failure) {
        EXPECT_THAT(failure.indices(), ElementsAre(1));
    }
    EXPECT_NO_THROW(sink.deliver(std::vector{batch[0]})) << "the part that is known to be in, and the rest";
    EXPECT_NO_THROW(sink.deliver(std::vector{batch[2]}));
    EXPECT_THAT(ids(server), ElementsAre("a", "b", "c"));
}

}  // namespace
