// What an HTTP/2 connection does with requests and answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

using testing::Contains;
using testing::Pair;

TEST(Http2, AnswersARequestAndCountsIt) {
    scene one;
    const auto id = one.client.get("/");
    one.settle();
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_EQ(one.answer(id).body, "hello");
    EXPECT_EQ(one.answer(id).header("content-length"), "5");
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_EQ(one.account().began, 1);
    EXPECT_EQ(one.account().finished, 1);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2, ManyRequestsAreAnsweredInTheOrderInWhichTheirHandlersReturn) {
    scene one;
    one.holds_handlers = true;
    const auto slow = one.client.get("/");
    const auto quick = one.client.get("/other");
    one.settle();
    one.reply(quick);
    EXPECT_TRUE(one.answer(quick).ended);
    EXPECT_FALSE(one.answer(slow).ended);
    one.reply(slow);
    EXPECT_TRUE(one.answer(slow).ended);
}

TEST(Http2, TheHeadOfARequestIsWhatAHandlerOfHttp1WouldSee) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.ask(
        "GET", "/?a=b",
        {{":authority", "example.org:8080"}, {"cookie", "a=1"}, {"x-request-id", "mine"}, {"cookie", "b=2"}});
    one.settle();
    const auto& seen = *one.requests.at(id);
    EXPECT_EQ(seen.version, 20);
    EXPECT_EQ(seen.method_name, "GET");
    EXPECT_EQ(seen.path, "/");
    EXPECT_EQ(seen.query, "a=b");
    EXPECT_EQ(seen.host, "example.org:8080");
    EXPECT_EQ(seen.header(http::field::cookie), "a=1; b=2");
    EXPECT_EQ(seen.id, "mine");
    one.reply(id);
}

TEST(Http2, ABodyAndItsTrailersAreWholeBeforeTheHandlerIsAsked) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.ask("POST", "/", {}, std::nullopt, true);
    one.client.trail(id, {{"sum", "7"}});
    one.client.send_body(id, std::string(100'000, 'a'), false);
    one.settle();
    EXPECT_TRUE(one.asked.empty());
    one.client.send_body(id, "end", true);
    one.settle();
    ASSERT_EQ(one.asked.count(id), 1);
    const auto& seen = *one.requests.at(id);
    EXPECT_EQ(seen.body.size(), 100'003);
    ASSERT_EQ(seen.trailers.size(), 1);
    EXPECT_EQ(seen.trailers[0].name, "sum");
    EXPECT_EQ(seen.trailers[0].value, "7");
    one.reply(id);
}

TEST(Http2, ABodyAboveTheLimitIsRefusedAndTheRestOfItIsNotWaitedFor) {
    server::options limits;
    limits.max_body_bytes = 1000;
    scene one(limits);
    const auto announced = one.client.ask("POST", "/", {{"content-length", "2000"}}, std::string(2000, 'a'));
    const auto silent = one.client.ask("POST", "/", {}, std::nullopt, true);
    one.client.send_body(silent, std::string(2000, 'a'), false);
    one.settle();
    for (const auto id : {announced, silent}) {
        EXPECT_EQ(one.answer(id).status, 413);
        EXPECT_TRUE(one.answer(id).ended);
    }
    EXPECT_EQ(one.answer(silent).reset, NGHTTP2_NO_ERROR);
    EXPECT_TRUE(one.machine.idle());
    EXPECT_TRUE(one.client.goaways.empty());
}

TEST(Http2, WhatHttp1RefusesInAHeadIsRefusedHere) {
    const auto status = [](const peer::fields& fields, std::string_view method = "GET", std::string_view path = "/") {
        server::options limits;
        limits.max_headers = 20;
        scene one(limits);
        const auto id = one.client.ask(method, path, fields);
        one.settle();
        return one.answer(id).status;
    };
    EXPECT_EQ(status({}, "BREW"), 501);
    EXPECT_EQ(status({{":path", "-"}, {":scheme", "-"}}, "CONNECT"), 501);
    EXPECT_EQ(status({{"host", "b"}}), 400);
    EXPECT_EQ(status({{"host", "a"}}), 200);
    EXPECT_EQ(status({{":authority", "a@b"}}), 400);
    EXPECT_EQ(status({{":authority", "-"}, {"host", "a"}}), 200);
    EXPECT_EQ(status({}, "GET", "/%zz"), 400);
    EXPECT_EQ(status({}, "GET", "/" + std::string(9000, 'a')), 414);
    EXPECT_EQ(status({}, "GET", "/nowhere"), 404);
    EXPECT_EQ(status({}, "PUT", "/"), 405);
    EXPECT_EQ(status({{"x-request-timeout", "soon"}}), 400);
    EXPECT_EQ(status({{"long", std::string(17'000, 'a')}}), 431);
    EXPECT_EQ(status(peer::fields(21, {"many", "a"})), 431);
}

TEST(Http2, FieldsOfAConnectionOfHttp1ResetTheStream) {
    for (const auto* name : {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
        scene one;
        const auto id = one.client.ask("GET", "/", {{name, "a"}});
        one.settle();
        EXPECT_EQ(one.answer(id).reset, NGHTTP2_PROTOCOL_ERROR) << name;
        EXPECT_EQ(one.answer(id).status, 0) << name;
    }
}

TEST(Http2, AResponseHasItsFieldsInSmallLettersAndNoneOfAConnection) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    server::response with(http::status::ok, "body");
    with.set("X-Mine", "Yes").set("Connection", "close").set("Set-Cookie", "a").set("Set-Cookie", "b");
    with.trail("Sum", "9");
    one.reply(id, std::move(with));
    const auto& answer = one.answer(id);
    EXPECT_EQ(answer.header("x-mine"), "Yes");
    EXPECT_EQ(answer.headers.count("connection"), 0);
    EXPECT_EQ(answer.headers.count("set-cookie"), 2);
    EXPECT_EQ(answer.body, "body");
    EXPECT_THAT(answer.trailers, Contains(Pair("sum", "9")));
    EXPECT_TRUE(answer.ended);
}

TEST(Http2, HeadHasTheLengthAndNoBody) {
    scene one;
    const auto id = one.client.ask("HEAD", "/");
    one.settle();
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_EQ(one.answer(id).header("content-length"), "5");
    EXPECT_EQ(one.answer(id).body, "");
    EXPECT_TRUE(one.answer(id).ended);
}

TEST(Http2, AStreamIsAskedForItsNextPieceWhenTheClientHasTakenTheLast) {
    scene one({}, 1000, false);
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    one.reply(id, scene::streamed());
    ASSERT_EQ(one.asked.count(id), 1);  // "first" has gone
    one.give_piece(id, 2000);
    EXPECT_EQ(one.answer(id).body.size(), 1000);
    EXPECT_TRUE(one.asked.empty());
    one.client.open_window(id, 5000);
    one.client.open_window(0, 5000);
    one.settle();
    EXPECT_EQ(one.answer(id).body.size(), 2005);
    one.give_piece(id, 0);
    EXPECT_TRUE(one.answer(id).ended);
    EXPECT_EQ(one.account().finished, 1);
}

TEST(Http2, AStreamThatFailsOrEndsBeforeItsLengthIsResetByInternalError) {
    for (const bool throws : {true, false}) {
        scene one;
        one.holds_handlers = true;
        const auto id = one.client.get("/");
        one.settle();
        one.reply(id, scene::streamed(100));
        throws ? one.throw_out(id) : one.give_piece(id, 0);
        EXPECT_EQ(one.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
        EXPECT_FALSE(one.answer(id).ended);
    }
}

TEST(Http2, AHandlerThatThrowsIsA500) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/");
    one.settle();
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 500);
}

TEST(Http2, ADeadlineThatPassesIsA504AlsoWhenTheHandlerDoesNotReturn) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.get("/", {{"x-request-timeout", "300ms"}});
    one.settle();
    one.tick_after(301ms);
    EXPECT_EQ(one.asked.at(id)->current.scope.get().why(), lifecycle::cause::deadline);
    one.tick_after(101ms);
    EXPECT_EQ(one.answer(id).status, 504);
    EXPECT_EQ(one.stragglers, 1);
    EXPECT_FALSE(one.machine.idle());  // it is pinned until it returns
    one.reply(id);
    EXPECT_EQ(one.stragglers, 0);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2, AClientThatResetsItsStreamHasLeftAndIsNoFault) {
    for (const std::uint32_t code : {NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR}) {
        scene one;
        one.holds_handlers = true;
        const auto id = one.client.get("/");
        one.settle();
        one.client.reset(id, code);
        one.settle();
        EXPECT_EQ(one.asked.at(id)->current.scope.get().why(), lifecycle::cause::client_gone);
        one.reply(id);
        EXPECT_EQ(one.digit, 0);
        EXPECT_EQ(one.account().gone, 1);
        EXPECT_TRUE(one.machine.idle());
    }
}

TEST(Http2, ABodyThatDoesNotComeIsA408) {
    server::options limits;
    limits.body_timeout = 1s;
    scene one(limits);
    const auto id = one.client.ask("POST", "/", {}, std::nullopt, true);
    one.settle();
    one.tick_after(1001ms);
    EXPECT_EQ(one.answer(id).status, 408);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2, AClientThatOpensNoWindowIsCutAfterTheWriteTimeout) {
    scene one({}, 0, false);
    const auto id = one.client.get("/");
    one.settle();
    EXPECT_EQ(one.answer(id).status, 200);
    one.tick_after(30'001ms);
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_TRUE(one.machine.idle());
    EXPECT_EQ(one.account().gone, 1);
}

TEST(Http2, AClientThatWaitsForContinueHearsIt) {
    scene one;
    const auto id = one.client.ask("POST", "/", {{"expect", "100-continue"}}, std::nullopt, true);
    one.settle();
    EXPECT_EQ(one.answer(id).status, 100);
    one.client.send_body(id, "body", true);
    one.settle();
    EXPECT_EQ(one.answer(id).status, 200);
}

TEST(Http2, StreamsAboveTheLimitAreAnsweredAndNotReset) {
    server::options limits;
    limits.http2_max_streams = 2;
    scene one(limits);
    EXPECT_EQ(one.client.settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 2);
    one.holds_handlers = true;
    const auto first = one.client.get("/");
    const auto second = one.client.get("/");
    one.settle();
    const std::string head(
        "\x82\x86\x84\x01\x01"
        "a",
        6);  // of a client that does not heed it
    one.send_raw(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 5, head));
    EXPECT_EQ(one.calls, 2);
    EXPECT_EQ(one.refused, server::rule::http2_max_streams);
    EXPECT_FALSE(one.answer(5).reset);
    one.reply(first);
    one.reply(second);
    EXPECT_EQ(one.account().finished, 3);
}

TEST(Http2, ACallOfGrpcIsRefusedByTrailersOnly) {
    scene one;
    const auto id = one.client.ask("POST", "/nowhere", {{"content-type", "application/grpc"}, {"te", "trailers"}}, "");
    one.settle();
    const auto& answer = one.answer(id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-type"), "application/grpc");
    EXPECT_EQ(answer.header("grpc-status"), "12");
    EXPECT_EQ(answer.body, "");
    EXPECT_TRUE(answer.ended);
}

TEST(Http2, TheTimeoutOfACallOfGrpcIsItsDeadline) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.client.ask("POST", "/", {{"content-type", "application/grpc"}, {"grpc-timeout", "200m"}}, "");
    one.settle();
    one.tick_after(201ms);
    one.reply(id);
    EXPECT_EQ(one.answer(id).header("grpc-status"), "4");
}

}  // namespace
}  // namespace http2_tests
