// The parser of requests: what is refused, with which status, and that the cuts between the pieces in
// which bytes come never matter.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>

#include "tests/server/http1_cases.hpp"
#include "tests/server/read_requests.hpp"

namespace requests {

void PrintTo(const parser_case& parser_case, std::ostream* out) { *out << parser_case.why; }

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using lines = std::vector<std::string>;

class Http1Refuses : public testing::TestWithParam<parser_case> {};
class Http1Accepts : public testing::TestWithParam<parser_case> {};
class Http1InPieces : public testing::TestWithParam<parser_case> {};

TEST_P(Http1Refuses, WhatTheStandardDoes) {
    const auto seen = read_whole(small_limits(), GetParam().bytes);
    EXPECT_THAT(seen, ElementsAre(std::string(GetParam().seen))) << GetParam().why;
}

TEST_P(Http1Accepts, WhatTheStandardDoes) {
    const auto seen = read_whole(small_limits(), GetParam().bytes);
    ASSERT_EQ(seen.size(), 1U) << GetParam().why;
    EXPECT_THAT(seen.front(), testing::Not(HasSubstr("refused"))) << GetParam().why;
    EXPECT_THAT(seen.front(), testing::Not(HasSubstr("whole"))) << GetParam().why;
    if (GetParam().seen.empty()) return;  // a limit that is just kept: what is seen is long
    EXPECT_EQ(seen.front(), GetParam().seen) << GetParam().why;
}

TEST_P(Http1InPieces, IsTheSameAsWhole) {
    const auto limits = small_limits();
    const auto& bytes = GetParam().bytes;
    const auto whole = read_whole(limits, bytes);
    EXPECT_EQ(read_bytewise(limits, bytes), whole);
    const auto step = bytes.size() > 2'000 ? bytes.size() / 200 : 1;
    for (std::size_t at = 1; at < bytes.size(); at += step)
        ASSERT_EQ(read_cut(limits, bytes, at), whole) << "cut at " << at;
}

std::vector<parser_case> all_cases() {
    auto all = refused_cases();
    for (auto& accepted : accepted_cases()) all.push_back(std::move(accepted));
    // Something after each, which must not change it.
    for (auto& accepted : accepted_cases()) {
        accepted.bytes += head("GET /next HTTP/1.1");
        all.push_back(std::move(accepted));
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Table, Http1Refuses, testing::ValuesIn(refused_cases()));
INSTANTIATE_TEST_SUITE_P(Table, Http1Accepts, testing::ValuesIn(accepted_cases()));
INSTANTIATE_TEST_SUITE_P(Table, Http1InPieces, testing::ValuesIn(all_cases()));

TEST(Http1, ReadsPipelinedRequestsOneByOne) {
    const auto bytes = head("GET /1 HTTP/1.1") + post("Content-Length: 2\r\n", "ab") + "\r\n" +
                       chunked("2\r\ncd\r\n0\r\n\r\n") + head("GET /2 HTTP/1.1") + "nonsense\r\n\r\n";
    EXPECT_THAT(read_whole(small_limits(), bytes),
                ElementsAre("GET /1 v11 host=a Host=a keep", "POST / v11 host=a Host=a Content-Length=2 body=ab keep",
                            "POST / v11 host=a Host=a Transfer-Encoding=chunked body=cd keep",
                            "GET /2 v11 host=a Host=a keep", "refused 400"));
}

TEST(Http1, TellsWhereARequestThatIsNotWholeStands) {
    EXPECT_EQ(read_whole(small_limits(), "GET / HT"), lines{"head is not whole"});
    EXPECT_EQ(read_whole(small_limits(), head("GET / HTTP/1.1").substr(0, 20)), lines{"head is not whole"});
    EXPECT_EQ(read_whole(small_limits(), post("Content-Length: 3\r\n", "ab")), lines{"body is not whole"});
    EXPECT_EQ(read_whole(small_limits(), chunked("3\r\nabc\r\n0\r\n")), lines{"body is not whole"});
}

TEST(Http1, AnEmptyLineIsNotYetARequest) {
    EXPECT_EQ(read_whole(small_limits(), "\r\n"), lines{});
    EXPECT_EQ(read_whole(small_limits(), "\r\n\r"), lines{});
}

TEST(Http1, NothingOfOneRequestIsLeftInTheNext) {
    const auto bytes = head("GET /a%20b?c HTTP/1.1", "A: b\r\nExpect: 100-continue\r\nConnection: close\r\n") +
                       head("GET /d HTTP/1.1");
    server::options limits = small_limits();
    const auto seen = read_whole(limits, bytes);
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0], "GET /a b v11 query=c host=a Host=a A=b Expect=100-continue Connection=close close");
    EXPECT_EQ(seen[1], "GET /d v11 host=a Host=a keep");
}

TEST(Http1, KnowsThatA100ContinueIsExpectedBeforeTheBodyHasCome) {
    const auto limits = small_limits();
    for (const std::string_view value : {"100-continue", "100-Continue"}) {
        server::request_parser parser(limits);
        auto bytes = post("Content-Length: 1\r\nExpect: " + std::string(value) + "\r\n", "");
        EXPECT_EQ(parser.next(bytes.data(), bytes.size()), server::request_parser::progress::need_more);
        EXPECT_TRUE(parser.head_done());
        EXPECT_TRUE(parser.expects_continue());
    }
}

TEST(Http1, ABodyInTinyChunksTakesNoMoreMemoryThanItsBytes) {
    server::options limits;
    limits.max_body_bytes = 10'000;
    limits.max_chunk_extensions_bytes = 5'000 * 30;
    reader reading(limits);
    ASSERT_TRUE(reading.feed(chunked("")));
    const auto head_size = reading.buffered();
    std::string body;
    for (int nth = 0; nth < 5'000; ++nth) {
        const std::string byte(1, static_cast<char>('a' + nth % 26));
        body += byte;
        ASSERT_TRUE(reading.feed("1;extension=of-some-length\r\n" + byte + "\r\n"));
        ASSERT_LE(reading.buffered(), head_size + body.size() + 40);
    }
    ASSERT_TRUE(reading.feed("0\r\n\r\n"));
    ASSERT_EQ(reading.seen.size(), 1U);
    EXPECT_THAT(reading.seen.front(), HasSubstr("body=" + body + " keep"));
}

TEST(Http1, NoMoreIsReadAheadOfARequestThanTheLimit) {
    server::options limits;
    limits.max_pipelined_bytes = 100;
    const std::string piece(1'000, 'b');
    const auto stream = post("Content-Length: 1000\r\n", piece) + chunked("3e8\r\n" + piece + "\r\n0\r\n\r\n") +
                        repeated(50, head("GET / HTTP/1.1"));
    server::request_parser parser(limits);
    std::string buffer;
    int complete = 0;
    for (std::size_t at = 0; at < stream.size() || !buffer.empty();) {
        const auto result = parser.next(buffer.data(), buffer.size());
        ASSERT_NE(result, server::request_parser::progress::refused);
        if (result == server::request_parser::progress::need_more) {
            const auto count = std::min(parser.welcome(buffer.size()), stream.size() - at);
            ASSERT_GT(count, 0U) << "it would stand still";
            buffer += stream.substr(at, count);
            at += count;
            continue;
        }
        EXPECT_LE(buffer.size() - parser.consumed(), 100U);
        buffer.erase(0, parser.consumed());
        parser.reset();
        ++complete;
    }
    EXPECT_EQ(complete, 52);
}

TEST(Http1, ALimitCountsTheRequestAndNotTheEmptyLinesBeforeIt) {
    auto limits = small_limits();
    const auto bytes = head("GET / HTTP/1.1");
    limits.max_header_bytes = bytes.size();
    EXPECT_EQ(read_whole(limits, "\r\n\r\n" + bytes), lines{"GET / v11 host=a Host=a keep"});
    limits.max_header_bytes = bytes.size() - 1;
    EXPECT_EQ(read_whole(limits, "\r\n\r\n" + bytes), lines{"refused 431"});
}

TEST(Http1, ARequestMayBeReadAtAnyAddress) {
    const auto bytes = head("GET /a%41?b=c HTTP/1.1", "Name: value\r\n");
    for (std::size_t offset = 0; offset < 32; ++offset) {
        const auto limits = small_limits();
        server::request_parser parser(limits);
        std::string shifted = std::string(offset, '#') + bytes;
        ASSERT_EQ(parser.next(shifted.data() + offset, bytes.size()), server::request_parser::progress::complete);
        EXPECT_EQ(describe(parser.request(), parser.keep_alive()),
                  "GET /aA v11 query=b=c host=a Host=a Name=value keep");
    }
}

}  // namespace
}  // namespace requests
