// Who is calling: headers of the PROXY protocol in front of a connection, and fields of trusted proxies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "configs/values.hpp"
#include "server/metrics.hpp"
#include "tests/server/proxy_headers.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

using namespace proxy_headers;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string v1 = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
const std::string named = "192.0.2.1:56324";

/// Who asks, through whom, and how.
server::handler tells() {
    return [](const lifecycle::context&, const request& asked) {
        return response(http::status::ok,
                        asked.client().text() + " by " + asked.peer.host() + ' ' + std::string(asked.scheme));
    };
}

server::options behind_proxy(std::string_view trusted = {}) {
    auto options = one_loop();
    options.access_log = true;
    options.proxy_protocol = true;
    options.trusted_proxies = *configs::parse_trusted(trusted);
    options.header_timeout = 5s;
    return options;
}

server::options trusting(std::string_view trusted) {
    auto options = behind_proxy(trusted);
    options.proxy_protocol = false;
    return options;
}

double refused(const running& app, std::string_view by) {
    server::metrics_text out;
    app.server().write_metrics(out);
    const auto text = out.take();
    const auto sample = "http_requests_refused_total{server=\"app\",rule=\"" + std::string(by) + "\"} ";
    const auto at = text.find(sample);
    return at == text.npos ? 0 : std::stod(text.substr(at + sample.size()));
}

class ProxyProtocol : public testing::Test {
protected:
    static router routes() { return router().get("/", tells()); }
};

TEST_F(ProxyProtocol, NamesTheClientOfEachRequestOfItsConnection) {
    const running app(routes(), behind_proxy());
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, v1 + get("/")).body, named + " by 127.0.0.1 http");
    EXPECT_EQ(ask_on(client, get("/")).body, named + " by 127.0.0.1 http");
    EXPECT_EQ(app.ask(v2(proxy, tcp6, addresses6) + get("/")).body, "[2001:db8::1]:258 by 127.0.0.1 http");
    EXPECT_EQ(app.ask(v2(proxy, unix_stream, std::string(216, '\0')) + get("/")).body, "unix by 127.0.0.1 http");
}

TEST_F(ProxyProtocol, OneClientThatItNamesCannotTakeAllPlacesAndItsProxyMay) {
    auto options = behind_proxy();
    options.max_connections_per_client = 2;
    const running app(routes(), options);
    auto first = app.connect(), second = app.connect(), third = app.connect(), other = app.connect();
    EXPECT_EQ(ask_on(first, v1 + get("/")).status, 200);
    EXPECT_EQ(ask_on(second, v1 + get("/")).status, 200);
    EXPECT_EQ(ask_on(third, v1 + get("/")).status, 503);
    EXPECT_EQ(ask_on(other, "PROXY TCP4 192.0.2.9 198.51.100.2 56324 443\r\n" + get("/")).status, 200);
    first.reset();
    EXPECT_TRUE(eventually([&] { return app.ask(v1 + get("/")).status == 200; })) << "a place is free";

    options.proxy_protocol = false;
    options.trusted_proxies = *configs::parse_trusted("127.0.0.1");
    const running behind(routes(), options);
    std::vector<support::client> proxys;
    for (int nth = 0; nth < 5; ++nth) {
        proxys.push_back(behind.connect());
        EXPECT_EQ(ask_on(proxys.back(), get("/")).status, 200);
    }
}

TEST_F(ProxyProtocol, AHeaderMayComeByteByByteOrByItself) {
    const running app(routes(), behind_proxy());
    for (const auto& header : {v1, v2(proxy, tcp4, addresses4 + tlv(1, "h2"))}) {
        auto slow = app.connect();
        for (const char byte : header + get("/")) slow.send({&byte, 1});
        EXPECT_EQ(answer_of(slow).status, 200);
        auto apart = app.connect();
        apart.send(header);
        EXPECT_TRUE(eventually([&] { return app.server().now().open >= 2; }));
        EXPECT_EQ(ask_on(apart, get("/")).status, 200);
    }
}

TEST_F(ProxyProtocol, WhatNamesNobodyIsServedAsThePeer) {
    const running app(routes(), behind_proxy());
    for (const auto& header : {v2(local, unspecified, {}), std::string("PROXY UNKNOWN\r\n")})
        EXPECT_THAT(app.ask(header + get("/")).body, ContainsRegex("127.0.0.1:[0-9]+ by 127.0.0.1 http"));
}

TEST_F(ProxyProtocol, ACheckMaySayAgainAndAgainThatItNamesNobody) {
    const running app(routes(), behind_proxy());
    auto check = app.connect();
    for (int nth = 0; nth < 5; ++nth) EXPECT_EQ(ask_on(check, v2(local, unspecified, {}) + get("/")).status, 200);
    EXPECT_EQ(ask_on(check, get("/")).status, 200);
    EXPECT_EQ(ask_on(check, v1 + get("/")).status, 400) << "but not name somebody later";
}

TEST_F(ProxyProtocol, AClientThatHasANameCannotTakeAnother) {
    const running app(routes(), behind_proxy());
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, v1 + get("/")).status, 200);
    EXPECT_EQ(ask_on(client, v2(local, unspecified, {}) + get("/")).status, 400);
}

TEST_F(ProxyProtocol, WhatIsNoHeaderIsClosedCountedAndSaid) {
    running app(routes(), behind_proxy());
    struct fault {
        std::string bytes, rule;
    };
    for (const auto& each : std::vector<fault>{{get("/"), "proxy_header_missing"},
                                               {std::string("\x16\x03\x01\x02\x00", 5), "proxy_header_missing"},
                                               {"PROXY TCP4 nobody\r\n" + get("/"), "proxy_header_malformed"},
                                               {"PROXY UNKNOWN " + std::string(200, 'x'), "proxy_header_malformed"},
                                               {v2(proxy, tcp4, addresses4, 5'000), "proxy_header_malformed"}}) {
        const auto before = refused(app, each.rule);
        auto client = app.connect();
        client.send(each.bytes);
        EXPECT_TRUE(client.closes_silently(5s)) << each.bytes;
        EXPECT_EQ(refused(app, each.rule), before + 1) << each.bytes;
    }
    app.stop();
    EXPECT_THAT(app.log(),
                HasSubstr("app: what 127.0.0.1 sends begins without a header of the PROXY protocol; 1 so far"));
    EXPECT_THAT(app.log(), ContainsRegex("access 127.0.0.1 - - 0 [0-9]+us - PR rule proxy_header_missing\n"));
    EXPECT_THAT(app.log(), ContainsRegex("closed 127.0.0.1 after 0 requests PR\n"));
}

TEST_F(ProxyProtocol, ATornOneIsCountedAndAnEmptyConnectionIsNot) {
    const running app(routes(), behind_proxy());
    auto torn = app.connect();
    torn.send("PROXY TCP4 192.0");
    torn.finish_sending();
    EXPECT_TRUE(torn.closes_silently(5s));
    EXPECT_EQ(refused(app, "proxy_header_malformed"), 1);
    auto empty = app.connect();
    empty.finish_sending();
    EXPECT_TRUE(empty.closes_silently(5s));
    EXPECT_EQ(refused(app, "proxy_header_malformed") + refused(app, "proxy_header_timeout"), 1) << "a check of TCP";
}

TEST_F(ProxyProtocol, OneThatDoesNotComeInTimeIsClosed) {
    auto options = behind_proxy();
    options.header_timeout = 100ms;
    const running app(routes(), options);
    auto half = app.connect(), none = app.connect(), behind = app.connect();
    half.send(v1.substr(0, 20));
    behind.send(v1);
    EXPECT_TRUE(half.closes_silently(5s));
    EXPECT_TRUE(none.closes_silently(5s));
    EXPECT_TRUE(behind.closes_silently(5s)) << "and so is a client that sends nothing after it";
    EXPECT_EQ(refused(app, "proxy_header_timeout"), 2);
}

TEST_F(ProxyProtocol, AHeaderFromNowhereIsNotBelieved) {
    const running app(routes(), behind_proxy("10.0.0.0/8"));
    auto client = app.connect();
    client.send(v1 + get("/"));
    EXPECT_TRUE(client.closes_silently(5s));
    EXPECT_EQ(refused(app, "proxy_header_untrusted"), 1);
    const running trusts(routes(), behind_proxy("127.0.0.0/8"));
    EXPECT_EQ(trusts.ask(v1 + get("/")).status, 200);
}

TEST_F(ProxyProtocol, TheClientStandsInTheAccessLogBesideThePeer) {
    running app(routes(), behind_proxy());
    EXPECT_EQ(app.ask(v1 + get("/", "Connection: close\r\n")).status, 200);
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("access 192.0.2.1 GET / 200 [0-9]+us [0-9a-f]+ -- peer 127.0.0.1\n"));
    EXPECT_THAT(app.log(), ContainsRegex("closed 192.0.2.1 after 1 requests -- peer 127.0.0.1\n"));
}

TEST_F(ProxyProtocol, AStopClosesWhoHasSentNoRequestBehindItAndServesWhoHas) {
    gate held;
    running app(router().get("/", waits_at(held)), behind_proxy());
    auto header_only = app.connect(), half = app.connect(), nothing = app.connect(), busy = app.connect();
    header_only.send(v1);
    half.send(v1.substr(0, 10));
    busy.send(v1 + get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered() && app.server().now().open == 4; }));
    std::jthread stopping([&] { app.stop(); });
    EXPECT_TRUE(header_only.closes_silently(5s));
    EXPECT_TRUE(half.closes_silently(5s));
    EXPECT_TRUE(nothing.closes_silently(5s));
    held.open();
    EXPECT_EQ(answer_of(busy).status, 200);
    stopping.join();
    EXPECT_EQ(refused(app, "proxy_header_timeout") + refused(app, "proxy_header_malformed"), 0) << "no fault of theirs";
}

TEST(TrustedProxies, NameTheClientAndTheSchemeOfEachRequest) {
    running app(router().get("/", tells()), trusting("127.0.0.0/8"));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, get("/", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")).body,
              "192.0.2.7:0 by 127.0.0.1 https");
    EXPECT_THAT(ask_on(client, get("/")).body, ContainsRegex("127.0.0.1:[0-9]+ by 127.0.0.1 http"))
        << "nothing of the request before it";
    EXPECT_EQ(ask_on(client, get("/none", "X-Forwarded-For: 192.0.2.8\r\n")).status, 404);
    app.stop();
    EXPECT_THAT(app.log(), ContainsRegex("access 192.0.2.7 GET / 200 [0-9]+us [0-9a-f]+ -- peer 127.0.0.1\n"));
    EXPECT_THAT(app.log(), ContainsRegex("access 127.0.0.1 GET / 200 [0-9]+us [0-9a-f]+ --\n"));
    EXPECT_THAT(app.log(), ContainsRegex("access 192.0.2.8 GET /none 404 [0-9]+us [0-9a-f]+ -- rule route peer"));
}

TEST(TrustedProxies, OthersAreNotBelieved) {
    for (const auto* trusted : {"", "10.0.0.0/8,unix"}) {
        const running app(router().get("/", tells()), trusting(trusted));
        EXPECT_THAT(app.ask(get("/", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")).body,
                    ContainsRegex("127.0.0.1:[0-9]+ by 127.0.0.1 http$"));
    }
}

TEST(TrustedProxies, BehindAProxyHeaderItIsTheClientThatItNamesWhoIsTrustedOrNot) {
    const running app(router().get("/", tells()), behind_proxy("127.0.0.1,192.0.2.0/24"));
    const auto says = get("/", "X-Forwarded-For: 203.0.113.9\r\n");
    EXPECT_EQ(app.ask(v1 + says).body, "203.0.113.9:0 by 127.0.0.1 http") << "the header names a proxy";
    EXPECT_EQ(app.ask(v2(proxy, tcp6, addresses6) + says).body, "[2001:db8::1]:258 by 127.0.0.1 http");
    EXPECT_EQ(app.ask("PROXY UNKNOWN\r\n" + says).body, "203.0.113.9:0 by 127.0.0.1 http");
}

TEST(TrustedProxies, AreThoseOfTheLatestSettingsForWhoConnectsThen) {
    running app(router().get("/", tells()), trusting(""));
    const auto says = get("/", "X-Forwarded-For: 203.0.113.9\r\n");
    EXPECT_THAT(app.ask(says).body, Not(HasSubstr("203.0.113.9")));
    app.server().apply(trusting("127.0.0.1"));
    EXPECT_TRUE(eventually([&] { return app.ask(says).body == "203.0.113.9:0 by 127.0.0.1 http"; }));
}

}  // namespace
}  // namespace serving
