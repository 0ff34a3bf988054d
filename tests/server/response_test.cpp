// Responses and how they are written: `append`, the other half of the sans-I/O core.

#include "server/response.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "server/http1/response_head.hpp"

namespace {

using server::append;
using server::body_coding;
using server::framing;
using server::response;
namespace http = server::http;

framing usual() {
    framing how;
    how.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    return how;
}

std::string written(const response& answer, const framing& how, body_coding expected) {
    std::string out;
    EXPECT_EQ(append(answer, how, out), expected);
    return out;
}

response::source nothing() {
    return [](std::span<char>) -> lifecycle::awaitable<std::size_t> { co_return 0; };
}

const std::string date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
const std::string text_type = "Content-Type: text/plain; charset=utf-8\r\n";

TEST(Response, IsWrittenWithDateTypeAndLength) {
    EXPECT_EQ(written(response(http::status::ok, "hi\n"), usual(), body_coding::plain),
              "HTTP/1.1 200 OK\r\n" + date + text_type + "Content-Length: 3\r\n\r\nhi\n");
    EXPECT_EQ(written(response(http::status::created), usual(), body_coding::plain),
              "HTTP/1.1 201 Created\r\n" + date + text_type + "Content-Length: 0\r\n\r\n");
}

TEST(Response, IsAppendedToWhatIsThere) {
    std::string out = "before";
    append(response(), usual(), out);
    EXPECT_TRUE(out.starts_with("beforeHTTP/1.1 200 OK\r\n"));
}

TEST(Response, CarriesTheRequestIdAndTheFieldsThatWereSet) {
    auto how = usual();
    how.request_id = "id-1";
    response answer(http::status::ok, "x", "");
    answer.set("A", "b").set("C", "");
    EXPECT_EQ(written(answer, how, body_coding::plain),
              "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 1\r\nX-Request-Id: id-1\r\nA: b\r\nC: \r\n\r\nx");
}

TEST(Response, ToHeadHasTheFieldsOfTheAnswerAndNoBody) {
    auto how = usual();
    how.head = true;
    EXPECT_EQ(written(response(http::status::ok, "hi\n"), how, body_coding::none),
              "HTTP/1.1 200 OK\r\n" + date + text_type + "Content-Length: 3\r\n\r\n");
    EXPECT_EQ(written(response::stream(nothing(), 7, "a/b"), how, body_coding::none),
              "HTTP/1.1 200 OK\r\n" + date + "Content-Type: a/b\r\nContent-Length: 7\r\n\r\n");
    EXPECT_EQ(written(response::stream(nothing(), std::nullopt, "a/b"), how, body_coding::none),
              "HTTP/1.1 200 OK\r\n" + date + "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(Response, WithoutContentHasNeitherTypeNorLength) {
    for (const auto code : {http::status::no_content, http::status::not_modified}) {
        const auto out = written(response(code, "dropped"), usual(), body_coding::none);
        EXPECT_EQ(out.substr(out.find("\r\n") + 2), date + "\r\n") << out;
    }
    EXPECT_EQ(written(response::stream(nothing(), 7), usual(), body_coding::length).find("204"), std::string::npos);
    auto streamed = response::stream(nothing(), 7);
    streamed.status = http::status::no_content;
    written(streamed, usual(), body_coding::none);
}

TEST(Response, SaysCloseOrToHttp10KeepAlive) {
    auto how = usual();
    how.close = true;
    EXPECT_NE(written(response(), how, body_coding::plain).find("\r\nConnection: close\r\n"), std::string::npos);
    how.version = 10;
    EXPECT_NE(written(response(), how, body_coding::plain).find("\r\nConnection: close\r\n"), std::string::npos);
    how.close = false;
    EXPECT_NE(written(response(), how, body_coding::plain).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
    how.version = 11;
    EXPECT_EQ(written(response(), how, body_coding::plain).find("Connection"), std::string::npos);
}

TEST(Response, SaysHowLongAnIdleConnectionIsKeptWhereThatIsWanted) {
    auto how = usual();
    how.keep_alive = std::chrono::seconds(15);
    for (const unsigned version : {10U, 11U}) {
        how.version = version;
        EXPECT_NE(written(response(), how, body_coding::plain)
                      .find("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=15\r\n"),
                  std::string::npos);
    }
    how.close = true;
    EXPECT_EQ(written(response(), how, body_coding::plain).find("Keep-Alive"), std::string::npos);
}

TEST(Response, AStreamIsSentByLengthChunkedOrUpToTheClose) {
    auto how = usual();
    EXPECT_NE(written(response::stream(nothing(), 7), how, body_coding::length).find("\r\nContent-Length: 7\r\n"),
              std::string::npos);
    const auto chunked = written(response::stream(nothing()), how, body_coding::chunked);
    EXPECT_NE(chunked.find("\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ(chunked.find("Content-Length"), std::string::npos);
    how.version = 10;
    const auto to_close = written(response::stream(nothing()), how, body_coding::until_close);
    EXPECT_NE(to_close.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_EQ(to_close.find("Transfer-Encoding"), std::string::npos);
}

TEST(Response, ToHeadOfHttp10DoesNotEndTheConnectionThatAStreamWould) {
    auto how = usual();
    how.version = 10;
    how.head = true;
    EXPECT_NE(written(response::stream(nothing()), how, body_coding::none).find("Connection: keep-alive"),
              std::string::npos);
}

TEST(Response, RefusesWhatWouldEndAFieldEarly) {
    response answer;
    for (const std::string_view value : {std::string_view("a\r\nB: c"), std::string_view("a\rb"),
                                         std::string_view("a\nb"), std::string_view("a\0b", 3), std::string_view("\n")})
        EXPECT_THROW(answer.set("A", value), std::invalid_argument);
    for (const std::string_view name : {"", "A B", "A:", "A\r\n", "\xc3\xa4", "A(", "\""})
        EXPECT_THROW(answer.set(name, "x"), std::invalid_argument) << name;
    EXPECT_EQ(answer.fields(), "");
}

TEST(Response, KnowsAFieldThatWasSetByItsNameWithoutCase) {
    response answer;
    EXPECT_FALSE(answer.has("Retry-After"));
    answer.set("X-Retry-After", "2").set("retry-after", "3").set("Last", "Retry-After: 4");
    EXPECT_TRUE(answer.has("Retry-After"));
    EXPECT_TRUE(answer.has("x-retry-after"));
    EXPECT_TRUE(answer.has("Last"));
    for (const auto* other : {"Retry", "After", "Retry-After: 3", ""}) EXPECT_FALSE(answer.has(other)) << other;
}

}  // namespace
