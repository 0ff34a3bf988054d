// How a connection in clear begins, and how long it may take.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2_service/client.hpp"
#include "tests/integration/service.hpp"

namespace http2_tests {
namespace {

using integration::service;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t recognized = 18;  ///< bytes of the preface, by which the head of HTTP/1.1 that it looks like ends

/// The frames that have come, by their types.
std::string types(std::string_view bytes) {
    std::string all;
    while (bytes.size() >= 9) {
        const auto at = [&](std::size_t nth) {
            return static_cast<std::size_t>(static_cast<unsigned char>(bytes[nth]));
        };
        all += static_cast<char>('0' + at(3));
        bytes.remove_prefix(std::min(bytes.size(), 9 + (at(0) << 16 | at(1) << 8 | at(2))));
    }
    return all;
}

TEST(Http2ServicePreface, WhatBeginsLikeNeitherIsAnsweredInHttp1) {
    service service;
    auto client = service.connect();
    client.send("INVALID CONNECTION PREFACE\r\n\r\n");
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400);
}

TEST(Http2ServicePreface, AShortOneHasTheTimeOfAHeadAndIsAnsweredInHttp1) {
    service service({"--app.header_timeout=200ms"});
    auto client = service.connect();
    client.send(std::string_view(preface).substr(0, recognized - 1));
    const auto answer = client.receive();
    ASSERT_TRUE(answer) << service.err();
    EXPECT_EQ(answer->status, 408);
}

TEST(Http2ServicePreface, WhatStopsBehindItsEmptyLineOrBehindAllOfItHasTheTimeOfAHead) {  // CVE-2026-56853
    service service({"--app.header_timeout=600ms"});
    for (const auto sent : {recognized, preface.size() - 1, preface.size()}) {
        auto client = service.connect();
        client.send(std::string_view(preface).substr(0, sent));
        const auto all = client.receive_to_end();  // the time of an idle connection is two minutes
        EXPECT_EQ(client.ended(), support::client::ending::closed) << sent;
        EXPECT_THAT(types(all), HasSubstr("7")) << sent << " bytes are answered by " << testing::PrintToString(all);
    }
}

TEST(Http2ServicePreface, BytesThatTrickleMoveNoDeadline) {
    service service({"--app.header_timeout=200ms"});
    auto client = service.connect();
    std::size_t sent = 0;
    const auto hears = [&] { return support::eventually([&] { return !client.quiet(); }, 50ms); };
    while (sent < preface.size() && !hears()) client.send(std::string_view(preface).substr(sent++, 1));
    client.receive_to_end();
    EXPECT_NE(client.ended(), support::client::ending::late);
    EXPECT_LT(sent, preface.size());
}

}  // namespace
}  // namespace http2_tests
