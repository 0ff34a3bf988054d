// Whom trusted proxies name, and what a client cannot make them say.
#include "server/forwarded.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "configs/values.hpp"

namespace {

using server::forwarded_field;

/// Who asks, with the scheme after a blank when there is one; "peer" when nobody is named.
std::string who(const std::vector<std::pair<std::string, std::string>>& fields,
                forwarded_field by = forwarded_field::x_forwarded_for,
                std::string_view trusted = "10.0.0.0/8,fd00::/8") {
    server::request asked;
    for (const auto& [name, value] : fields) asked.fields.push_back({server::http::field::unknown, name, value});
    const auto seen = read_forwarded(asked, *configs::parse_trusted(trusted), by);
    auto text = seen.client ? seen.client->text() : "peer";
    return seen.scheme.empty() ? text : text + ' ' + std::string(seen.scheme);
}

std::string by_forwarded(const std::vector<std::string>& lines) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const auto& line : lines) fields.emplace_back("Forwarded", line);
    return who(fields, forwarded_field::forwarded);
}

TEST(Forwarded, WithoutTheFieldItIsThePeer) {
    EXPECT_EQ(who({}), "peer");
    EXPECT_EQ(who({{"X-Forwarded-For", ""}}), "peer");
    EXPECT_EQ(who({{"X-Forwarded-For", " , ,"}}), "peer");
}

TEST(Forwarded, TheListIsWalkedFromTheRightToTheFirstThatIsNotTrusted) {
    EXPECT_EQ(who({{"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1:0");
    EXPECT_EQ(who({{"X-Forwarded-For", "192.0.2.1, 10.0.0.2, 10.0.0.1"}}), "192.0.2.1:0");
    EXPECT_EQ(who({{"X-Forwarded-For", "203.0.113.9,192.0.2.1,10.0.0.1"}}), "192.0.2.1:0") << "as Envoy joins them";
    EXPECT_EQ(who({{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}), "10.0.0.3:0") << "all are trusted: the leftmost";
    EXPECT_EQ(who({{"X-Forwarded-For", "2001:db8::1, fd00::7"}}), "[2001:db8::1]:0");
}

TEST(Forwarded, AllLinesAreOneListWithBlanksOrWithout) {
    EXPECT_EQ(who({{"X-Forwarded-For", "198.51.100.1"}, {"x-forwarded-for", "\t192.0.2.1 ,10.0.0.1"}, {"Host", "a"}}),
              "192.0.2.1:0");
    EXPECT_EQ(who({{"X-Forwarded-For", "192.0.2.1"}, {"Accept", "x"}, {"X-Forwarded-For", "10.0.0.1"}}), "192.0.2.1:0");
}

TEST(Forwarded, PortsAndBracketsAreUnderstood) {
    EXPECT_EQ(who({{"X-Forwarded-For", "192.0.2.1:4711"}}), "192.0.2.1:4711");
    EXPECT_EQ(who({{"X-Forwarded-For", "[2001:db8::1]:4711"}}), "[2001:db8::1]:4711");
    EXPECT_EQ(who({{"X-Forwarded-For", "[2001:db8::1]"}}), "[2001:db8::1]:0");
    EXPECT_EQ(who({{"X-Forwarded-For", "::ffff:192.0.2.1"}}), "192.0.2.1:0");
}

TEST(Forwarded, WhatIsNoAddressEndsTheWalk) {
    for (const auto* wrong : {"unknown", "_hidden", "proxy.example", "192.0.2.1:x", "192.0.2.1:70000",
                              "192.0.2.1:", "[::1", "[192.0.2.1]", "\"192.0.2.1\"", "1.2.3.4.5", "::1%eth0", "\xff"}) {
        EXPECT_EQ(who({{"X-Forwarded-For", std::string("192.0.2.1, ") + wrong}}), "peer") << wrong;
        EXPECT_EQ(who({{"X-Forwarded-For", std::string("192.0.2.1, ") + wrong + ", 10.0.0.1"}}), "10.0.0.1:0") << wrong;
    }
}

TEST(Forwarded, OnlyTheFieldThatIsChosenIsRead) {
    const std::vector<std::pair<std::string, std::string>> all{{"X-Forwarded-For", "192.0.2.1"},
                                                               {"Forwarded", "for=192.0.2.2"},
                                                               {"X-Real-Ip", "192.0.2.3"},
                                                               {"X-Client-Ip", "192.0.2.4"},
                                                               {"X-Forwarded-Host", "evil"}};
    EXPECT_EQ(who(all), "192.0.2.1:0");
    EXPECT_EQ(who(all, forwarded_field::forwarded), "192.0.2.2:0");
    EXPECT_EQ(who(all, forwarded_field::x_real_ip), "192.0.2.3:0");
}

TEST(Forwarded, TheSchemeIsTheLastThatAProxyHasSaid) {
    EXPECT_EQ(who({{"X-Forwarded-Proto", "https"}}), "peer https");
    EXPECT_EQ(who({{"X-Forwarded-Proto", "http, HTTPS "}}), "peer https");
    EXPECT_EQ(who({{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "http"}}), "peer http");
    EXPECT_EQ(who({{"X-Forwarded-Proto", "wss"}, {"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1:0 https");
    EXPECT_EQ(who({{"X-Forwarded-Proto", "gopher"}}), "peer");
}

TEST(Forwarded, ElementsOfRfc7239AreTakenApart) {
    EXPECT_EQ(by_forwarded({"for=192.0.2.60;proto=http;by=203.0.113.43"}), "192.0.2.60:0 http");
    EXPECT_EQ(by_forwarded({R"(For="[2001:db8:cafe::17]:4711")"}), "[2001:db8:cafe::17]:4711");
    EXPECT_EQ(by_forwarded({R"(for=192.0.2.43, for="[2001:db8:cafe::17]", for=10.0.0.1)"}), "[2001:db8:cafe::17]:0");
    EXPECT_EQ(by_forwarded({"for=192.0.2.43", "proto=https;for=10.0.0.1"}), "192.0.2.43:0 https");
    EXPECT_EQ(by_forwarded({"for=192.0.2.43;proto=http, FOR=10.0.0.1 ; Proto=HTTPS"}), "192.0.2.43:0 http");
    EXPECT_EQ(by_forwarded({R"(for="192.0.2.43:47011";host="a;b,c\"d")"}), "192.0.2.43:47011");
    EXPECT_EQ(by_forwarded({R"(for="192.0.2.43:_port")"}), "192.0.2.43:0");
    EXPECT_EQ(by_forwarded({R"(for="1\92.0.2.43")"}), "192.0.2.43:0");
}

TEST(Forwarded, HiddenAndBrokenElementsEndTheWalk) {
    for (const auto* wrong : {"for=unknown", "for=_hidden", R"(for="_hidden:80")", "proto=https", "for",
                              "for=", "for=192.0.2.1;for=192.0.2.2", R"(for="192.0.2.1)", R"("for=192.0.2.1")",
                              "for=[2001:db8::1", ";;", R"(for="[192.0.2.1]")"}) {
        EXPECT_EQ(by_forwarded({std::string("for=198.51.100.1, ") + wrong + ", for=10.0.0.1"}), "10.0.0.1:0") << wrong;
        EXPECT_EQ(by_forwarded({std::string("for=198.51.100.1, ") + wrong}).substr(0, 4), "peer") << wrong;
    }
}

TEST(Forwarded, AQuoteThatAClientLeavesOpenHidesNothingThatAProxyPutsBehindIt) {
    EXPECT_EQ(by_forwarded({R"(for="evil, for=192.0.2.9)"}), "192.0.2.9:0");
    EXPECT_EQ(by_forwarded({R"(for="evil, for="[2001:db8::9]")"}), "[2001:db8::9]:0");
    EXPECT_EQ(by_forwarded({R"(for="evil\", for="[2001:db8::9]:1";proto=https)"}), "[2001:db8::9]:1 https");
    EXPECT_EQ(by_forwarded({R"(for="evil)", "for=192.0.2.9"}), "192.0.2.9:0");
}

TEST(Forwarded, SpoofedAddressesToTheLeftOfTheClientAreNotSeen) {
    EXPECT_EQ(who({{"X-Forwarded-For", "10.0.0.66"}, {"X-Forwarded-For", "192.0.2.1"}}), "192.0.2.1:0");
    EXPECT_EQ(by_forwarded({"for=10.0.0.66, for=192.0.2.1"}), "192.0.2.1:0");
    EXPECT_EQ(who({{"X-Forwarded-For", std::string(9'000, ',') + "192.0.2.1"}}), "192.0.2.1:0");
}

}  // namespace
