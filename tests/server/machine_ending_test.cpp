// The two letters of the last line that the access log has of a connection: who ended it, and when. No socket, no
// clock.

#include <gtest/gtest.h>

#include <string>

#include "tests/server/one_connection.hpp"

namespace {

using namespace one_connection;

std::string letters(scene& of) {
    EXPECT_TRUE(of.over() || of.finished());
    const auto [who, when] = of.machine().ending();
    return {who, when};
}

/// A connection whose stream is its last answer.
struct streaming : scene {
    explicit streaming(std::size_t room = std::string::npos) : scene(reads(room)) {
        holds_handlers = true;
        send("GET /ticks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream_events();
    }
};

TEST(EndingOf, AStreamThatEndsIsNobodys) {
    streaming whole;
    whole.say("");
    EXPECT_EQ(letters(whole), "--");
    streaming in_a_stop;
    in_a_stop.stop();
    in_a_stop.say("");
    EXPECT_EQ(letters(in_a_stop), "D-");
}

TEST(EndingOf, AStreamWhoseReaderTakesNothingIsATimeOut) {
    for (const auto* version : {"1.0", "1.1"}) {
        scene scene(reads(500));
        scene.holds_handlers = true;
        scene.send(ask_for("/ticks", version));
        scene.stream_events();
        scene.say("data: " + std::string(1'000, 'x') + "\n\n");
        scene.tick_after(30s);
        EXPECT_EQ(letters(scene), "TD") << version;
    }
    streaming last(500);
    last.say("data: " + std::string(1'000, 'x') + "\n\n");
    last.tick_after(30s);
    EXPECT_EQ(letters(last), "TD");
}

TEST(EndingOf, AStreamWhoseSourceStandsStillIsATimeOut) {
    scene scene;
    scene.holds_handlers = true;
    scene.send(ask_for("/", "1.0"));
    scene.stream();
    scene.tick_after(30s);
    scene.piece(10);
    EXPECT_EQ(letters(scene), "TD");
}

TEST(EndingOf, AStreamThatTheEndOfTheDrainCutsIsForced) {
    streaming cut;
    cut.drain(1s, 10s);
    cut.tick_after(10s);
    cut.say("data: 1\n\n");
    EXPECT_EQ(letters(cut), "KD");
}

TEST(EndingOf, AStreamWhoseSourceThrowsOrGivesTooLittleIsTheHandlers) {
    streaming thrown;
    thrown.throw_out();
    EXPECT_EQ(letters(thrown), "SD");
    scene short_one;
    short_one.holds_handlers = true;
    short_one.send(ask());
    short_one.stream(100);
    short_one.piece(0);
    EXPECT_EQ(letters(short_one), "SD");
}

TEST(EndingOf, AnAnswerThatTheEndOfTheDrainHasBroughtAboutIsForced) {
    scene told;
    told.holds_handlers = true;
    told.send(ask());
    told.drain(0s, 1s);
    told.tick_after(1s);
    told.reply();
    EXPECT_EQ(letters(told), "KH");
}

TEST(EndingOf, ABodyThatItsHandlerReadsAndThatDoesNotComeIsATimeOut) {
    scene late;
    late.holds_handlers = true;
    late.send(upload("Content-Length: 5\r\n", "he"));
    late.reads_body();
    late.reads_body();
    late.tick_after(30s);
    EXPECT_TRUE(late.body_failed());
    late.throw_out();
    EXPECT_EQ(late.status(), 408);
    EXPECT_EQ(letters(late), "TR");
}

TEST(EndingOf, AnAnswerWhoseClientGoesIsTheClients) {
    streaming silent;
    silent.client_goes();
    silent.say("");
    EXPECT_EQ(letters(silent), "CD");
    streaming unread(500);
    unread.say("data: " + std::string(1'000, 'x') + "\n\n");
    unread.client_goes();
    EXPECT_EQ(letters(unread), "CD");
    scene plain(reads(500));
    plain.send(ask("Connection: close\r\n"), std::string(1'000, 'x'));
    plain.client_goes();
    EXPECT_EQ(letters(plain), "CD");
}

}  // namespace
