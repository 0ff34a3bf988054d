// Responses that are longer than memory, and those that end badly.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "tests/server/serving.hpp"

namespace serving {
namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;

/// A source of a number of bytes that says how many it was asked for.
class counted {
public:
    explicit counted(std::uint64_t bytes) : bytes_(bytes) {}

    response stream(bool with_length) {
        auto source = [this, left = bytes_](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
            const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size()));
            std::memset(into.data(), 'x', count);
            left -= count;
            asked_ += count;
            co_return count;
        };
        return response::stream(std::move(source), with_length ? std::optional<std::uint64_t>(bytes_) : std::nullopt);
    }
    server::handler by_length() {
        return [this](lifecycle::context, const request&) -> reply { co_return stream(true); };
    }
    server::handler in_chunks() {
        return [this](lifecycle::context, const request&) -> reply { co_return stream(false); };
    }
    std::uint64_t asked() const { return asked_; }

private:
    std::uint64_t bytes_;
    std::atomic<std::uint64_t> asked_{0};
};

/// Waits until it has not been asked for more for a while.
std::uint64_t settled(const counted& source) {
    std::uint64_t last = 0;
    int same = 0;
    eventually([&] {
        const auto now = source.asked();
        same = now == last && now > 0 ? same + 1 : 0;
        last = now;
        return same > 50;
    });
    return last;
}

TEST(HttpServerStream, IsSentWholeByLengthInChunksOrUpToTheClose) {
    counted source(3 * mebibyte + 1);
    const running app(router().get("/length", source.by_length()).get("/chunks", source.in_chunks()));
    auto client = app.connect();
    const auto by_length = client.exchange(get("/length"));
    ASSERT_TRUE(by_length);
    EXPECT_EQ(by_length->header("Content-Length"), std::to_string(3 * mebibyte + 1));
    EXPECT_EQ(by_length->body, std::string(3 * mebibyte + 1, 'x'));
    const auto in_chunks = client.exchange(get("/chunks"));
    ASSERT_TRUE(in_chunks);
    EXPECT_TRUE(in_chunks->chunked);
    EXPECT_EQ(in_chunks->body, std::string(3 * mebibyte + 1, 'x'));
    EXPECT_EQ(ask_on(client, get("/length")).status, 200) << "the connection goes on";

    auto old = app.connect();
    old.send("GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto everything = old.receive_to_end();
    EXPECT_THAT(everything, testing::HasSubstr("\r\nConnection: close\r\n"));
    EXPECT_EQ(everything.size() - everything.find("\r\n\r\n") - 4, 3 * mebibyte + 1);
}

TEST(HttpServerStream, ASlowReaderHoldsTheSourceBack) {
    counted source(1024 * mebibyte);
    const running app(router().get("/", source.by_length()));
    auto client = app.connect(16 * 1024);
    client.send(get("/"));
    const auto at_first = settled(source);
    EXPECT_LT(at_first, mebibyte) << "what the two sockets hold, and one window";
    client.receive_some(4 * mebibyte);
    EXPECT_TRUE(eventually([&] { return source.asked() > at_first; })) << "it goes on with the reader";
    EXPECT_LT(settled(source), 6 * mebibyte);
    client.reset();
    EXPECT_TRUE(eventually([&] { return app.server().now().open == 0; }));
}

TEST(HttpServerStream, AReaderThatReadsNothingIsCutAtTheWriteTimeout) {
    counted source(1024 * mebibyte);
    auto options = one_loop();
    options.write_timeout = 100ms;
    const running app(router().get("/", source.by_length()), options);
    auto client = app.connect(16 * 1024);
    client.send(get("/"));
    EXPECT_TRUE(eventually([&] { return source.asked() > 0 && app.server().now().open == 0; }));
}

TEST(HttpServerStream, ToHeadAsksTheSourceForNothing) {
    counted source(10);
    const running app(router().get("/length", source.by_length()).get("/chunks", source.in_chunks()));
    auto client = app.connect();
    EXPECT_EQ(ask_on(client, "HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n", true).header("Content-Length"), "10");
    EXPECT_TRUE(ask_on(client, "HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n", true).chunked);
    EXPECT_EQ(source.asked(), 0U);
    EXPECT_EQ(ask_on(client, get("/length")).body, "xxxxxxxxxx");
}

TEST(HttpServerStream, OneThatFailsOrEndsEarlyIsCutVisibly) {
    const auto fails = [](lifecycle::context, const request&) -> reply {
        auto source = [first = true](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
            if (!std::exchange(first, false)) throw std::runtime_error("the disk is gone");
            into[0] = 'x';
            co_return 1;
        };
        co_return response::stream(std::move(source));
    };
    const auto ends_early = [](lifecycle::context, const request&) -> reply {
        auto source = [first = true](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
            into[0] = 'x';
            co_return std::exchange(first, false) ? 1 : 0;
        };
        co_return response::stream(std::move(source), 10);
    };
    running app(router().get("/fails", fails).get("/early", ends_early));
    for (const auto* path : {"/fails", "/early"}) {
        auto client = app.connect();
        client.send(get(path));
        const auto all = client.receive_to_end();
        EXPECT_THAT(all, testing::StartsWith("HTTP/1.1 200 OK")) << path;
        EXPECT_THAT(all, testing::Not(testing::HasSubstr("\r\n0\r\n"))) << path << " does not end as a whole one";
        const auto* const end = path == std::string_view("/fails") ? "x\r\nresponse cut\r\n" : "\r\n\r\nx";
        EXPECT_THAT(all, testing::EndsWith(end)) << path << ": where a chunk is due a line that is no chunk size";
        EXPECT_EQ(client.ended(), support::client::ending::reset) << path;
    }
    app.stop();
    EXPECT_THAT(app.log(), testing::HasSubstr("a response was cut: the disk is gone"));
}

TEST(HttpServerStream, OneThatThrowsWhatIsNoExceptionIsCutByAResetAndTheServerGoesOn) {
    const auto fails = [](const lifecycle::context&, const request&) {
        auto source = [first = true](std::span<char> into) mutable -> lifecycle::awaitable<std::size_t> {
            if (!std::exchange(first, false)) throw 42;
            into[0] = 'x';
            co_return 1;
        };
        return response::stream(std::move(source));
    };
    running app(router().get("/", fails).get("/hello", says("hello")));
    for (const auto* version : {"HTTP/1.1", "HTTP/1.0"}) {
        auto client = app.connect();
        client.send(std::string("GET / ") + version + "\r\nHost: a\r\n\r\n");
        EXPECT_THAT(client.receive_to_end(), testing::HasSubstr("200 OK")) << version;
        EXPECT_EQ(client.ended(), support::client::ending::reset) << version << ": a FIN would make it look whole";
    }
    EXPECT_EQ(app.ask(get("/hello")).body, "hello");
    app.stop();
    EXPECT_THAT(app.log(), testing::HasSubstr("a response was cut: not a std::exception (request "));
    EXPECT_EQ(app.failure(), nullptr);
}

TEST(HttpServerStream, ToAnOldClientIsEndedByAFinWhenItIsWhole) {
    counted source(10);
    const running app(router().get("/", source.in_chunks()));
    auto client = app.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_THAT(client.receive_to_end(), testing::EndsWith("xxxxxxxxxx"));
    EXPECT_EQ(client.ended(), support::client::ending::closed);
}

TEST(HttpServerStream, OneThatFailsBeforeItsFirstByteIs500AndTheConnectionGoesOn) {
    const auto fails = [](lifecycle::context, const request&) -> reply {
        auto source = [](std::span<char>) -> lifecycle::awaitable<std::size_t> {
            throw std::runtime_error("the disk is gone");
            co_return 0;
        };
        co_return response::stream(std::move(source));
    };
    const auto is_empty = [](lifecycle::context, const request&) -> reply {
        auto source = [](std::span<char>) -> lifecycle::awaitable<std::size_t> { co_return 0; };
        co_return response::stream(std::move(source), 10);
    };
    running app(router().get("/fails", fails).get("/empty", is_empty).get("/", says("hello")));
    auto client = app.connect();
    for (const auto* path : {"/fails", "/empty"}) {
        EXPECT_EQ(ask_on(client, get(path)).status, 500) << path;
        EXPECT_EQ(ask_on(client, get("/")).body, "hello") << path;
    }
    app.stop();
    EXPECT_THAT(app.log(), testing::HasSubstr("GET /fails failed: the disk is gone"));
}

TEST(HttpServerStream, OneWhoseFirstByteDoesNotComeInTimeIs504) {
    gate held;
    const auto waits = [&held](lifecycle::context context, const request&) -> reply {
        auto source = [&held, context](std::span<char>) -> lifecycle::awaitable<std::size_t> {
            auto waiting = held.wait(context);
            co_await std::move(waiting);
            co_return 0;
        };
        co_return response::stream(std::move(source));
    };
    auto options = one_loop();
    options.request_timeout = 50ms;
    const running app(router().get("/", waits), options);
    EXPECT_EQ(app.ask(get("/")).status, 504);
}

TEST(HttpServerStream, AnAnswerDoesNotWaitForTheStreamBehindIt) {
    gate held;
    const auto waits = [&held](lifecycle::context context, const request&) -> reply {
        auto source = [&held, context](std::span<char>) -> lifecycle::awaitable<std::size_t> {
            auto waiting = held.wait(context);
            co_await std::move(waiting);
            co_return 0;
        };
        co_return response::stream(std::move(source));
    };
    const running app(router().get("/waits", waits).get("/", says("hello")));
    auto client = app.connect();
    client.send(get("/") + get("/waits"));
    EXPECT_EQ(answer_of(client).body, "hello");
    held.open();
    EXPECT_EQ(answer_of(client).status, 200);
}

TEST(HttpServerStream, AnAnswerDoesNotWaitForTheStreamOfAPlainHandlerBehindIt) {
    gate held;
    const auto waits = [&held](const lifecycle::context& context, const request&) {
        return response::stream([&held, context](std::span<char>) -> lifecycle::awaitable<std::size_t> {
            auto waiting = held.wait(context);
            co_await std::move(waiting);
            co_return 0;
        });
    };
    const running app(router().get("/waits", waits).get("/", says("hello")));
    auto client = app.connect();
    client.send(get("/") + get("/waits"));
    EXPECT_EQ(answer_of(client).body, "hello");
    held.open();
    EXPECT_EQ(answer_of(client).status, 200);
}

TEST(HttpServerStream, PipelinedRequestsAreAnsweredBehindAStream) {
    counted source(mebibyte);
    const running app(router().get("/big", source.in_chunks()).get("/", says("hello")));
    auto client = app.connect();
    client.send(get("/") + get("/big") + get("/"));
    EXPECT_EQ(answer_of(client).body, "hello");
    EXPECT_EQ(answer_of(client).body.size(), mebibyte);
    EXPECT_EQ(answer_of(client).body, "hello");
}

}  // namespace
}  // namespace serving
