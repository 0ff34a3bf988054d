// What a stream of events says, and when.

#include "server/event_stream.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "server/draining.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::cause;
using lifecycle::clock;
using lifecycle::context;
using server::event_writer;

std::string written(std::string_view data, std::string_view id = {}, std::string_view type = {}) {
    event_writer out;
    out.event(data, id, type);
    return out.take();
}

TEST(EventWriter, PutsTheIdBehindTheData) {
    EXPECT_EQ(written("1", "7", "tick"), "event: tick\ndata: 1\nid: 7\n\n");
    EXPECT_EQ(written(""), "data: \n\n");
}

TEST(EventWriter, TakesLineEndsOfAnyKind) {
    EXPECT_EQ(written("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
}

TEST(EventWriter, SaysWhenToComeBackWithTheNextEventAndOnce) {
    event_writer out;
    out.retry(1500ms);
    EXPECT_TRUE(out.empty()) << "in a block of its own it is an empty message to five clients";
    out.event("1");
    out.event("2");
    EXPECT_EQ(out.take(), "retry: 1500\ndata: 1\n\ndata: 2\n\n");
    EXPECT_TRUE(out.empty());
}

TEST(EventWriter, RefusesWhatClientsWouldReadAsSomethingElse) {
    for (const std::string_view wrong : {"a\nb", "a\rb"}) {
        EXPECT_THROW(written("1", wrong), std::invalid_argument);
        EXPECT_THROW(written("1", {}, wrong), std::invalid_argument);
    }
    EXPECT_THROW(written("1", std::string_view("a\0b", 3)), std::invalid_argument);
    for (const auto* wrong : {"\x01", "a\x1f", "\x7f"})
        EXPECT_THROW(written("1", wrong), std::invalid_argument) << "as a field of the next request it would be 400";
    EXPECT_EQ(written("1", "\t a\xc3\xa4 \xff"), "data: 1\nid: \t a\xc3\xa4 \xff\n\n");
    EXPECT_THROW(written(std::string(60'000, 'x')), std::length_error);
    EXPECT_THROW(written(std::string(20'000, '\n')), std::length_error) << "each line costs more than its bytes";
    EXPECT_NO_THROW(written(std::string(59'900, 'x')));
}

TEST(EventStream, IsToComeBackToAfterOneToThreeSeconds) {
    bool differ = false;
    const auto first = server::time_to_return();
    for (int times = 0; times < 100; ++times) {
        const auto next = server::time_to_return();
        EXPECT_TRUE(next >= 1s && next <= 3s);
        differ = differ || next != first;
    }
    EXPECT_TRUE(differ);
}

/// The texts of a stream in a context of its own, until its end.
class reader {
public:
    explicit reader(server::event_source next)
        : given_(request_.get().with(server::drain_notice{.until = serving_.get(), .app_gives_up = &over_})),
          answer_(server::event_stream(given_, std::move(next))) {}

    std::string text() {
        boost::asio::io_context loop(1);
        std::string made;
        boost::asio::co_spawn(loop.get_executor(), answer_.texts(), [&](std::exception_ptr thrown, std::string text) {
            failed = thrown != nullptr;
            made = std::move(text);
        });
        loop.run();
        return made;
    }
    const server::response& answer() const { return answer_; }
    void drain() { serving_.cancel(cause::shutdown); }

    bool failed = false;

private:
    lifecycle::cancel_scope request_;
    lifecycle::cancel_scope serving_{request_.get()};
    clock::time_point over_ = clock::time_point::max();
    context given_;
    server::response answer_;
};

TEST(EventStream, BeginsWithACommentAtOnceAndSaysWhenToComeBackWithItsFirstEvent) {
    reader reader([](context, event_writer& out) -> lifecycle::awaitable<bool> {
        out.event("1", "1");
        co_return true;
    });
    EXPECT_EQ(reader.answer().content_type, "text/event-stream");
    EXPECT_NE(reader.answer().fields().find("Cache-Control: no-cache, no-transform\r\n"), std::string_view::npos);
    EXPECT_NE(reader.answer().fields().find("X-Accel-Buffering: no\r\n"), std::string_view::npos);
    EXPECT_EQ(reader.text(), ":\n");
    EXPECT_TRUE(reader.text().starts_with("retry: "));
    EXPECT_EQ(reader.text(), "data: 1\nid: 1\n\n");
}

TEST(EventStream, ShowsThatItLivesWhenThereIsNothingToSay) {
    clock::time_point until{};
    reader reader([&until](context wait, event_writer&) -> lifecycle::awaitable<bool> {
        until = wait.deadline();
        co_return true;
    });
    reader.text();
    const auto before = clock::now();
    EXPECT_EQ(reader.text(), ":\n") << "one line feed: an empty line is an empty message to three clients";
    EXPECT_GE(until, before + server::heart_beat);
}

TEST(EventStream, IsToldOfTheDrainAndEndsAfterItsLastWord) {
    reader reader([](context wait, event_writer& out) -> lifecycle::awaitable<bool> {
        if (wait.why() == cause::shutdown) out.event("bye");
        co_return wait.why() == cause::none;
    });
    reader.text();
    EXPECT_EQ(reader.text(), ":\n");
    reader.drain();
    EXPECT_TRUE(reader.text().ends_with("data: bye\n\n"));
    EXPECT_EQ(reader.text(), "") << "the end";
}

TEST(EventStream, ThatHasNothingToSayInTheDrainEnds) {
    reader reader([](context, event_writer&) -> lifecycle::awaitable<bool> { co_return true; });
    reader.text();
    reader.drain();
    EXPECT_EQ(reader.text(), "");
}

TEST(EventStream, WhatItsSourceThrowsIsThrown) {
    reader reader([](context, event_writer& out) -> lifecycle::awaitable<bool> {
        out.event(std::string(70'000, 'x'));
        co_return true;
    });
    reader.text();
    reader.text();
    EXPECT_TRUE(reader.failed);
}

}  // namespace
