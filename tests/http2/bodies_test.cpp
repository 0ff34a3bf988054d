// What HTTP/2 does with a body that its handler takes as it comes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

TEST(Http2Bodies, TheHandlerIsAskedWhenTheHeadIsThere) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload("/taken", {{"content-length", "10"}});
    ASSERT_EQ(one.asked.count(id), 1);
    EXPECT_EQ(one.body(id).length(), 10);
    EXPECT_EQ(one.read(id), "");
    EXPECT_FALSE(one.got(id));
    one.client.send_body(id, "01234", false);
    one.settle();
    EXPECT_EQ(one.got(id), "01234");
    one.client.send_body(id, "56789", true);
    one.settle();
    EXPECT_EQ(one.read(id), "56789");
    EXPECT_TRUE(one.body(id).is_over());
    EXPECT_EQ(one.read(id), "");
    one.reply(id);
    EXPECT_EQ(one.answer(id).status, 200);
    EXPECT_FALSE(one.answer(id).reset);
    EXPECT_TRUE(one.machine.idle());
    EXPECT_EQ(one.account().finished, 1);
}

TEST(Http2Bodies, WhoWaitsForTheEndHearsOfIt) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload();
    EXPECT_EQ(one.read(id), "");
    one.send_body(id, 0, true);
    EXPECT_EQ(one.got(id), "");
    EXPECT_TRUE(one.body(id).is_over());
    one.reply(id);
}

TEST(Http2Bodies, WindowsAreOpenedForWhatTheHandlerHasTakenAndForNothingElse) {
    server::options limits;
    limits.max_body_bytes = 100'000;  // which does not apply
    scene one(limits);
    one.holds_handlers = true;
    const auto id = one.upload();
    one.send_body(id, 300'000, true);
    EXPECT_EQ(one.held(), 65'535);
    EXPECT_EQ(one.read(id, 10'000).size(), 10'000);
    EXPECT_EQ(one.held(), 55'535);  // half of a window is opened at once, and not less
    std::size_t taken = 10'000;
    while (!one.body(id).is_over()) {
        const auto bytes = one.read(id, 50'000);
        ASSERT_FALSE(bytes.empty());
        taken += bytes.size();
        EXPECT_LE(one.held(), 65'535);
    }
    EXPECT_EQ(taken, 300'000);
    EXPECT_EQ(one.held(), 0);
    one.reply(id);
}

TEST(Http2Bodies, AHundredThatNobodyTakesHoldLessThanAMebibyte) {
    scene one;
    one.holds_handlers = true;
    std::vector<std::int32_t> all;
    for (int nth = 0; nth < 100; ++nth) {
        all.push_back(one.upload());
        one.send_body(all.back(), 100'000, true);
    }
    EXPECT_LE(one.held(), 768 * 1024);
    const auto get = one.client.get("/");
    one.settle();
    EXPECT_EQ(one.asked.count(get), 1);
    std::size_t taken = 0;
    for (int rounds = 0; rounds < 1'000 && !all.empty(); ++rounds)  // each gets its bytes in the end
        std::erase_if(all, [&](std::int32_t id) {
            auto& body = one.body(id);
            if (!body.wanted().empty()) return false;
            taken += one.got(id)->size();
            if (!body.is_over()) taken += one.read(id).size();
            const bool over = body.is_over();
            if (over) one.reply(id);
            return over;
        });
    EXPECT_EQ(taken, 100 * 100'000);
    one.reply(get);
    EXPECT_TRUE(one.machine.idle());
}

TEST(Http2Bodies, ALoopThatHoldsTooMuchAnswers503) {
    server::options limits;
    limits.max_body_bytes = 1'000;  // of which 64 may be held
    scene one(limits);
    one.holds_handlers = true;
    const auto id = one.upload();
    EXPECT_EQ(one.read(id), "");
    one.send_body(id, 10);
    EXPECT_EQ(one.got(id)->size(), 10);
    one.send_body(id, 65'000);
    ASSERT_TRUE(one.body(id).has_failed());
    EXPECT_EQ(one.body(id).failed_by(), server::rule::max_in_flight);
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 503);
    EXPECT_EQ(one.held(), 0);
    EXPECT_EQ(one.failures, 0);
}

TEST(Http2Bodies, ABodyAboveTheLimitOfItsRouteIs413) {
    scene one;
    one.holds_handlers = true;
    const auto announced = one.upload("/little", {{"content-length", "1001"}});
    EXPECT_EQ(one.asked.count(announced), 0);
    EXPECT_EQ(one.answer(announced).status, 413);
    const auto silent = one.upload("/little");
    EXPECT_EQ(one.read(silent), "");
    one.send_body(silent, 1001);
    EXPECT_EQ(one.body(silent).failed_by(), server::rule::max_body_bytes);
    one.throw_out(silent);
    EXPECT_EQ(one.answer(silent).status, 413);
    EXPECT_EQ(one.refused, server::rule::max_body_bytes);
    EXPECT_EQ(one.failures, 0);
}

TEST(Http2Bodies, AnAnswerBeforeTheEndEndsTheStreamWithoutAnErrorAndTheConnectionGoesOn) {
    scene one;
    one.holds_handlers = true;
    for (int nth = 0; nth < 40; ++nth) {  // more than the window of the connection
        const auto id = one.upload();
        one.send_body(id, 60'000);
        one.reply(id);
        EXPECT_EQ(one.answer(id).status, 200);
        EXPECT_TRUE(one.answer(id).ended);
        EXPECT_EQ(one.answer(id).reset, NGHTTP2_NO_ERROR);
        ASSERT_EQ(one.held(), 0);
    }
    EXPECT_TRUE(one.machine.idle());
    EXPECT_EQ(one.account().finished, 40);
    const auto last = one.upload();
    one.send_body(last, 60'000, true);
    EXPECT_EQ(one.read(last).size(), 60'000);
    one.reply(last);
}

TEST(Http2Bodies, NothingIsHeldBehindAHandlerThatHasReturnedWhileItsAnswerStreams) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload();
    one.send_body(id, 60'000);
    one.reply(id, scene::streamed());
    EXPECT_EQ(one.held(), 0);
    one.send_body(id, 200'000);
    EXPECT_EQ(one.held(), 0);
    one.give_piece(id, 0);
    EXPECT_EQ(one.answer(id).body, "first");
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_NO_ERROR);
}

TEST(Http2Bodies, AClientThatGoesWakesTheReaderAndGivesTheWindowBack) {
    scene one;
    one.holds_handlers = true;
    for (int nth = 0; nth < 40; ++nth) {
        const auto id = one.upload();
        auto& of = *one.asked.at(id);
        one.send_body(id, 60'000);
        if (nth % 2 == 0) {
            EXPECT_EQ(one.read(id).size(), 60'000);
            EXPECT_EQ(one.read(id), "");
        }
        one.client.reset(id);
        one.settle();
        EXPECT_TRUE(one.body(id).has_failed());
        EXPECT_EQ(one.body(id).failed_by(), server::rule::none);
        EXPECT_FALSE(of.receives);  // it has been woken
        EXPECT_EQ(of.current.scope.get().why(), lifecycle::cause::client_gone);
        one.throw_out(id);
        ASSERT_EQ(one.held(), 0);
    }
    EXPECT_EQ(one.account().gone, 40);
    EXPECT_EQ(one.digit, 0);
    EXPECT_EQ(one.failures, 0);
    EXPECT_TRUE(one.client.goaways.empty());
}

TEST(Http2Bodies, AConnectionThatIsLostWakesItsReaders) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload();
    EXPECT_EQ(one.read(id), "");
    one.machine.lost(one.at());
    one.machine.wake(one.at());
    EXPECT_TRUE(one.body(id).has_failed());
    EXPECT_FALSE(one.asked.at(id)->receives);
    one.throw_out(id);
    EXPECT_EQ(one.account().gone, 1);
}

TEST(Http2Bodies, TheTimeOfAReaderIsTheClients) {
    server::options limits;
    limits.body_timeout = 1s;
    limits.min_data_rate = 100;
    scene one(limits);
    one.holds_handlers = true;
    const auto id = one.upload();
    one.tick_after(5s);  // the handler's
    EXPECT_EQ(one.read(id), "");
    one.tick_after(700ms);
    one.send_body(id, 150);
    EXPECT_EQ(one.got(id)->size(), 150);
    EXPECT_EQ(one.read(id), "");
    one.tick_after(400ms);  // it has been fast enough
    EXPECT_FALSE(one.body(id).has_failed());
    one.tick_after(1100ms);
    EXPECT_EQ(one.body(id).failed_by(), server::rule::body_timeout);
    EXPECT_FALSE(one.asked.at(id)->receives);
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 408);
    EXPECT_EQ(one.answer(id).reset, NGHTTP2_NO_ERROR);
}

TEST(Http2Bodies, AHandlerThatDoesNotAskForMoreHasATimeOfItsOwn) {
    server::options limits;
    limits.request_timeout = 2s;
    scene one(limits);
    one.holds_handlers = true;
    const auto id = one.upload();
    one.send_body(id, 100);
    one.tick_after(1900ms);
    EXPECT_EQ(one.read(id).size(), 100);
    EXPECT_EQ(one.read(id), "");
    one.send_body(id, 100);
    one.tick_after(1900ms);
    EXPECT_EQ(one.asked.at(id)->current.scope.get().why(), lifecycle::cause::none);
    one.tick_after(200ms);
    EXPECT_EQ(one.asked.at(id)->current.scope.get().why(), lifecycle::cause::deadline);
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 504);

    const auto never = one.upload();
    one.tick_after(2001ms);
    EXPECT_EQ(one.asked.at(never)->current.scope.get().why(), lifecycle::cause::deadline);
    one.throw_out(never);
}

TEST(Http2Bodies, ADeadlineThatTheClientHasSetIsForAllOfIt) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload("/taken", {{"x-request-timeout", "300ms"}});
    EXPECT_EQ(one.read(id), "");
    one.tick_after(301ms);
    EXPECT_EQ(one.body(id).failed_by(), server::rule::request_timeout);
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 504);
    EXPECT_EQ(one.digit, 4);
}

TEST(Http2Bodies, TheEndOfADrainWakesTheReaderAndIsA503) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload();
    EXPECT_EQ(one.read(id), "");
    one.drain(1s, 2s);
    one.send_body(id, 100);
    EXPECT_EQ(one.got(id)->size(), 100);  // it goes on until then
    EXPECT_EQ(one.read(id), "");
    one.tick_after(2001ms);
    EXPECT_EQ(one.body(id).failed_by(), server::rule::drain);
    EXPECT_FALSE(one.asked.at(id)->receives);
    one.throw_out(id);
    EXPECT_EQ(one.answer(id).status, 503);
    EXPECT_EQ(one.answer(id).header("retry-after"), "1");
    EXPECT_EQ(one.account().cut, 1);
}

TEST(Http2Bodies, TrailersAreThereWhenAllOfItIs) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload();
    EXPECT_EQ(one.read(id), "");
    one.client.trail(id, {{"sum", "7"}});
    one.client.send_body(id, "body", true);
    one.settle();
    EXPECT_EQ(one.got(id), "body");
    EXPECT_EQ(one.read(id), "");
    EXPECT_TRUE(one.body(id).is_over());
    EXPECT_EQ(one.requests.at(id)->trailer("sum"), "7");
    EXPECT_TRUE(one.requests.at(id)->body.empty());
    one.reply(id);
}

TEST(Http2Bodies, TheFirstReadIsWhatTellsAClientToGoOn) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload("/taken", {{"expect", "100-continue"}});
    EXPECT_EQ(one.answer(id).status, 0);
    EXPECT_EQ(one.read(id), "");
    EXPECT_EQ(one.answer(id).status, 100);
    one.send_body(id, 10, true);
    EXPECT_EQ(one.got(id)->size(), 10);
    one.reply(id);
    EXPECT_EQ(one.answer(id).status, 200);

    const auto unread = one.upload("/taken", {{"expect", "100-continue"}});
    one.reply(unread, server::response(http::status::forbidden, "no"));
    EXPECT_EQ(one.answer(unread).status, 403);
    EXPECT_EQ(one.answer(unread).headers.count(":status"), 1);  // and no 100 before it

    const auto nowhere = one.upload("/nowhere", {{"expect", "100-continue"}});
    EXPECT_EQ(one.answer(nowhere).status, 404);
}

TEST(Http2Bodies, ABodyInACodingThatItsRouteDoesNotDecodeIs415) {
    scene one;
    one.holds_handlers = true;
    const auto id = one.upload("/taken", {{"content-encoding", "gzip"}});
    EXPECT_EQ(one.asked.count(id), 0);
    EXPECT_EQ(one.answer(id).status, 415);
    EXPECT_EQ(one.answer(id).header("accept-encoding"), "identity");
}

}  // namespace
}  // namespace http2_tests
