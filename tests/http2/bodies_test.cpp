// What HTTP/2 does with a body that its handler takes as it arrives.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

TEST(Http2Bodies, TheHandlerIsAskedWhenTheHeadIsThere) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload("/taken", {{"content-length", "10"}});
    ASSERT_EQ(scene.asked.count(id), 1);
    EXPECT_EQ(scene.body(id).length(), 10);
    EXPECT_EQ(scene.read(id), "");
    EXPECT_FALSE(scene.got(id));
    scene.client.send_body(id, "01234", false);
    scene.settle();
    EXPECT_EQ(scene.got(id), "01234");
    scene.client.send_body(id, "56789", true);
    scene.settle();
    EXPECT_EQ(scene.read(id), "56789");
    EXPECT_TRUE(scene.body(id).is_over());
    EXPECT_EQ(scene.read(id), "");
    scene.reply(id);
    EXPECT_EQ(scene.answer(id).status, 200);
    EXPECT_FALSE(scene.answer(id).reset);
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_EQ(scene.account().finished, 1);
}

TEST(Http2Bodies, WhoWaitsForTheEndHearsOfIt) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload();
    EXPECT_EQ(scene.read(id), "");
    scene.send_body(id, 0, true);
    EXPECT_EQ(scene.got(id), "");
    EXPECT_TRUE(scene.body(id).is_over());
    scene.reply(id);
}

TEST(Http2Bodies, WindowsAreOpenedForWhatTheHandlerHasTakenAndForNothingElse) {
    server::options limits;
    limits.max_body_bytes = 100'000;  // which does not apply
    scene scene(limits);
    scene.holds_handlers = true;
    const auto id = scene.upload();
    scene.send_body(id, 300'000, true);
    EXPECT_EQ(scene.held(), 65'535);
    EXPECT_EQ(scene.read(id, 10'000).size(), 10'000);
    EXPECT_EQ(scene.held(), 55'535);  // half of a window is opened at once, and not less
    std::size_t taken = 10'000;
    while (!scene.body(id).is_over()) {
        const auto bytes = scene.read(id, 50'000);
        ASSERT_FALSE(bytes.empty());
        taken += bytes.size();
        EXPECT_LE(scene.held(), 65'535);
    }
    EXPECT_EQ(taken, 300'000);
    EXPECT_EQ(scene.held(), 0);
    scene.reply(id);
}

TEST(Http2Bodies, AHundredThatNobodyTakesHoldLessThanAMebibyte) {
    scene scene;
    scene.holds_handlers = true;
    std::vector<std::int32_t> all;
    for (int nth = 0; nth < 100; ++nth) {
        all.push_back(scene.upload());
        scene.send_body(all.back(), 100'000, true);
    }
    EXPECT_LE(scene.held(), 768 * 1024);
    const auto get = scene.client.get("/");
    scene.settle();
    EXPECT_EQ(scene.asked.count(get), 1);
    std::size_t taken = 0;
    for (int rounds = 0; rounds < 1'000 && !all.empty(); ++rounds)  // each gets its bytes in the end
        std::erase_if(all, [&](std::int32_t id) {
            auto& body = scene.body(id);
            if (!body.wanted().empty()) return false;
            taken += scene.got(id)->size();
            if (!body.is_over()) taken += scene.read(id).size();
            const bool over = body.is_over();
            if (over) scene.reply(id);
            return over;
        });
    EXPECT_EQ(taken, 100 * 100'000);
    scene.reply(get);
    EXPECT_TRUE(scene.machine.idle());
}

TEST(Http2Bodies, ALoopThatHoldsTooMuchAnswers503) {
    server::options limits;
    limits.max_body_bytes = 1'000;  // of which 64 may be held
    scene scene(limits);
    scene.holds_handlers = true;
    const auto id = scene.upload();
    EXPECT_EQ(scene.read(id), "");
    scene.send_body(id, 10);
    EXPECT_EQ(scene.got(id)->size(), 10);
    scene.send_body(id, 65'000);
    ASSERT_TRUE(scene.body(id).has_failed());
    EXPECT_EQ(scene.body(id).failed_by(), server::rule::max_in_flight);
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 503);
    EXPECT_EQ(scene.held(), 0);
    EXPECT_EQ(scene.failures, 0);
}

/// One 503 ends six of fourteen clients of event streams for good (docs/streams.md).
TEST(Http2Bodies, ALoopThatHoldsTooMuchAnswersARequestForAStreamOfEventsByOneThatHoldsNothing) {
    server::options limits;
    limits.max_body_bytes = 1'000;  // of which 64 may be held
    scene scene(limits);
    scene.holds_handlers = true;
    const auto holds = scene.upload();
    scene.send_body(holds, 63'500);
    ASSERT_EQ(scene.held(), 63'500);
    for (const auto* path : {"/", "/ticks"}) {
        const auto id = scene.client.ask("GET", path, {}, std::nullopt, true);
        scene.settle();
        scene.send_body(id, 900);
        EXPECT_EQ(scene.refused, server::rule::max_in_flight) << path;
        EXPECT_EQ(scene.answer(id).status, path == std::string("/") ? 503 : 200) << path;
        EXPECT_EQ(scene.answer(id).body.starts_with("retry: "), path == std::string("/ticks")) << path;
        EXPECT_TRUE(scene.answer(id).ended) << path;
    }
    EXPECT_EQ(scene.asked.size(), 1) << "no handler is asked for them";
}

TEST(Http2Bodies, ABodyAboveTheLimitOfItsRouteIs413) {
    scene scene;
    scene.holds_handlers = true;
    const auto announced = scene.upload("/little", {{"content-length", "1001"}});
    EXPECT_EQ(scene.asked.count(announced), 0);
    EXPECT_EQ(scene.answer(announced).status, 413);
    const auto silent = scene.upload("/little");
    EXPECT_EQ(scene.read(silent), "");
    scene.send_body(silent, 1001);
    EXPECT_EQ(scene.body(silent).failed_by(), server::rule::max_body_bytes);
    scene.throw_out(silent);
    EXPECT_EQ(scene.answer(silent).status, 413);
    EXPECT_EQ(scene.refused, server::rule::max_body_bytes);
    EXPECT_EQ(scene.failures, 0);
}

TEST(Http2Bodies, AnAnswerBeforeTheEndEndsTheStreamWithoutAnErrorAndTheConnectionGoesOn) {
    scene scene;
    scene.holds_handlers = true;
    for (int nth = 0; nth < 40; ++nth) {  // more than the window of the connection
        const auto id = scene.upload();
        scene.send_body(id, 60'000);
        scene.reply(id);
        EXPECT_EQ(scene.answer(id).status, 200);
        EXPECT_TRUE(scene.answer(id).ended);
        EXPECT_EQ(scene.answer(id).reset, NGHTTP2_NO_ERROR);
        ASSERT_EQ(scene.held(), 0);
    }
    EXPECT_TRUE(scene.machine.idle());
    EXPECT_EQ(scene.account().finished, 40);
    const auto last = scene.upload();
    scene.send_body(last, 60'000, true);
    EXPECT_EQ(scene.read(last).size(), 60'000);
    scene.reply(last);
}

TEST(Http2Bodies, NothingIsHeldBehindAHandlerThatHasReturnedWhileItsAnswerStreams) {
    scene play;
    play.holds_handlers = true;
    const auto id = play.upload();
    play.send_body(id, 60'000);
    play.reply(id, scene::streamed());
    EXPECT_EQ(play.held(), 0);
    play.send_body(id, 200'000);
    EXPECT_EQ(play.held(), 0);
    play.give_piece(id, 0);
    EXPECT_EQ(play.answer(id).body, "first");
    EXPECT_EQ(play.answer(id).reset, NGHTTP2_NO_ERROR);
}

TEST(Http2Bodies, AClientThatGoesWakesTheReaderAndGivesTheWindowBack) {
    scene scene;
    scene.holds_handlers = true;
    for (int nth = 0; nth < 40; ++nth) {
        const auto id = scene.upload();
        auto& of = *scene.asked.at(id);
        scene.send_body(id, 60'000);
        if (nth % 2 == 0) {
            EXPECT_EQ(scene.read(id).size(), 60'000);
            EXPECT_EQ(scene.read(id), "");
        }
        scene.client.reset(id);
        scene.settle();
        EXPECT_TRUE(scene.body(id).has_failed());
        EXPECT_EQ(scene.body(id).failed_by(), server::rule::none);
        EXPECT_FALSE(of.receives);  // it has been woken
        EXPECT_EQ(of.current.scope.get().why(), lifecycle::cause::client_gone);
        scene.throw_out(id);
        ASSERT_EQ(scene.held(), 0);
    }
    EXPECT_EQ(scene.account().gone, 40);
    EXPECT_EQ(scene.digit, 0);
    EXPECT_EQ(scene.failures, 0);
    EXPECT_TRUE(scene.client.goaways.empty());
}

TEST(Http2Bodies, AConnectionThatIsLostWakesItsReaders) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload();
    EXPECT_EQ(scene.read(id), "");
    scene.machine.lost(scene.at());
    scene.machine.wake(scene.at());
    EXPECT_TRUE(scene.body(id).has_failed());
    EXPECT_FALSE(scene.asked.at(id)->receives);
    scene.throw_out(id);
    EXPECT_EQ(scene.account().gone, 1);
}

TEST(Http2Bodies, TheTimeOfAReaderIsTheClients) {
    server::options limits;
    limits.body_timeout = 1s;
    limits.min_data_rate = 100;
    scene scene(limits);
    scene.holds_handlers = true;
    const auto id = scene.upload();
    scene.tick_after(5s);  // the handler's
    EXPECT_EQ(scene.read(id), "");
    scene.tick_after(700ms);
    scene.send_body(id, 150);
    EXPECT_EQ(scene.got(id)->size(), 150);
    EXPECT_EQ(scene.read(id), "");
    scene.tick_after(400ms);  // it has been fast enough
    EXPECT_FALSE(scene.body(id).has_failed());
    scene.tick_after(1100ms);
    EXPECT_EQ(scene.body(id).failed_by(), server::rule::body_timeout);
    EXPECT_FALSE(scene.asked.at(id)->receives);
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 408);
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_NO_ERROR);
}

TEST(Http2Bodies, AHandlerThatDoesNotAskForMoreHasATimeOfItsOwn) {
    server::options limits;
    limits.request_timeout = 2s;
    scene scene(limits);
    scene.holds_handlers = true;
    const auto id = scene.upload();
    scene.send_body(id, 100);
    scene.tick_after(1900ms);
    EXPECT_EQ(scene.read(id).size(), 100);
    EXPECT_EQ(scene.read(id), "");
    scene.send_body(id, 100);
    scene.tick_after(1900ms);
    EXPECT_EQ(scene.asked.at(id)->current.scope.get().why(), lifecycle::cause::none);
    scene.tick_after(200ms);
    EXPECT_EQ(scene.asked.at(id)->current.scope.get().why(), lifecycle::cause::deadline);
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 504);

    const auto never = scene.upload();
    scene.tick_after(2001ms);
    EXPECT_EQ(scene.asked.at(never)->current.scope.get().why(), lifecycle::cause::deadline);
    scene.throw_out(never);
}

TEST(Http2Bodies, ADeadlineThatTheClientHasSetIsForAllOfIt) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload("/taken", {{"x-request-timeout", "300ms"}});
    EXPECT_EQ(scene.read(id), "");
    scene.tick_after(301ms);
    EXPECT_EQ(scene.body(id).failed_by(), server::rule::request_timeout);
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 504);
    EXPECT_EQ(scene.digit, 4);
}

TEST(Http2Bodies, TheEndOfADrainWakesTheReaderAndIsA503) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload();
    EXPECT_EQ(scene.read(id), "");
    scene.drain(1s, 2s);
    scene.send_body(id, 100);
    EXPECT_EQ(scene.got(id)->size(), 100);  // it goes on until then
    EXPECT_EQ(scene.read(id), "");
    scene.tick_after(2001ms);
    EXPECT_EQ(scene.body(id).failed_by(), server::rule::drain);
    EXPECT_FALSE(scene.asked.at(id)->receives);
    scene.throw_out(id);
    EXPECT_EQ(scene.answer(id).status, 503);
    EXPECT_EQ(scene.answer(id).header("retry-after"), "1");
    EXPECT_EQ(scene.account().cut, 1);
}

TEST(Http2Bodies, ABodyThatIsWaitedForAndHasNotBegunIsNoneThatADrainCuts) {
    for (const bool returns : {true, false}) {
        scene scene;
        scene.holds_handlers = true;
        const auto id = scene.upload();
        EXPECT_EQ(scene.read(id), "");
        scene.drain(1s, 2s);
        scene.tick_after(2001ms);
        EXPECT_EQ(scene.body(id).failed_by(), server::rule::drain);
        if (returns) scene.throw_out(id);
        scene.tick();
        EXPECT_EQ(scene.answer(id).status, 503);
        EXPECT_EQ(scene.answer(id).header("retry-after"), "1");
        EXPECT_EQ(scene.account().cut, returns ? 0 : 1);
        EXPECT_EQ(scene.account().finished, returns ? 1 : 0);
        EXPECT_EQ(scene.machine.forced(), !returns);
    }
}

TEST(Http2Bodies, TrailersAreThereWhenAllOfItIs) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload();
    EXPECT_EQ(scene.read(id), "");
    scene.client.trail(id, {{"sum", "7"}});
    scene.client.send_body(id, "body", true);
    scene.settle();
    EXPECT_EQ(scene.got(id), "body");
    EXPECT_EQ(scene.read(id), "");
    EXPECT_TRUE(scene.body(id).is_over());
    EXPECT_EQ(scene.requests.at(id)->trailer("sum"), "7");
    EXPECT_TRUE(scene.requests.at(id)->body.empty());
    scene.reply(id);
}

TEST(Http2Bodies, TheFirstReadIsWhatTellsAClientToGoOn) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload("/taken", {{"expect", "100-continue"}});
    EXPECT_EQ(scene.answer(id).status, 0);
    EXPECT_EQ(scene.read(id), "");
    EXPECT_EQ(scene.answer(id).status, 100);
    scene.send_body(id, 10, true);
    EXPECT_EQ(scene.got(id)->size(), 10);
    scene.reply(id);
    EXPECT_EQ(scene.answer(id).status, 200);

    const auto unread = scene.upload("/taken", {{"expect", "100-continue"}});
    scene.reply(unread, server::response(http::status::forbidden, "no"));
    EXPECT_EQ(scene.answer(unread).status, 403);
    EXPECT_EQ(scene.answer(unread).headers.count(":status"), 1);  // and no 100 before it

    const auto nowhere = scene.upload("/nowhere", {{"expect", "100-continue"}});
    EXPECT_EQ(scene.answer(nowhere).status, 404);
}

TEST(Http2Bodies, ABodyInACodingThatItsRouteDoesNotDecodeIs415) {
    scene scene;
    scene.holds_handlers = true;
    const auto id = scene.upload("/taken", {{"content-encoding", "gzip"}});
    EXPECT_EQ(scene.asked.count(id), 0);
    EXPECT_EQ(scene.answer(id).status, 415);
    EXPECT_EQ(scene.answer(id).header("accept-encoding"), "identity");
}

}  // namespace
}  // namespace http2_tests
