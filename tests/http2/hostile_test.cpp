// Peers that cost themselves little and others much.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/http2/scene.hpp"

namespace http2_tests {
namespace {

using testing::SizeIs;

/// How it has been ended; NO_ERROR: it has not.
std::uint32_t ended_by(scene& scene) {
    return scene.client.goaways.empty() ? std::uint32_t{NGHTTP2_NO_ERROR} : scene.client.goaways.back().code;
}

std::string number(std::uint32_t value) {
    std::string made;
    for (int shift = 24; shift >= 0; shift -= 8) made += static_cast<char>(value >> shift & 0xff);
    return made;
}

TEST(Http2Hostile, ResetsOneAfterTheOtherAreEnded) {  // CVE-2023-44487
    scene scene;
    scene.holds_handlers = true;
    int sent = 0;
    for (; sent < 1000 && ended_by(scene) == NGHTTP2_NO_ERROR; ++sent) {
        const auto id = scene.client.get("/");
        scene.settle();
        scene.client.reset(id);
        scene.settle();
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_LE(sent, 110);
}

TEST(Http2Hostile, SomeResetsNowAndThenAreEveryday) {
    scene scene;
    for (int nth = 0; nth < 300; ++nth) {
        const auto id = scene.client.ask("POST", "/", {}, std::nullopt, true);
        scene.settle();
        scene.client.reset(id);
        scene.settle();
        scene.pass(100ms);
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
    EXPECT_EQ(scene.account().gone, 300);
}

TEST(Http2Hostile, HandlersAreCountedUntilTheyReturnWhateverTheClientDoes) {
    server::options limits;
    limits.http2_max_streams = 10;
    scene scene(limits);
    scene.holds_handlers = true;
    for (int nth = 0; nth < 50; ++nth) {
        const auto id = scene.client.get("/");
        scene.settle();
        scene.client.reset(id);
        scene.settle();
    }
    EXPECT_THAT(scene.asked, SizeIs(10));
}

TEST(Http2Hostile, ResetsThatThePeerMakesUsSendAreEnded) {  // CVE-2025-8671
    scene scene;
    int sent = 0;
    for (; sent < 1000 && ended_by(scene) == NGHTTP2_NO_ERROR; ++sent) {
        scene.client.ask("GET", "/", {{"connection", "close"}});
        scene.settle();
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_LE(sent, 110);
}

/// A head of `POST path` whose body follows, as it stands in a HEADERS frame: `block` behind it.
std::string open_head(std::string_view path, std::string_view block = {}) {
    std::string made(
        "\x83\x86\x41\x01"
        "a\x04",
        6);
    return (made += static_cast<char>(path.size())).append(path).append(block);
}

/// Frames that the state of their stream does not allow, behind its head: of each, how often until it was too much.
TEST(Http2Hostile, FramesThatMakeUsResetTheirStreamAreEnded) {  // CVE-2025-8671
    const std::string no_length(
        "\x0f\x0d\x01"
        "0",
        4);
    const std::string fields(
        "\x00\x01"
        "a\x01"
        "b",
        5);
    struct fault {
        const char* name;
        std::string block;
        std::string (*frame)(std::uint32_t id, const std::string& field);
    };
    const std::vector<fault> faults{
        {"a window that overflows", "",
         [](std::uint32_t id, const std::string&) { return frame(NGHTTP2_WINDOW_UPDATE, 0, id, number(0x7fff'ffff)); }},
        {"a window that opens by nothing", "",
         [](std::uint32_t id, const std::string&) { return frame(NGHTTP2_WINDOW_UPDATE, 0, id, number(0)); }},
        {"more of a body than was announced", no_length,
         [](std::uint32_t id, const std::string&) { return frame(NGHTTP2_DATA, 0, id, "more"); }},
        {"trailers that are not the end", "",
         [](std::uint32_t id, const std::string& field) {
             return frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, field);
         }},
    };
    for (const auto* const path : {"/", "/taken"})  // the handler of the second is asked with the head
        for (const auto& each : faults) {
            scene scene;
            scene.holds_handlers = true;
            std::uint32_t sent = 0;
            for (; sent < 1000 && ended_by(scene) == NGHTTP2_NO_ERROR; ++sent) {
                const auto id = 2 * sent + 1;
                scene.send_raw(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, open_head(path, each.block)));
                scene.send_raw(each.frame(id, fields));
            }
            EXPECT_NE(ended_by(scene), NGHTTP2_NO_ERROR) << each.name << " " << path;
            EXPECT_LE(sent, 110) << each.name << " " << path;
        }
}

TEST(Http2Hostile, AResetForEachAnswerIsEveryday) {
    scene scene;
    for (int nth = 0; nth < 1000; ++nth) {
        const auto left = scene.client.ask("POST", "/", {}, std::nullopt, true);
        const auto answered = scene.client.get("/");
        scene.settle();
        ASSERT_EQ(scene.answer(answered).status, 200);
        scene.client.reset(left);
        scene.settle();
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
    EXPECT_EQ(scene.account().gone, 1000);
}

/// grpc-go does so, from the first call on.
TEST(Http2Hostile, APingForEachAnswerIsEveryday) {
    scene scene;
    for (int nth = 0; nth < 5000; ++nth) {
        scene.client.get("/");
        scene.settle();
        scene.client.ping();
        scene.settle();
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
    EXPECT_EQ(scene.client.pings_answered, 5000);
}

/// The head of `POST /` on that stream, which is all of the request where that is the last byte of it.
std::string ask(std::uint32_t id, bool ends) {
    const std::uint8_t flags = ends ? NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_END_HEADERS;
    return frame(NGHTTP2_HEADERS, flags, id, open_head("/"));
}

std::string data(std::uint32_t id, bool ends = false) {
    return frame(NGHTTP2_DATA, ends ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE, id, "data");
}

/// RFC 9113 section 5.1, whether the answer is out or not, and wherever what comes is cut.
TEST(Http2Hostile, DataBehindTheEndOfAStreamEndsTheConnection) {
    const std::string fields(
        "\x00\x01"
        "a\x01"
        "b",
        5);
    const auto trailers = frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, fields);
    const auto in_two = frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, open_head("/")) +
                        frame(NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, fields);
    const std::vector<std::pair<std::string, std::uint32_t>> some{
        {ask(1, true), 1},                                 // the head is the end
        {in_two, 1},                                       // ... or the first part of it
        {ask(1, false) + data(1, true), 1},                // the body
        {ask(1, false) + data(1) + trailers, 1},           // what is behind it
        {ask(1, true) + ask(3, false) + data(3), 1},       // with another one in between
        {ask(1, false) + ask(3, true) + data(1), 3},       // ... which is older
        {ask(1, false) + ask(3, true) + data(1, true), 1}  // ... which is younger
    };
    for (const auto& [request, id] : some)
        for (const bool is_answered : {true, false}) {
            const auto all = request + data(id);
            for (std::size_t cut = 0; cut <= all.size(); ++cut) {
                scene scene;
                scene.holds_handlers = !is_answered;
                scene.send_raw(all.substr(0, cut));
                EXPECT_EQ(ended_by(scene), cut + 4 < all.size() ? NGHTTP2_NO_ERROR : NGHTTP2_STREAM_CLOSED) << cut;
                scene.send_raw(all.substr(cut));
                EXPECT_EQ(ended_by(scene), NGHTTP2_STREAM_CLOSED) << cut;
                EXPECT_GE(scene.calls, 1);
                EXPECT_EQ(scene.machine.over(), is_answered);  // else when its handlers have returned
            }
        }
}

/// WINDOW_UPDATE, PRIORITY and RST_STREAM may come of any stream that has been.
TEST(Http2Hostile, WhatMayComeBehindTheEndOfAStreamIsNoFault) {
    scene scene;
    for (const std::uint32_t id : {1U, 3U}) {
        scene.holds_handlers = id == 3;
        scene.send_raw(frame(NGHTTP2_HEADERS, 5, id, open_head("/")));
        scene.send_raw(
            frame(NGHTTP2_WINDOW_UPDATE, 0, id, number(1)) + frame(NGHTTP2_PRIORITY, 0, id, number(0) + '\x10') +
            frame(NGHTTP2_RST_STREAM, 0, id, number(NGHTTP2_CANCEL)) + frame(NGHTTP2_WINDOW_UPDATE, 0, id, number(1)));
        EXPECT_EQ(scene.answer(static_cast<std::int32_t>(id)).reset, std::nullopt);
    }
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
}

TEST(Http2Hostile, DataBehindAResetIsAnsweredByOneAndOnlyOnce) {
    scene scene;
    const auto late = frame(NGHTTP2_DATA, 0, 1, "late");
    scene.send_raw(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, open_head("/")));
    scene.send_raw(frame(NGHTTP2_RST_STREAM, 0, 1, number(NGHTTP2_CANCEL)));
    scene.send_raw(late);
    EXPECT_EQ(scene.answer(1).reset, NGHTTP2_STREAM_CLOSED);
    scene.client.answers.clear();
    scene.send_raw(late + late);
    EXPECT_EQ(scene.answer(1).reset, std::nullopt);
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
    EXPECT_EQ(scene.calls, 0);
    EXPECT_EQ(scene.account().gone, 1);
}

/// Its client may have sent that before it knew.
TEST(Http2Hostile, DataOfAStreamThatWasEndedHereIsNoFault) {
    scene scene;
    const auto more = frame(NGHTTP2_DATA, 0, 1, "more"), last = frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "last");
    scene.send_raw(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, open_head("/taken")));
    EXPECT_EQ(scene.answer(1).reset, NGHTTP2_NO_ERROR);  // it has been answered before its end
    scene.client.answers.clear();
    scene.send_raw(more + more + last);
    EXPECT_EQ(scene.answer(1).reset, std::nullopt);
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
}

TEST(Http2Hostile, FloodsOfControlFramesAreEnded) {
    const std::vector<std::string> some{frame(NGHTTP2_PING, 0, 0, "01234567"), frame(NGHTTP2_SETTINGS, 0, 0, ""),
                                        frame(NGHTTP2_PRIORITY, 0, 5, number(3) + '\x10')};
    for (const auto& each : some) {
        scene scene;
        int sent = 0;
        for (; sent < 5000 && ended_by(scene) == NGHTTP2_NO_ERROR; ++sent) scene.send_raw(each);
        EXPECT_EQ(ended_by(scene), NGHTTP2_ENHANCE_YOUR_CALM) << int(each[3]);
        EXPECT_LE(sent, 1100);
    }
}

TEST(Http2Hostile, EmptyPiecesOfABodyAreEnded) {
    scene scene;
    const auto id = scene.client.ask("POST", "/", {}, std::nullopt, true);
    scene.settle();
    int sent = 0;
    for (; sent < 5000 && ended_by(scene) == NGHTTP2_NO_ERROR; ++sent)
        scene.send_raw(frame(NGHTTP2_DATA, 0, static_cast<std::uint32_t>(id), ""));
    EXPECT_EQ(ended_by(scene), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST(Http2Hostile, ABlockOfHeadersThatDoesNotEndIsEnded) {  // CVE-2024-28182
    scene scene;
    std::string bytes = frame(NGHTTP2_HEADERS, 0, 1, "\x82");
    for (int nth = 0; nth < 100; ++nth)
        bytes += frame(NGHTTP2_CONTINUATION, 0, 1,
                       std::string("\x00\x01"
                                   "a\x01"
                                   "b",
                                   5));
    scene.send_raw(bytes);
    EXPECT_EQ(ended_by(scene), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Hostile, AHeadThatStopsInTheMiddleEndsTheConnection) {
    scene scene;
    scene.send_raw(frame(NGHTTP2_HEADERS, 0, 1, "\x82"));
    scene.tick_after(10'001ms);
    EXPECT_EQ(ended_by(scene), NGHTTP2_PROTOCOL_ERROR);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Hostile, AStreamWhoseIdWasLeftOutNeverBegins) {
    const std::string head(
        "\x82\x86\x84\x41\x01"
        "a",
        6);
    scene scene;
    scene.send_raw(frame(NGHTTP2_HEADERS, 5, 5, head));
    scene.send_raw(frame(NGHTTP2_HEADERS, 5, 3, head));
    EXPECT_EQ(ended_by(scene), NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(scene.calls, 1);
}

TEST(Http2Hostile, AStreamThatTheClientHasEndedOrResetStaysEnded) {
    const auto head = frame(NGHTTP2_HEADERS, 5, 1, open_head("/"));
    const auto open = frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, open_head("/"));
    const auto reset = frame(NGHTTP2_RST_STREAM, 0, 1, number(NGHTTP2_CANCEL));
    for (const auto& [sent, calls] : {std::pair(head, 1), std::pair(open + reset, 0)}) {
        scene scene;
        scene.send_raw(sent);
        EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);
        scene.send_raw(head);
        EXPECT_EQ(ended_by(scene), NGHTTP2_STREAM_CLOSED);
        EXPECT_EQ(scene.calls, calls);
    }
}

TEST(Http2Hostile, APriorityOfTheConnectionEndsIt) {
    scene scene;
    scene.send_raw(frame(NGHTTP2_PRIORITY, 0, 0, number(5) + '\x10'));
    EXPECT_EQ(ended_by(scene), NGHTTP2_PROTOCOL_ERROR);
}

TEST(Http2Hostile, WindowsThatOverflowEndTheStreamOrTheConnection) {
    scene scene({}, 0, false);
    const auto id = scene.client.get("/");
    scene.settle();
    scene.send_raw(frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<std::uint32_t>(id), number(0x7fff'ffff)) +
                   frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<std::uint32_t>(id), number(0x7fff'ffff)));
    EXPECT_EQ(scene.answer(id).reset, NGHTTP2_FLOW_CONTROL_ERROR);
    scene.send_raw(frame(NGHTTP2_WINDOW_UPDATE, 0, 0, number(0x7fff'ffff)) +
                   frame(NGHTTP2_WINDOW_UPDATE, 0, 0, number(0x7fff'ffff)));
    EXPECT_EQ(ended_by(scene), NGHTTP2_FLOW_CONTROL_ERROR);
    EXPECT_TRUE(scene.machine.over());
}

TEST(Http2Hostile, ADependencyOnItselfIsNoHarm) {
    scene scene;
    scene.send_raw(frame(NGHTTP2_PRIORITY, 0, 5, number(5) + '\x10'));
    EXPECT_EQ(ended_by(scene), NGHTTP2_NO_ERROR);  // RFC 9113 section 5.3.2: it means nothing
    scene.send_raw(frame(NGHTTP2_HEADERS, 5, 5,
                         std::string("\x82\x86\x84\x41\x01"
                                     "a",
                                     6)));
    EXPECT_EQ(scene.calls, 1);
}

TEST(Http2Hostile, ABombOfHeadersCostsNoMoreThanItsLimit) {
    scene scene;
    // One entry of 4 KB in the table, and then references to it, a byte each.
    std::string block(
        "\x40\x01"
        "a",
        3);
    block += std::string("\x7f\xa1\x1e", 3) + std::string(4000, 'b');
    const std::string references(16'000, '\xbe');
    const auto bytes = frame(NGHTTP2_HEADERS, 1, 1,
                             std::string("\x82\x86\x84\x41\x01"
                                         "a",
                                         6) +
                                 block) +
                       frame(NGHTTP2_CONTINUATION, 4, 1, references);
    scene.send_raw(bytes);
    const auto& answer = scene.answer(1);
    EXPECT_TRUE(answer.status == 431 || answer.reset || ended_by(scene) != NGHTTP2_NO_ERROR);
    EXPECT_TRUE(scene.machine.idle());
}

}  // namespace
}  // namespace http2_tests
