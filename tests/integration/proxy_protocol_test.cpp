// The real program behind proxies: who is calling, and how a stop treats a connection that has only said that.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/service.hpp"
#include "tests/support/load.hpp"

namespace integration {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

const std::string header = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const std::string local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);

TEST(ProxyProtocol, TheClientIsWhatTheLogAndTheListOfRequestsShow) {
    const service service(service::options{
        .flags = {"--app.proxy_protocol=true", "--app.trusted_proxies=127.0.0.0/8", "--log.access=true"},
        .program = SERVICE_WITH_MODULES});
    EXPECT_EQ(service.ask(header + get("/")).status, 200);
    EXPECT_TRUE(service.logs("access 192.0.2.1 GET / 200"));
    EXPECT_THAT(service.err(), ContainsRegex("access 192.0.2.1 GET / 200 .* peer 127.0.0.1\n"));
    auto slow = service.connect();
    slow.send(header + get("/slow?ms=60000"));
    ASSERT_TRUE(service.handles("/slow"));
    const auto tasks = service.ask_debug(get("/debug/tasks")).body;
    EXPECT_THAT(tasks, HasSubstr(R"("client":"192.0.2.1:56324","peer":"127.0.0.1:)"));
}

TEST(ProxyProtocol, WhatComesWithoutItIsCountedAndProbesOfTheDebugPortNeedNone) {
    const service service({"--app.proxy_protocol=true"});
    auto bare = service.connect();
    bare.send(get("/readyz"));
    EXPECT_TRUE(bare.closes_silently(milliseconds(5'000)));
    EXPECT_EQ(metric(service, R"(http_requests_refused_total{server="app",rule="proxy_header_missing"})"), 1);
    EXPECT_TRUE(service.logs("begins without a header of the PROXY protocol"));
    EXPECT_EQ(service.ask(local + get("/readyz")).status, 200) << "as checks of HAProxy and Envoy come";
    const auto port = "--debug.port=" + std::to_string(service.debug().port);
    EXPECT_EQ(run_to_end({"--probe", "readyz", port}).code, 0);
}

TEST(ProxyProtocol, AStopUnderLoadBehindHeadersLosesNothing) {
    for (int nth = 0; nth < 5 && !testing::Test::HasFailure(); ++nth) {
        SCOPED_TRACE(fmt::format("stop {}", nth));
        service service({"--app.proxy_protocol=true"});
        auto only_header = service.connect();
        only_header.send(header);
        support::load load(
            service.app(),
            {.connections = 32,
             .request =
                 [](std::uint64_t number) { return number % 4 == 0 ? get("/", "Connection: close\r\n") : get("/"); },
             .greeting = header});
        ASSERT_TRUE(load.run([&] { return load.seen().answered >= 500; }, milliseconds(20'000)));
        service.process().signal(SIGTERM);
        EXPECT_TRUE(load.run([&] { return load.alive() == 0 || service.process().ended(); }, milliseconds(15'000)));
        EXPECT_TRUE(load.finish(milliseconds(5'000)));
        EXPECT_TRUE(only_header.closes_silently(milliseconds(5'000)));
        EXPECT_EQ(service.exit_code(), 0) << service.err();
        EXPECT_EQ(load.seen().lost(), 0U);
        EXPECT_EQ(load.seen().errors, 0U);
        EXPECT_EQ(faults(service.report()), "");
        EXPECT_EQ(number(service.report(), "requests", "cut"), 0);
    }
}

TEST(TrustedProxies, NameTheClientInTheLog) {
    const service service({"--app.trusted_proxies=127.0.0.1,::1", "--log.access=true"});
    EXPECT_EQ(service.ask(get("/", "X-Forwarded-For: 10.9.9.9, 192.0.2.44\r\nForwarded: for=6.6.6.6\r\n")).status, 200);
    EXPECT_TRUE(service.logs("access 192.0.2.44 GET / 200"));
}

TEST(TrustedProxies, AWrongPrefixNamesKeyPlaceAndWhatIsAllowed) {
    const auto refused = run_to_end({"--app.trusted_proxies=10.0.0.0/8,10.0.0.0/33"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.err_lines, 1U) << refused.err;
    EXPECT_THAT(refused.err, testing::AllOf(HasSubstr("app.trusted_proxies"), HasSubstr("--app.trusted_proxies"),
                                            HasSubstr("10.0.0.0/33"), HasSubstr("10.0.0.0/8 or fd00::/8")));
}

}  // namespace
}  // namespace integration
