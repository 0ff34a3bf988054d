#include "server/rule.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace {

using namespace std::string_literals;
using server::looks_like;
using server::rule;

TEST(Rule, HasANameThatIsALabelAndNobodyElses) {
    std::set<std::string_view> names;
    for (std::size_t nth = 0; nth < server::rule_count; ++nth) {
        const auto name = to_string(static_cast<rule>(nth));
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), name.npos) << name;
        EXPECT_GE(static_cast<unsigned>(status_of(static_cast<rule>(nth))), 400U) << name;
    }
}

TEST(Rule, OtherProtocolsAreKnownByTheirFirstBytesAsFarAsTheyHaveCome) {
    for (const auto& hello : {"\x16"s, "\x16\x03"s, "\x16\x03\x01\x02\0\x01"s}) EXPECT_EQ(looks_like(hello), rule::tls);
    for (const auto& header : {"PROXY "s, "PROXY TCP4 1"s, "\r\n\r\n\0"s, "\r\n\r\n\0\r\nQUIT\n\x21"s})
        EXPECT_EQ(looks_like(header), rule::proxy_header);
    EXPECT_EQ(looks_like("PRI * HTTP/2.0\r\n"), rule::http2);
    EXPECT_EQ(looks_like("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), rule::http2);
    for (const auto& other :
         {""s, "\x16\x02"s, "PROXY"s, "PROXY\r\n"s, "PRI / HTTP/1.1\r\n"s, "\r\n\r\n"s, "GET / HTTP/1.1\r\n"s})
        EXPECT_EQ(looks_like(other), rule::none);
}

}  // namespace
