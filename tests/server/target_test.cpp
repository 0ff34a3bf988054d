#include "server/target.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace {

using server::is_authority;
using server::split_target;
using server::target_parts;

enum class how { usual, connect, options, strict };

/// "authority path?query"; none when it is refused.
std::optional<std::string> split(std::string_view target, how as = how::usual) {
    std::string storage;
    target_parts parts;
    const server::target_rules rules{
        .connect = as == how::connect, .options = as == how::options, .strict = as == how::strict};
    if (!split_target(target, rules, storage, parts)) return std::nullopt;
    std::string text(parts.authority);
    if (!text.empty()) text += ' ';
    text.append(parts.path);
    if (!parts.query.empty()) text.append("?").append(parts.query);
    return text;
}

using text = std::optional<std::string>;

TEST(Target, IsSplitAtTheFirstQuestionMark) {
    EXPECT_EQ(split("/a/b?c=d&e"), text("/a/b?c=d&e"));
    EXPECT_EQ(split("/a?b?c"), text("/a?b?c"));
    EXPECT_EQ(split("/?"), text("/"));
    EXPECT_EQ(split("/a?/../b"), text("/a?/../b"));
}

TEST(Target, APathIsDecodedOnce) {
    EXPECT_EQ(split("/%61%20b"), text("/a b"));
    EXPECT_EQ(split("/%2561"), text("/%61"));
    EXPECT_EQ(split("/%C3%a4"), text("/\xc3\xa4"));
    EXPECT_EQ(split("/a+b"), text("/a+b"));
    EXPECT_EQ(split("/%3f%23"), text("/?#"));
}

TEST(Target, AnEscapedSlashStaysOneSegment) {
    EXPECT_EQ(split("/a%2Fb"), text("/a%2Fb"));
    EXPECT_EQ(split("/a%2fb"), text("/a%2Fb"));
    EXPECT_EQ(split("/a/..%2fb"), text("/a/..%2Fb"));
}

TEST(Target, DotSegmentsAreRemovedAfterDecoding) {
    EXPECT_EQ(split("/a/./b"), text("/a/b"));
    EXPECT_EQ(split("/a/../b"), text("/b"));
    EXPECT_EQ(split("/a/b/.."), text("/a/"));
    EXPECT_EQ(split("/a/b/."), text("/a/b/"));
    EXPECT_EQ(split("/a/%2e%2E/b"), text("/b"));
    EXPECT_EQ(split("/a/.%2e/b"), text("/b"));
    EXPECT_EQ(split("/.."), text("/"));
    EXPECT_EQ(split("/../../etc"), text("/etc"));
    EXPECT_EQ(split("/a/.../b"), text("/a/.../b"));
    EXPECT_EQ(split("/.a/..b"), text("/.a/..b"));
    EXPECT_EQ(split("//a/../b"), text("//b"));
}

TEST(Target, EmptySegmentsStay) {
    EXPECT_EQ(split("//"), text("//"));
    EXPECT_EQ(split("/a//b/"), text("/a//b/"));
}

TEST(Target, AnEscapeThatIsNoneIsRefusedInPathAndQuery) {
    for (const auto* target : {"/%", "/%4", "/%4g", "/%g4", "/%%41", "/a?%", "/a?%4", "/a?%4g", "/a?b%"})
        EXPECT_EQ(split(target), text()) << target;
}

TEST(Target, ANulIsRefusedInAPath) {
    EXPECT_EQ(split("/%00"), text());
    EXPECT_EQ(split(std::string_view("/a\0b", 4)), text());
}

TEST(Target, WhenStrictEveryByteThatNoUriHasIsRefused) {
    const std::string_view allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?";
    for (int byte = 0; byte < 256; ++byte) {
        if (byte == '%') continue;
        const char c = static_cast<char>(byte);
        const bool expected = allowed.find(c) != std::string_view::npos;
        EXPECT_EQ(split(std::string("/") + c, how::strict).has_value(), expected) << byte;
        EXPECT_EQ(split(std::string("/?") + c, how::strict).has_value(), expected) << byte;
    }
}

TEST(Target, WhatBrowsersLeaveUnescapedIsTakenAndNoOtherByte) {
    for (int byte = 0; byte < 256; ++byte) {
        if (byte == '%') continue;
        const char c = static_cast<char>(byte);
        const bool visible = byte > ' ' && byte < 0x7f;
        const bool in_query = visible && std::string_view("\"<>#").find(c) == std::string_view::npos;
        const bool in_path = in_query && std::string_view("`{}").find(c) == std::string_view::npos;
        EXPECT_EQ(split(std::string("/a") + c).has_value(), in_path) << byte;
        EXPECT_EQ(split(std::string("/?a") + c).has_value(), in_query) << byte;
    }
}

TEST(Target, WhatBrowsersLeaveUnescapedStaysAsItIs) {
    EXPECT_EQ(split("/?a[]=1"), text("/?a[]=1"));
    EXPECT_EQ(split("/?q={x:1}&r=a|b^c`d\\e"), text("/?q={x:1}&r=a|b^c`d\\e"));
    EXPECT_EQ(split("/a[0]|b^c\\d"), text("/a[0]|b^c\\d"));
    EXPECT_EQ(split("/a|b/../c|d/%41"), text("/c|d/A"));
    EXPECT_EQ(split("http://a/b|c?d|e"), text("a /b|c?d|e"));
    for (const auto* target : {"/?q={\"x\":1}", "/{a}", "/a`b", "http://a|b/", "http://a[b/", "\\a", "/|%", "/?|%zz"})
        EXPECT_EQ(split(target), text()) << target;
}

TEST(Target, AQueryBecomesAReferenceThatRfc3986Knows) {
    EXPECT_EQ(server::query_reference("a=b&c=%20"), "?a=b&c=%20");
    EXPECT_EQ(server::query_reference("a[]=b|c"), "?a%5B%5D=b%7Cc");
    EXPECT_EQ(server::query_reference(""), "?");
}

TEST(Target, AnAbsoluteFormBringsItsAuthority) {
    EXPECT_EQ(split("http://a/b?c"), text("a /b?c"));
    EXPECT_EQ(split("HTTPS://a:1/"), text("a:1 /"));
    EXPECT_EQ(split("http://a"), text("a /"));
    EXPECT_EQ(split("http://a?b"), text("a /?b"));
    EXPECT_EQ(split("http://[::1]:80/a/../b"), text("[::1]:80 /b"));
    for (const auto* target : {"http:/a", "http:///b", "http://", "ws://a/", "http://u@a/", "http://a b/", "http://a#b",
                               "a/b", "?a", "://a/"})
        EXPECT_EQ(split(target), text()) << target;
}

TEST(Target, AStarIsForOptionsOnly) {
    EXPECT_EQ(split("*", how::options), text("*"));
    EXPECT_EQ(split("http://a", how::options), text("a *"));
    EXPECT_EQ(split("http://a/", how::options), text("a /"));
    EXPECT_EQ(split("/a", how::options), text("/a"));
    EXPECT_EQ(split("*"), text());
}

TEST(Target, ConnectTakesAnAuthorityWithAPort) {
    EXPECT_EQ(split("a:443", how::connect), text("a:443 "));
    EXPECT_EQ(split("[::1]:443", how::connect), text("[::1]:443 "));
    for (const auto* target : {"a", "a:", "/", "*", "http://a:1", ":443", "u@a:443"})
        EXPECT_EQ(split(target, how::connect), text()) << target;
}

TEST(Target, NothingIsNoTarget) {
    for (const auto as : {how::usual, how::connect, how::options}) EXPECT_EQ(split("", as), text());
}

TEST(Authority, IsAHostAndPerhapsAPort) {
    for (const auto* good : {"", "a", "a:", "a:80", "a.b-c_d~e", "127.0.0.1:8080", "[::1]", "[::1]:80",
                             "[::1]:", "[fe80::1.2.3.4]", "a%20b", "a,b"})
        EXPECT_TRUE(is_authority(good)) << good;
    for (const auto* bad :
         {":", ":80", "a:b",  "a:80a", "a:123456", "a:1:2",   "a b",          "a/",     "a?", "a#",   "a@b",
          "[", "[]",  "[::1", "::1",   "[::1]x",   "[::1]:x", "[::1]:123456", "[g::1]", "a%", "a%zz", "a\\b"})
        EXPECT_FALSE(is_authority(bad)) << bad;
}

TEST(Authority, HasAPortOfAtMostFiveDigitsOrNoneBehindAnyHost) {
    for (const std::string host : {"a", "127.0.0.1", "host_1-2.example.org", "0123456789", "a%41b", "a~b,c"}) {
        for (const auto* const good : {"", ":", ":1", ":8080", ":65535"})
            EXPECT_TRUE(is_authority(host + good)) << good;
        for (const auto* const bad : {":123456", ":8a", "::80", ":80:", ":80 ", "/", "@", "\x80"})
            EXPECT_FALSE(is_authority(host + bad)) << host << bad;
    }
}

TEST(Target, AnOddByteOfAPathIsSeenWhereverItStands) {
    for (std::size_t size = 0; size <= 40; ++size) {
        const auto front = "/" + std::string(size, 'a');
        EXPECT_EQ(split(front), text(front));
        for (const std::string behind : {"", "b", "/b-c_d"}) {
            EXPECT_EQ(split(front + "%62" + behind), text(front + 'b' + behind));
            EXPECT_EQ(split(front + "/../x" + behind), text("/x" + behind));
            EXPECT_EQ(split(front + "?q" + behind), text(front + "?q" + behind));
            EXPECT_EQ(split(front + '\x80' + behind), text());
            EXPECT_EQ(split(front + '#' + behind), text());
        }
    }
}

}  // namespace
