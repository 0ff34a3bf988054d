// Clients that are slow, and clients that are refused while they still send.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <stdexcept>

#include "server/loop.hpp"
#include "tests/server/serving.hpp"

namespace serving {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

/// A client's own pace: nothing that the test waits for.
void pause(support::milliseconds time) {
    eventually([] { return false; }, time);
}

std::string upload(std::size_t length, std::string_view headers = {}) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "Content-Length: " + std::to_string(length) +
           "\r\n\r\n";
}

std::string chunked_upload(std::string_view chunks) {
    return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(chunks);
}

/// Sends everything before it reads.
void expect_seen(const running& app, const std::string& bytes, int status) {
    auto client = app.connect();
    EXPECT_TRUE(client.send(bytes)) << "a reset in the middle of the upload";
    const auto answer = client.receive();
    ASSERT_TRUE(answer) << "the answer was lost: " << static_cast<int>(client.ended());
    EXPECT_EQ(answer->status, status);
    EXPECT_TRUE(answer->closes());
}

TEST(HttpServerRefusal, IsSeenByAClientThatSendsItsWholeBodyBeforeItReads) {
    const running app(router().post("/", echo()));
    const std::string body(10 * mebibyte, 'b');
    expect_seen(app, upload(body.size()) + body, 413);
    expect_seen(app, chunked_upload("a00000\r\n") + body + "\r\n0\r\n\r\n", 413);
    expect_seen(app, chunked_upload("what\r\n") + body, 400);
    expect_seen(app, upload(body.size(), "Expect: a miracle\r\n") + body, 417);
    expect_seen(app, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + body, 501);
    expect_seen(app, "GET / HTTP/1.1\r\nA: " + body, 431);
    expect_seen(app, "GET /" + body, 414);
}

TEST(HttpServerRefusal, OfABodyThatThereIsNoRoomForIsSeenToo) {
    gate held;
    auto options = one_loop();
    options.max_in_flight = 1;
    options.max_body_bytes = 20 * mebibyte;
    const running app(router().get("/", waits_at(held)).post("/", echo()), options);
    auto busy = app.connect();
    busy.send(get("/"));
    ASSERT_TRUE(eventually([&] { return held.entered(); }));
    expect_seen(app, upload(10 * mebibyte) + std::string(10 * mebibyte, 'b'), 503);
    held.open();
    EXPECT_EQ(answer_of(busy).status, 200);
}

TEST(HttpServerRefusal, LetsAnUploadGoOnForAsLongAsABodyMayTakeAndNoLonger) {
    auto options = one_loop();
    options.body_timeout = 2s;
    const running app(router().post("/", echo()), options);
    auto client = app.connect();
    const std::string piece(64 * 1024, 'b');
    const auto began = clock::now();
    ASSERT_TRUE(client.send(upload(1'000'000'000'000)));
    while (clock::now() < began + 1'500ms) ASSERT_TRUE(client.send(piece)) << "longer than the linger of the silent";
    EXPECT_EQ(answer_of(client).status, 413);
    while (client.send(piece)) ASSERT_LT(clock::now(), began + 15s) << "for ever";
}

TEST(HttpServerRefusal, IsSentThoughItWaitsBehindAnAnswerThatNobodyReadsYet) {
    auto options = one_loop();
    options.send_buffer_bytes = 4'096;
    const running app(router().get("/", says(std::string(60'000, 'x'))).post("/", echo()), options);
    auto client = app.connect(4'096);
    ASSERT_TRUE(client.send(get("/") + upload(10 * mebibyte) + std::string(10 * mebibyte, 'b')))
        << "each waits for the other to read";
    EXPECT_EQ(answer_of(client).status, 200);
    EXPECT_EQ(answer_of(client).status, 413);
}

server::options hurried() {
    auto options = one_loop();
    options.header_timeout = options.body_timeout = 200ms;
    options.max_body_bytes = 1024 * mebibyte;
    return options;
}

/// As fast as it goes, until it is answered: there is a byte at every look.
int status_of_a_flood(const running& app, const std::string& begin, const std::string& again) {
    auto client = app.connect();
    std::string many;
    while (many.size() < 4'096) many += again;
    const auto until = clock::now() + 10s;
    for (bool sent = client.send(begin); sent && clock::now() < until && app.server().now().refused == 0;)
        sent = client.send(many);
    return app.server().now().refused > 0 ? answer_of(client).status : 0;
}

TEST(HttpServerTimeout, AByteNowAndThenDoesNotMoveTheDeadlineOfABody) {
    const running app(router().post("/", echo()), hurried());
    for (const auto& [begin, again] :
         {std::pair{upload(1'000'000), std::string("b")}, std::pair{chunked_upload(""), std::string("1\r\nb\r\n")}}) {
        auto client = app.connect();
        client.send(begin);
        const auto began = clock::now();
        while (!client.closes_silently(10ms) && client.ended() == support::client::ending::late && !client.partial()) {
            ASSERT_LT(clock::now() - began, 10s);
            client.send(again);
        }
        EXPECT_THAT(client.receive_to_end(), testing::StartsWith("HTTP/1.1 408 "));
    }
}

TEST(HttpServerTimeout, ABodyThatAlwaysHasOneMoreByteIs408) {
    const running app(router().post("/", echo()), hurried());
    EXPECT_EQ(status_of_a_flood(app, chunked_upload(""), "1\r\nb\r\n"), 408);
}

TEST(HttpServerRate, ABodyThatIsSlowerThanTheLeastIs408LongBeforeItsDeadline) {
    auto options = one_loop();
    options.min_data_rate = 10'000;
    options.data_rate_grace = 100ms;
    const running app(router().post("/", echo()), options);
    const auto began = clock::now();
    auto client = app.connect();
    client.send(upload(100'000) + std::string(500, 'b'));
    while (!client.closes_silently(10ms) && client.ended() == support::client::ending::late && !client.partial()) {
        ASSERT_LT(clock::now() - began, 10s);
        client.send("b");
    }
    EXPECT_THAT(client.receive_to_end(), testing::StartsWith("HTTP/1.1 408 "));
}

TEST(HttpServerRate, ABodyHasItsWholeDeadlineAsLongAsTheGrace) {
    EXPECT_GE(server::options().data_rate_grace, server::options().body_timeout) << "by default";
    auto options = one_loop();
    options.min_data_rate = 100 * mebibyte;
    options.body_timeout = options.data_rate_grace = 5s;
    const running app(router().post("/", echo()), options);
    auto client = app.connect();
    client.send(upload(2) + "b");
    EXPECT_FALSE(client.closes_silently(300ms));
    EXPECT_EQ(ask_on(client, "b").body, "bb");
}

TEST(HttpServerRate, ABodyThatKeepsThePaceIsReadWhole) {
    auto options = one_loop();
    options.min_data_rate = 1'000;
    options.data_rate_grace = 50ms;
    const running app(router().post("/", echo()), options);
    auto client = app.connect();
    client.send(upload(150'000));
    for (int nth = 0; nth < 150; ++nth) {
        ASSERT_TRUE(client.send(std::string(1'000, 'b')));
        pause(10ms);
    }
    EXPECT_EQ(answer_of(client).body.size(), 150'000U);
}

/// A stream without end.
server::handler endless() {
    return [](lifecycle::context, const request&) -> reply {
        auto source = [](std::span<char> into) -> lifecycle::awaitable<std::size_t> { co_return into.size(); };
        co_return response::stream(source);
    };
}

TEST(HttpServerRate, AReaderThatIsSlowerThanTheLeastIsCutThoughItReadsOnAndOn) {
    auto options = one_loop();
    options.write_timeout = 200ms;
    options.min_data_rate = 100 * mebibyte;
    const running app(router().get("/", endless()), options);
    auto client = app.connect(64 * 1024);
    client.send(get("/"));
    const auto began = clock::now();
    while (app.server().now().open > 0 || app.server().now().accepted == 0) {
        ASSERT_LT(clock::now() - began, 10s);
        client.receive_some(client.rest().size() + 10'000);
        pause(5ms);
    }
}

/// For more than twice the time in which it must take something, which is long enough for a client that is not
/// scheduled.
TEST(HttpServerRate, AReaderThatIsSlowButKeepsThePaceGetsEverything) {
    constexpr std::size_t size = 3 * mebibyte;
    auto options = one_loop();
    options.write_timeout = 500ms;
    options.min_data_rate = 1'000;
    const running app(router().get("/", says(std::string(size, 'x'))), options);
    auto client = app.connect(32 * 1024);
    client.send(get("/"));
    for (std::size_t read = 0; read < size; read += 20'000) {
        client.receive_some(read);
        pause(8ms);
    }
    EXPECT_EQ(answer_of(client).body.size(), size);
}

/// Whether a connection of that server waits without a coroutine.
bool one_rests(running& app) {
    boost::asio::io_context io;
    auto asking = boost::asio::co_spawn(io, app.server().inspect(1s), boost::asio::use_future);
    io.run();
    for (const auto& loop : asking.get())
        for (const auto& row : loop.tasks)
            if (row.state == "resting") return true;
    return false;
}

TEST(HttpServerRest, AConnectionThatHasGoneToRestIsAnsweredAgainAndEndsWithTheServer) {
    running app(router().get("/", says("hello")));
    auto client = app.connect();
    for (int turn = 0; turn < 2; ++turn) {
        EXPECT_EQ(ask_on(client, get("/")).body, "hello");
        EXPECT_TRUE(eventually([&] { return one_rests(app); }));
    }
    app.stop();
    EXPECT_FALSE(client.receive());
    EXPECT_EQ(client.ended(), support::client::ending::closed);
}

}  // namespace
}  // namespace serving
