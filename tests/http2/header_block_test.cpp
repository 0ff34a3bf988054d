// What becomes of the fields of a request, without nghttp2 that decodes them and the machine that answers.

#include "server/http2/header_block.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace http2_tests {
namespace {

using server::rule;
using server::http2::header_block;
namespace http = server::http;
using some_fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A block, the request that it makes, and the first rule that one of its fields breaks.
struct gathered {
    void add(some_fields fields) {
        for (const auto& [name, value] : fields)
            if (broken == rule::none) broken = block.add(name, value, limits);
    }
    rule make(some_fields fields, std::string_view path = "/", std::string_view authority = "a") {
        add({{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", authority}});
        add(fields);
        block.make_request(made);
        return block.check(made, limits);
    }

    server::options limits;
    server::request made;
    header_block block;
    rule broken = rule::none;
};

TEST(HeaderBlock, MakesARequestWhoseCookiesAreOneField) {
    gathered some;
    EXPECT_EQ(some.make({{"cookie", "a=1"}, {"accept", "text/html"}, {"cookie", "b=2"}}, "/%61?b=c", "example.org"),
              rule::none);
    EXPECT_EQ(some.made.method, http::verb::get);
    EXPECT_EQ(some.made.path, "/a");
    EXPECT_EQ(some.made.query, "b=c");
    EXPECT_EQ(some.made.host, "example.org");
    EXPECT_EQ(some.made.header(http::field::cookie), "a=1; b=2");
    EXPECT_EQ(some.made.fields.size(), 2);
}

TEST(HeaderBlock, TheHostOfARequestIsOneAndThatOfItsAuthority) {
    EXPECT_EQ(gathered().make({{"host", "A"}}), rule::none);
    EXPECT_EQ(gathered().make({{"host", "a"}}, "/", ""), rule::none);
    EXPECT_EQ(gathered().make({{"host", "b"}}), rule::host);
    EXPECT_EQ(gathered().make({{"host", "a"}, {"host", "a"}}), rule::host);
    EXPECT_EQ(gathered().make({}, "/", ""), rule::host);
    EXPECT_EQ(gathered().make({}, "/", "a b"), rule::host);
}

TEST(HeaderBlock, AFieldThatIsOneTooManyNamesItsLimit) {
    gathered many;
    many.limits.max_headers = 2;
    many.add({{":method", "GET"}, {"a", ""}, {"cookie", "c"}, {"b", ""}});
    EXPECT_EQ(many.broken, rule::none) << "neither a pseudo field nor a cookie is one of them";
    many.add({{"c", ""}});
    EXPECT_EQ(many.broken, rule::max_headers);
    gathered large;
    large.limits.max_header_bytes = 100;
    large.add({{"name", std::string(64, 'v')}});
    EXPECT_EQ(large.block.list_size(), 100) << "with 32 bytes for each field: RFC 9113 section 6.5.2";
    EXPECT_EQ(large.broken, rule::none);
    large.block.skip("n", "");
    EXPECT_EQ(large.block.list_size(), 133);
    EXPECT_EQ(large.block.add("n", "", large.limits), rule::max_header_bytes);
}

TEST(HeaderBlock, ATimeoutOfGrpcIsInWholeMillisecondsAndAtMostADay) {
    const std::initializer_list<std::pair<std::string_view, std::string_view>> table{
        {"2H", "7200000ms"},
        {"3M", "180000ms"},
        {"4S", "4000ms"},
        {"5m", "5ms"},
        {"1u", "1ms"},
        {"1001u", "2ms"},
        {"1n", "1ms"},
        {"1000001n", "2ms"},
        {"0S", "0ms"},
        {"25H", "86400000ms"},
        {"99999999H", "86400000ms"},
        {"", ""},
        {"5", ""},
        {"m", ""},
        {"5 m", ""},
        {"5x", ""},
        {"-5m", ""},
        {"123456789m", ""}};  // nine digits
    for (const auto& [sent, understood] : table) {
        gathered some;
        some.make({{"grpc-timeout", sent}});
        EXPECT_EQ(some.block.timeout(), understood) << sent;
    }
}

TEST(HeaderBlock, KnowsWhatEveryAnswerLooksFor) {
    gathered some;
    some.make({{"x-request-id", "first"},
               {"x-request-id", "second"},
               {"x-request-timeout", "2s"},
               {"content-length", "12"},
               {"content-type", "application/grpc+proto"},
               {"traceparent", "00"},
               {"expect", "100-Continue"}});
    EXPECT_EQ(some.block.id(), "first");
    EXPECT_EQ(some.block.timeout(), "2s");
    EXPECT_EQ(some.block.announced(), 12);
    EXPECT_TRUE(some.block.is_grpc());
    EXPECT_TRUE(some.block.is_traced());
    EXPECT_TRUE(some.block.expects_continue());
}

TEST(HeaderBlock, WhatComesAfterTheRequestIsATrailer) {
    gathered some;
    some.make({{"accept", "text/html"}});
    some.add({{"sum", "7"}, {"cookie", "c=3"}});
    some.block.add_trailers(some.made);
    EXPECT_EQ(some.made.fields.size(), 1);
    EXPECT_EQ(some.made.trailer("sum"), "7");
    EXPECT_EQ(some.made.trailer("cookie"), "c=3");
}

TEST(HeaderBlock, TheNextRequestHasNothingOfTheOneBeforeIt) {
    gathered some;
    some.make({{"x-request-id", "mine"}, {"x-request-timeout", "2s"}, {"cookie", "a=1"}, {"content-length", "12"}});
    some.block.renew();
    some.made = {};
    EXPECT_EQ(some.block.list_size(), 0);
    EXPECT_EQ(some.make({}), rule::none);
    EXPECT_TRUE(some.made.fields.empty());
    EXPECT_EQ(some.block.id().data(), nullptr);
    EXPECT_EQ(some.block.timeout(), "");
    EXPECT_EQ(some.block.announced(), std::nullopt);
}

}  // namespace
}  // namespace http2_tests
