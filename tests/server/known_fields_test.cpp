// Fields that come again byte for byte are not read again, and nothing about a request depends on that.

#include "server/http1/known_fields.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/head.hpp"
#include "tests/server/http1_cases.hpp"
#include "tests/server/read_requests.hpp"

namespace requests {
namespace {

using server::known_fields;
using server::request;
using testing::ElementsAre;
using lines = std::vector<std::string>;

/// What a connection that has read `before` reads of `bytes`.
lines read_after(std::string_view before, std::string_view bytes) {
    const auto limits = small_limits();
    reader reading(limits);
    EXPECT_TRUE(reading.feed(before)) << before;
    reading.seen.clear();
    if (reading.feed(bytes)) reading.end();
    return reading.seen;
}

lines read_alone(std::string_view bytes) { return read_whole(small_limits(), bytes); }

TEST(KnownFields, ChangeNothingOfARequestThatComesAfterAnother) {
    const auto accepted = accepted_cases();
    for (const auto& before : accepted) {
        for (const auto& next : accepted)
            ASSERT_EQ(read_after(before.bytes, next.bytes), read_alone(next.bytes)) << before.why << "; " << next.why;
        for (const auto& next : refused_cases())
            ASSERT_EQ(read_after(before.bytes, next.bytes), read_alone(next.bytes)) << before.why << "; " << next.why;
    }
}

TEST(KnownFields, ServeEachLineThatARequestCanBeginWith) {
    const std::string_view fields = "Accept: */*\r\nConnection: keep-alive\r\nX-Request-Id: r\r\n";
    const auto before = head("GET / HTTP/1.1", fields);
    for (const std::string_view line :
         {"GET / HTTP/1.1", "GET /other?a=b HTTP/1.1", "POST /%61 HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0",
          "GET http://b/ HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT a:80 HTTP/1.1", "GET  HTTP/1.1", "GET / HTTP/2.0",
          "GET /\x01 HTTP/1.1", "NONE / HTTP/1.1", "GET /%zz HTTP/1.1"}) {
        const auto bytes = head(line, fields);
        EXPECT_EQ(read_after(before, bytes), read_alone(bytes)) << line;
    }
}

TEST(KnownFields, AreOthersOnceAByteIsAnother) {
    const auto before = head("GET / HTTP/1.1", "Accept: text/html\r\nContent-Length: 0\r\n");
    for (std::size_t at = before.find("\r\n") + 2; at < before.size(); ++at) {
        auto bytes = before;
        bytes[at] = bytes[at] == 'b' ? 'c' : 'b';
        ASSERT_EQ(read_after(before, bytes), read_alone(bytes)) << "byte " << at;
        ASSERT_EQ(read_after(before, before.substr(0, at)), read_alone(before.substr(0, at))) << "cut at " << at;
    }
}

TEST(KnownFields, HaveABodyOfTheirLengthEachTime) {
    const auto first = post("Content-Length: 2\r\n", "ab");
    EXPECT_THAT(read_after(first, post("Content-Length: 2\r\n", "cd") + post("Content-Length: 2\r\n", "ef")),
                ElementsAre("POST / v11 host=a Host=a Content-Length=2 body=cd keep",
                            "POST / v11 host=a Host=a Content-Length=2 body=ef keep"));
}

TEST(KnownFields, AreForgottenWithTheLimitsThatTheyWereReadUnder) {
    auto few = small_limits(), many = small_limits();
    few.max_headers = 2;
    server::request_parser parser(many);
    auto bytes = head("GET / HTTP/1.1", "A: b\r\nC: d\r\n");
    ASSERT_EQ(parser.next(bytes.data(), bytes.size()), server::request_parser::progress::complete);
    parser.reset();
    parser.go_by(few);
    EXPECT_EQ(parser.next(bytes.data(), bytes.size()), server::request_parser::progress::refused);
    EXPECT_EQ(parser.refused_by(), server::rule::max_headers);
}

TEST(KnownFields, AreWhatTheRequestHasInsteadOfFieldsOfItsOwnBytes) {
    const auto bytes = head("GET /a HTTP/1.1", "A: b\r\n");
    request read;
    ASSERT_EQ(server::try_head(bytes, 9, read).size, bytes.size());
    known_fields known;
    ASSERT_TRUE(known.learn(std::string_view(bytes).substr(bytes.find("Host")), read, {.host = read.fields[0].value}));

    const auto again = head("GET /b HTTP/1.1", "A: b\r\n");
    const auto found = server::try_head(again, 9, read, known.text());
    EXPECT_EQ(found.size, again.size());
    EXPECT_TRUE(found.fields_known);
    EXPECT_EQ(read.target, "/b");
    ASSERT_EQ(read.fields.size(), 2U);
    EXPECT_EQ(read.fields[1].value, "b");
    EXPECT_EQ(read.fields[1].value.data(), known.text().data() + known.text().find("b\r\n"));
    EXPECT_FALSE(server::try_head(head("GET /b HTTP/1.1", "A: c\r\n"), 9, read, known.text()).fields_known);
}

TEST(KnownFields, AreCopiedNowAndThenWhereTheyDifferEachTime) {
    known_fields known;
    std::vector<int> copied;
    for (int nth = 0; nth < 64; ++nth) {
        const auto bytes = head("GET / HTTP/1.1", "X-Request-Id: " + std::to_string(nth) + "\r\n");
        request read;
        ASSERT_GT(server::try_head(bytes, 9, read, known.text()).size, 0U);
        const auto text = std::string_view(bytes).substr(bytes.find("Host"));
        if (!known.are_worth_learning()) continue;
        EXPECT_TRUE(known.learn(text, read, {.host = read.fields[0].value}));
        copied.push_back(nth);
    }
    EXPECT_THAT(copied, ElementsAre(0, 1, 2, 3, 15, 31, 47, 63));
    known.met();
    EXPECT_TRUE(known.are_worth_learning()) << "once they have come again";
}

TEST(KnownFields, AreNotKeptWhereTheyAreLarge) {
    known_fields known;
    const auto bytes = head("GET / HTTP/1.1", "A: " + std::string(1'100, 'b') + "\r\n");
    request read;
    ASSERT_GT(server::try_head(bytes, 9, read).size, 0U);
    EXPECT_FALSE(known.learn(std::string_view(bytes).substr(bytes.find("Host")), read, {.host = read.fields[0].value}));
    EXPECT_FALSE(known.any());
}

}  // namespace
}  // namespace requests
