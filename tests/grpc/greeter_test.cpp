// The example of docs/http2.md as a real program: its calls, their deadlines, and a stop.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "proto/greeter.pb.h"
#include "server/http2/grpc.hpp"
#include "tests/http2_service/client.hpp"
#include "tests/integration/service.hpp"

namespace grpc_tests {
namespace {

using greeter::v1::GreetReply;
using greeter::v1::GreetRequest;
using http2_tests::connected_peer;
using integration::faults;
using integration::number;
using integration::service;
using namespace std::chrono_literals;

std::int32_t call(connected_peer& client, std::string_view method, const GreetRequest& asks,
                  const http2_tests::peer::fields& more = {}) {
    http2_tests::peer::fields fields{{"content-type", "application/grpc"}, {"te", "trailers"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return client.ask("POST", "/greeter.v1.Greeter/" + std::string(method), fields,
                      server::http2::grpc_framed(asks.SerializeAsString()));
}
GreetRequest whom(const std::string& name, std::chrono::milliseconds after = 0ms) {
    GreetRequest made;
    made.set_name(name);
    made.set_after_ms(static_cast<std::uint32_t>(after.count()));
    return made;
}
/// Of a reply: its text; of Trailers-Only: grpc-status.
std::string said(const http2_tests::peer::answer& by) {
    GreetReply reply;
    if (by.body.empty()) return by.header("grpc-status");
    EXPECT_TRUE(reply.ParseFromString(by.body.substr(5)));
    EXPECT_EQ(by.trailers.find("grpc-status")->second, "0");
    return reply.text();
}

TEST(Greeter, GreetsAtOnceAndLater) {
    service service;
    connected_peer client(service.app());
    const auto now = call(client, "Greet", whom("Ada"));
    const auto later = call(client, "GreetLater", whom("Grace", 20ms));
    const auto nobody = call(client, "Greet", whom(""));
    const auto nothing = call(client, "Nothing", whom("Ada"));
    for (const auto id : {now, later, nobody, nothing}) ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(said(client.answers[now]), "Hello, Ada!");
    EXPECT_EQ(said(client.answers[later]), "Hello, Grace!");
    EXPECT_EQ(said(client.answers[nobody]), "3");
    EXPECT_EQ(client.answers[nobody].header("grpc-message"), "name: whom to greet");
    EXPECT_EQ(said(client.answers[nothing]), "12");
}

TEST(Greeter, TheDeadlineOfACallEndsIt) {
    service service;
    connected_peer client(service.app());
    const auto id = call(client, "GreetLater", whom("Ada", 1h), {{"grpc-timeout", "50m"}});
    ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(said(client.answers[id]), "4");
}

TEST(Greeter, AMessageThatIsTooLargeIsResourceExhausted) {
    service service({"--app.max_body_bytes=1KiB"});
    connected_peer client(service.app());
    const auto id = call(client, "Greet", whom(std::string(2'000, 'a')));
    ASSERT_TRUE(client.answered(id)) << service.err();
    EXPECT_EQ(said(client.answers[id]), "8");
}

TEST(Greeter, AStopFinishesACallAndAtItsEndSaysUnavailable) {
    service service({"--shutdown.budget=2s", "--shutdown.flush=200ms", "--shutdown.idle_grace=100ms"});
    connected_peer client(service.app());
    const auto in_time = call(client, "GreetLater", whom("Ada", 300ms));
    const auto never = call(client, "GreetLater", whom("Ada", 1h));
    client.until([] { return false; }, 50ms);  // they are on their way
    service.begin_stop(SIGTERM);
    ASSERT_TRUE(client.until([&] { return client.closed; }));
    EXPECT_EQ(said(client.answers[in_time]), "Hello, Ada!");
    EXPECT_EQ(said(client.answers[never]), "14");
    EXPECT_EQ(service.exit_code(), 3) << service.err();
    EXPECT_EQ(faults(service.report()), "");
    EXPECT_EQ(number(service.report(), "requests", "cut"), 1);
}

}  // namespace
}  // namespace grpc_tests
