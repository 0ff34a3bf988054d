#include "server/head.hpp"

#include <gmock/gmock.h>

#include "tests/server/beast_head.hpp"

namespace {

using server::request;
namespace http = server::http;

constexpr std::string_view plain = "GET /a?b HTTP/1.1\r\nHost: a.b:80\r\nX-y:\t 1 \r\nEmpty:\r\n\r\n";

TEST(Head, LeavesViewsOfMethodTargetVersionAndFields) {
    request read;
    ASSERT_EQ(server::parse_head(plain, 3, read), std::nullopt);
    EXPECT_EQ(read.method, http::verb::get);
    EXPECT_EQ(read.target, "/a?b");
    EXPECT_EQ(read.version, 11U);
    ASSERT_EQ(read.fields.size(), 3U);
    EXPECT_EQ(read.fields[0].known, http::field::host);
    EXPECT_EQ(read.fields[1].name, "X-y");
    EXPECT_EQ(read.fields[1].value, "1");
    EXPECT_EQ(read.fields[1].value.data(), plain.data() + plain.find("1 \r"));
    EXPECT_EQ(read.fields[2].value, "");
}

TEST(Head, RefusesMoreFieldsThanTheLimit) {
    request read;
    EXPECT_EQ(server::parse_head(plain, 2, read), server::rule::max_headers);
}

TEST(Head, TakesAHigherMinorVersionForTheHighestItKnowsAndRefusesAnotherMajorOne) {
    request read;
    EXPECT_EQ(server::parse_head("GET / HTTP/1.7\r\n\r\n", 9, read), std::nullopt);
    EXPECT_EQ(read.version, 11U);
    EXPECT_EQ(server::parse_head("GET / HTTP/1.0\r\n\r\n", 9, read), std::nullopt);
    EXPECT_EQ(read.version, 10U);
    EXPECT_EQ(server::parse_head("PRI * HTTP/2.0\r\n\r\n", 9, read), server::rule::http_version);
    EXPECT_EQ(server::parse_head("GET / HTTP/1.10\r\n\r\n", 9, read), server::rule::request_line);
}

/// Folded lines, and versions above 1.1, are where the two differ on purpose.
bool differs_on_purpose(std::string_view head) {
    const auto line = head.substr(0, head.find('\r'));
    const auto version = line.substr(line.rfind('/') + 1);
    return head.find("\r\n ") != head.npos || head.find("\r\n\t") != head.npos ||
           (version.size() == 3 && version.starts_with("1.") && version > "1.1");
}

void expect_as_beast(const std::string& head) {
    if (!heads::whole(head) || differs_on_purpose(head)) return;
    boost::beast::error_code error;
    const auto beast = heads::read_by_beast(head, error);
    ASSERT_EQ(heads::read_by_us(head), beast) << testing::PrintToString(head) << ", Beast: " << error.message();
}

TEST(Head, ReadsWhatBeastReadsWhateverByteIsAnother) {
    for (std::size_t at = 0; at < plain.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string head(plain);
            head[at] = static_cast<char>(byte);
            expect_as_beast(head);
            head = plain;
            head.insert(at, 1, static_cast<char>(byte));
            expect_as_beast(head);
        }
        std::string head(plain);
        expect_as_beast(head.erase(at, 1));
    }
}

constexpr std::string_view browser =
    "GET /a/long/enough/target?with=a&query=of&some=length HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nX-Odd_name.2: \t a\tb \r\n"
    "Cookie: a=b\r\n\r\n";

TEST(Head, ReadsTheSameSixteenAtATimeAndByteByByteWhateverByteIsAnotherAndWhereverItEnds) {
    for (std::size_t at = 0; at < browser.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string head(browser);
            head[at] = static_cast<char>(byte);
            const auto read = heads::read_exactly(head);
            ASSERT_EQ(read.wide, read.bytewise) << testing::PrintToString(head);
        }
        const auto cut = heads::read_exactly(browser.substr(0, at));
        ASSERT_EQ(cut.wide, cut.bytewise) << at;
    }
}

TEST(Head, IsFoundAtTheFrontOfMoreBytesOnceItIsWhole) {
    const auto bytes = std::string(browser) + "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        request read;
        ASSERT_EQ(server::try_head({bytes.data(), size}, 9, read).size, size < browser.size() ? 0 : browser.size())
            << size;
    }
    request read;
    EXPECT_EQ(server::try_head(bytes, 2, read).size, 0U) << "more fields than the limit";
    EXPECT_EQ(server::try_head(std::string(browser).insert(4, "\t"), 9, read).size, 0U) << "malformed";
}

}  // namespace
