// What an HTTP/2 connection does with requests and answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

TEST(Http2, AnswersARequestAndCountsIt) {
    scene scene;
    const auto id = scene.client.get("/");
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_EQ(scene.answer(id).body, "hello");
    EXPECT_EQ(scene.answer(id).header("content-length"), "5");
    EXPECT_TRUE(scene.answer(id).ended);
    EXPECT_EQ(scene.account().began, 1);
    EXPECT_EQ(scene.account().finished, 1);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2, ManyRequestsAreAnsweredInTheOrderInWhichTheirHandlersReturn) {
    scene scene;
    scene.holds_handlers = true;
    const auto slow = scene.client.get("/");
    const auto quick = scene.client.get("/other");
    scene.settle();
    scene.reply(quick);
    EXPECT_TRUE(scene.answer(quick).ended);
    EXPECT_FALSE(scene.answer(slow).ended);
    scene.reply(slow);
    EXPECT_TRUE(scene.answer(slow).ended);
}

TEST(Http2, TheHeadOfARequestIsWhatAHandlerOfHttp1WouldSee) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.ask(
        "GET", "/?a=b",
        {{":authority", "example.org:8080"}, {"cookie", "a=1"}, {"x-request-id", "mine"}, {"cookie", "b=2"}});
    scene.settle();
    const auto& seen = *scene.requests.at(id);
    EXPECT_EQ(seen.version, 20);
    EXPECT_EQ(seen.method_name, "GET");
    EXPECT_EQ(seen.path, "/");
    EXPECT_EQ(seen.query, "a=b");
    EXPECT_EQ(seen.host, "example.org:8080");
    EXPECT_EQ(seen.header(http::field::cookie), "a=1; b=2");
    EXPECT_EQ(seen.id, "mine");
    scene.reply(id);
}

/// A client's head in two segments, in two records of TLS, or at the end of what one read has room for.
TEST(Http2, HeadAndTrailersAreTheSameWhereverTheirBytesAreCut) {
    for (std::size_t cut = 0, size = 1; cut <= size; ++cut) {
        SCOPED_TRACE(cut);
        scene scene;
        scene.holds_handlers = true;
        const auto id = scene.client.ask(
            "POST", "/?" + std::string(40, 'q'),
            {{":authority", "example.org"}, {"cookie", "a=1"}, {"x-request-id", "mine"}, {"content-length", "4"}},
            std::nullopt, true);
        scene.client.trail(id, {{"sum", "7"}, {"more", "8"}});
        scene.client.send_body(id, "body", true);
        const auto bytes = scene.client.take();
        size = bytes.size();
        if (cut == 0) {
            for (const char byte : bytes) scene.send({&byte, 1});
        } else {
            scene.send(std::string_view(bytes).substr(0, cut));
            scene.send(std::string_view(bytes).substr(cut));
        }
        ASSERT_EQ(scene.asked.count(id), 1) << scene.answer(id).status;
        const auto& seen = *scene.requests.at(id);
        EXPECT_EQ(seen.method_name, "POST");
        EXPECT_EQ(seen.query, std::string(40, 'q'));
        EXPECT_EQ(seen.host, "example.org");
        EXPECT_EQ(seen.id, "mine");
        EXPECT_EQ(seen.header(http::field::cookie), "a=1");
        EXPECT_EQ(seen.header(http::field::content_length), "4");
        EXPECT_EQ(seen.body, "body");
        ASSERT_EQ(seen.trailers.size(), 2);
        EXPECT_EQ(seen.trailers[1].value, "8");
        scene.reply(id);
        ASSERT_FALSE(HasFailure());
    }
}

TEST(Http2, ABodyAndItsTrailersAreWholeBeforeTheHandlerIsAsked) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.ask("POST", "/", {}, std::nullopt, true);
    scene.client.trail(id, {{"sum", "7"}});
    scene.client.send_body(id, std::string(100'000, 'a'), false);
    scene.settle();
    EXPECT_TRUE(scene.asked.empty());
    scene.client.send_body(id, "end", true);
    scene.settle();
    ASSERT_EQ(scene.asked.count(id), 1);
    const auto& seen = *scene.requests.at(id);
    EXPECT_EQ(seen.body.size(), 100'003);
    ASSERT_EQ(seen.trailers.size(), 1);
    EXPECT_EQ(seen.trailers[0].name, "sum");
    EXPECT_EQ(seen.trailers[0].value, "7");
    scene.reply(id);
}

TEST(Http2, ABodyAboveTheLimitIsRefusedAndTheRestOfItIsNotWaitedFor) {
    server::options limits;
    limits.max_body_bytes = 1000;
    scene scene(limits);
    const auto announced = scene.client.ask("POST", "/", {{"content-length", "2000"}}, std::string(2000, 'a'));
    const auto silent = scene.client.ask("POST", "/", {}, std::nullopt, true);
    scene.client.send_body(silent, std::string(2000, 'a'), false);
    scene.settle();
    for (const auto id : {announced, silent}) {
        EXPECT_EQ(scene.answer(id).status, 413);
        EXPECT_TRUE(scene.answer(id).ended);
    }
    EXPECT_EQ(scene.answer(silent).reset, NGHTTP2_NO_ERROR);
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_TRUE(scene.client.goaways.empty());
}

TEST(Http2, WhatHttp1RefusesInAHeadIsRefusedHere) {
    const auto status = [](const peer::fields& fields, std::string_view method = "GET", std::string_view path = "/") {
        server::options limits;
        limits.max_headers = 20;
        scene scene(limits);
        const auto id = scene.client.ask(method, path, fields);
        scene.settle();
        EXPECT_EQ(scene.introduced, std::vector{id}) << "who asks is known whatever answers";
        return scene.answer(id).status;
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
        scene scene;
        const auto id = scene.client.ask("GET", "/", {{name, "a"}});
        scene.settle();
        EXPECT_EQ(scene.answer(id).reset, NGHTTP2_PROTOCOL_ERROR) << name;
        EXPECT_EQ(scene.answer(id).status, 0) << name;
    }
}

TEST(Http2, AResponseHasItsFieldsInSmallLettersAndNoneOfAConnection) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.get("/");
    scene.settle();
    server::response with(http::status::ok, "body");
    with.set("X-Mine", "Yes").set("Connection", "close").set("Set-Cookie", "a").set("Set-Cookie", "b");
    with.trail("Sum", "9");
    scene.reply(id, std::move(with));
    const auto& answer = scene.answer(id);
    EXPECT_EQ(answer.header("x-mine"), "Yes");
    EXPECT_EQ(answer.headers.count("connection"), 0);
    EXPECT_EQ(answer.headers.count("set-cookie"), 2);
    EXPECT_EQ(answer.body, "body");
    EXPECT_THAT(answer.trailers, Contains(Pair("sum", "9")));
    EXPECT_TRUE(answer.ended);
}

TEST(Http2, HeadHasTheLengthAndNoBody) {
    scene scene;
    const auto id = scene.client.ask("HEAD", "/");
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_EQ(scene.answer(id).header("content-length"), "5");
    EXPECT_EQ(scene.answer(id).body, "");
    EXPECT_TRUE(scene.answer(id).ended);
}

TEST(Http2, AStreamIsAskedForItsNextPieceWhenTheClientHasTakenTheLast) {
    scene play({}, 1000, false);
    play.holds_handlers = true;
    const auto id = play.client.get("/");
    play.settle();
    play.reply(id, scene::streamed());
    ASSERT_EQ(play.asked.count(id), 1);  // "first" has gone
    play.give_piece(id, 2000);
    EXPECT_EQ(play.answer(id).body.size(), 1000);
    EXPECT_TRUE(play.asked.empty());
    play.client.open_window(id, 5000);
    play.client.open_window(0, 5000);
    play.settle();
    EXPECT_EQ(play.answer(id).body.size(), 2005);
    play.give_piece(id, 0);
    EXPECT_TRUE(play.answer(id).ended);
    EXPECT_EQ(play.account().finished, 1);
}

TEST(Http2, WhatIsWrittenOfALongAnswerIsWholeRecordsOfTls) {
    constexpr std::size_t record = 16 * 1024;
    scene play({}, 1 << 20);
    play.client.open_window(0, 1 << 20);
    play.holds_handlers = true;
    const auto streamed = play.client.get("/");
    play.settle();
    play.reply(streamed, scene::streamed());
    for (int pieces = 0; pieces < 3; ++pieces) {
        play.written.clear();
        play.give_piece(streamed, 1 << 20);  // as much as there is room for
        EXPECT_THAT(play.written, ElementsAre(4 * record));
    }
    const auto at_hand = play.client.get("/other");
    play.settle();
    play.written.clear();
    play.reply(at_hand, server::response(http::status::ok, std::string(10 * record, 'a')));
    ASSERT_EQ(play.written.size(), 3);
    EXPECT_GT(play.written[0], 4 * record) << "the head is in front";
    EXPECT_EQ(play.written[1], 4 * record);
    play.give_piece(streamed, 0);
}

TEST(Http2, AHundredAnswersThatNobodyReadsHoldLessThanAMebibyte) {
    scene play({}, 0, false);
    play.holds_handlers = true;
    std::size_t first_pieces = 0;
    for (int nth = 0; nth < 100; ++nth) {
        const auto id = play.client.get("/");
        play.settle();
        first_pieces += play.asked.at(id)->current.largest_piece;
    }
    EXPECT_LT(first_pieces, 1 << 20);
    while (!play.asked.empty()) play.reply(play.asked.begin()->first, scene::streamed());
    EXPECT_TRUE(play.asked.empty()) << "a source is asked although its client has not taken what there is";
}

TEST(Http2, AStreamThatFailsOrEndsBeforeItsLengthIsResetByInternalError) {
    for (const bool throws : {true, false}) {
        scene play;
        play.holds_handlers = true;
        const auto id = play.client.get("/");
        play.settle();
        play.reply(id, scene::streamed(100));
        throws ? play.throw_out(id) : play.give_piece(id, 0);
        EXPECT_EQ(play.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
        EXPECT_FALSE(play.answer(id).ended);
    }
}

TEST(Http2, MiddlewareSeesWhatTheServerItselfSays) {
    server::options limits;
    limits.max_body_bytes = 1000;
    limits.body_timeout = 1s;
    scene scene(limits);
    scene.holds_handlers = true;
    const auto large = scene.client.ask("POST", "/", {{"content-length", "2000"}}, std::string(2000, 'a'));
    const auto slow = scene.client.ask("POST", "/other", {}, std::nullopt, true);
    const auto late = scene.client.get("/", {{"x-request-timeout", "300ms"}});
    const auto thrown = scene.client.get("/other");
    scene.settle();
    scene.throw_out(thrown);
    scene.tick_after(301ms);
    scene.tick_after(101ms);
    scene.tick_after(700ms);
    EXPECT_EQ(scene.answer(large).status, 413);
    EXPECT_EQ(scene.answer(large).header("x-seen"), "/");
    EXPECT_EQ(scene.answer(slow).status, 408);
    EXPECT_EQ(scene.answer(slow).header("x-seen"), "/other");
    EXPECT_EQ(scene.answer(late).status, 504);
    EXPECT_EQ(scene.answer(late).header("x-seen"), "/");
    EXPECT_EQ(scene.answer(thrown).status, 500);
    EXPECT_EQ(scene.answer(thrown).header("x-seen"), "/other");
}

TEST(Http2, AHandlerThatThrowsIsA500) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.get("/");
    scene.settle();
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 500);
}

TEST(Http2, ADeadlineThatPassesIsA504AlsoWhenTheHandlerDoesNotReturn) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.get("/", {{"x-request-timeout", "300ms"}});
    scene.settle();
    scene.tick_after(301ms);
    EXPECT_EQ(scene.asked.at(id)->current.scope.get().why(), lifecycle::cause::deadline);
    scene.tick_after(101ms);
    EXPECT_EQ(scene.answer(id).status, 504);
    EXPECT_EQ(scene.stragglers, 1);
    EXPECT_FALSE(scene.machine.idle());  // it is pinned until it returns
    scene.reply(id);
    EXPECT_EQ(scene.stragglers, 0);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2, AClientThatResetsItsStreamHasLeftAndIsNoFault) {
    for (const std::uint32_t code : {NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR}) {
        scene scene;
        scene.holds_handlers = true;
        const auto id = scene.client.get("/");
        scene.settle();
        scene.client.reset(id, code);
        scene.settle();
        EXPECT_EQ(scene.asked.at(id)->current.scope.get().why(), lifecycle::cause::client_gone);
        scene.reply(id);
        EXPECT_EQ(scene.digit, 0);
        EXPECT_EQ(scene.account().gone, 1);
        EXPECT_TRUE(scene.machine.idle());
    }
}

TEST(Http2, ABodyThatDoesNotComeIsA408) {
    server::options limits;
    limits.body_timeout = 1s;
    scene scene(limits);
    const auto id = scene.client.ask("POST", "/", {}, std::nullopt, true);
    scene.settle();
    scene.tick_after(1001ms);
    EXPECT_EQ(scene.answer(id).status, 408);
    EXPECT_EQ(scene.letters, "TR") << "as over HTTP/1.1";
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2, AClientThatOpensNoWindowIsCutAfterTheWriteTimeout) {
    scene scene({}, 0, false);
    const auto id = scene.client.get("/");
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
    scene.tick_after(30'001ms);
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_INTERNAL_ERROR);
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_EQ(scene.account().gone, 1);
}

TEST(Http2, AClientThatWaitsForContinueHearsIt) {
    scene scene;
    const auto id = scene.client.ask("POST", "/", {{"expect", "100-continue"}}, std::nullopt, true);
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 100);
    scene.client.send_body(id, "body", true);
    scene.settle();
    EXPECT_EQ(scene.answer(id).status, 200);
}

TEST(Http2, StreamsAboveTheLimitAreAnsweredAndNotReset) {
    server::options limits;
    limits.http2_max_streams = 2;
    scene scene(limits);
    EXPECT_EQ(scene.client.settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 2);
    scene.holds_handlers = true;
    const auto first = scene.client.get("/");
    const auto second = scene.client.get("/");
    scene.settle();
    const std::string head(
        "\x82\x86\x84\x01\x01"
        "a",
        6);  // of a client that ignores it
    scene.send_raw(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 5, head));
    EXPECT_EQ(scene.calls, 2);
    EXPECT_EQ(scene.refused, server::rule::http2_max_streams);
    EXPECT_FALSE(scene.answer(5).reset);
    scene.reply(first);
    scene.reply(second);
    EXPECT_EQ(scene.account().finished, 3);
}

/// Envoy sends whatever waits on a fresh connection before it reads SETTINGS.
TEST(Http2, StreamsThatComeBeforeTheClientCanKnowTheLimitAreServed) {
    server::options limits;
    limits.http2_max_streams = 2;
    scene scene(limits, 65'535, true, 5);
    ASSERT_EQ(scene.asked.size(), 5);
    while (!scene.asked.empty()) scene.reply(scene.asked.begin()->first);
    for (const auto id : {1, 3, 5, 7, 9}) EXPECT_EQ(scene.answer(id).status, 200) << id;
    EXPECT_EQ(scene.refused, server::rule::none);
}

TEST(Http2, ARequestThatFindsNoPlaceInFlightIsA503) {
    server::options limits;
    limits.max_in_flight = 0;
    scene scene(limits);
    const auto plain = scene.client.get("/");
    const auto call = scene.client.ask("POST", "/", {{"content-type", "application/grpc"}}, "");
    scene.settle();
    EXPECT_EQ(scene.answer(plain).status, 503);
    EXPECT_EQ(scene.answer(plain).header("retry-after"), "1");
    EXPECT_EQ(scene.answer(call).header("grpc-status"), "14");
    EXPECT_EQ(scene.refused, server::rule::max_in_flight);
    EXPECT_EQ(scene.calls, 0);
}

TEST(Http2, ACallOfGrpcIsRefusedByTrailersOnly) {
    scene scene;
    const auto id =
        scene.client.ask("POST", "/nowhere", {{"content-type", "application/grpc"}, {"te", "trailers"}}, "");
    scene.settle();
    const auto& answer = scene.answer(id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-type"), "application/grpc");
    EXPECT_EQ(answer.header("grpc-status"), "12");
    EXPECT_EQ(answer.body, "");
    EXPECT_TRUE(answer.ended);
}

TEST(Http2, TheTimeoutOfACallOfGrpcIsItsDeadline) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.client.ask("POST", "/", {{"content-type", "application/grpc"}, {"grpc-timeout", "200m"}}, "");
    scene.settle();
    scene.tick_after(201ms);
    scene.reply(id);
    EXPECT_EQ(scene.answer(id).header("grpc-status"), "4");
}

}  // namespace
}  // namespace http2_tests
