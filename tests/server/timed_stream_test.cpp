// Streams of events whose source waits for a time alone: they sleep without a coroutine.

#include "server/timed_stream.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "server/draining.hpp"
#include "tests/lifecycle/loop.hpp"

namespace {

using namespace std::chrono_literals;
using lifecycle::cause;
using lifecycle::clock;
using server::event_writer;
using lifecycle_context = lifecycle::context;
using next_time = std::optional<clock::time_point>;

/// A stream that is asked for its texts as a connection asks, on a loop of its own. Its first text has been said.
class asked_stream final : public server::asker {
public:
    asked_stream(clock::time_point first, server::timed_event_source next) {
        exchange_.reply = server::event_stream(
            request_.get().with(server::drain_notice{.until = serving_.get(), .app_gives_up = &over_}), first,
            std::move(next));
        ask(server::asked::first_piece);
        while (!told) loop_.io.run_one();
    }
    ~asked_stream() override {
        handlers_.close();
        loop_.turn();
    }

    void ask(server::asked what = server::asked::piece) {
        told = false;
        exchange_.reply.body.clear();
        told = handlers_.ask(what, exchange_, about_, *this);
    }
    std::string text() {
        ask();
        while (!told) loop_.io.run_one();
        return said();
    }
    std::string said() const { return exchange_.reply.body.substr(0, exchange_.piece); }
    bool has_failed() const { return exchange_.thrown != nullptr; }
    void turn() { loop_.turn(); }
    void end(cause why) { (why == cause::shutdown ? serving_ : request_).cancel(why); }
    server::response take_answer() { return std::exchange(exchange_.reply, {}); }
    /// Without the coroutines that wait for their next job.
    std::size_t coroutines() {
        handlers_.close();
        loop_.turn();
        return tasks_.size();
    }
    clock::time_point due() const { return exchange_.reply.texts.target<server::timed_texts>()->stream->due; }
    const std::string& body() const { return exchange_.reply.body; }

    bool told = false;

private:
    void returned() noexcept override { told = true; }

    fakes::loop loop_;
    lifecycle::task_group tasks_{loop_.io.get_executor()};
    server::handlers handlers_{tasks_};
    server::request about_;
    lifecycle::cancel_scope request_;
    lifecycle::cancel_scope serving_{request_.get()};
    clock::time_point over_ = clock::time_point::max();
    server::exchange exchange_;
};

TEST(TimedStream, SaysACommentAtOnceAndAnEventWhenItsTimeHasCome) {
    auto due = clock::now() + 20ms;
    int events = 0;
    asked_stream stream(due, [&](const lifecycle_context&, event_writer& out) -> next_time {
        EXPECT_GE(clock::now(), due);
        out.event(std::to_string(++events));
        return due += 15ms;
    });
    EXPECT_EQ(stream.body(), ":\n");
    const auto first = stream.text();
    EXPECT_TRUE(first.starts_with("retry: ") && first.ends_with("data: 1\n\n")) << first;
    EXPECT_EQ(stream.text(), "data: 2\n\n");
    EXPECT_EQ(events, 2);
}

TEST(TimedStream, SleepsWithoutACoroutineAndNotLongerThanToAHeartbeat) {
    asked_stream stream(clock::time_point::max(), [](const lifecycle_context&, event_writer&) { return next_time(); });
    const auto before = clock::now();
    stream.ask();
    EXPECT_GE(stream.due(), before + server::heart_beat);
    EXPECT_LE(stream.due(), clock::now() + server::heart_beat + 1ms);
    EXPECT_EQ(stream.coroutines(), 0U);
    EXPECT_FALSE(stream.told);
}

TEST(TimedStream, WithNothingToSayShowsThatItLives) {
    asked_stream stream(clock::time_point(),
                        [](const lifecycle_context&, event_writer&) -> next_time { return clock::time_point::max(); });
    EXPECT_EQ(stream.text(), ":\n") << "one line feed: an empty line is an empty message to three clients";
}

TEST(TimedStream, IsOverWhenItsSourceHasNoNextTime) {
    asked_stream stream(clock::time_point(), [](const lifecycle_context&, event_writer& out) {
        out.event("last");
        return next_time();
    });
    EXPECT_TRUE(stream.text().ends_with("data: last\n\n"));
    EXPECT_EQ(stream.text(), "");
}

TEST(TimedStream, IsToldOfTheDrainAndIsOverAfterItsLastWord) {
    int calls = 0;
    asked_stream stream(clock::time_point::max(), [&](const lifecycle_context& until, event_writer& out) -> next_time {
        ++calls;
        EXPECT_EQ(until.why(), cause::shutdown);
        out.event("bye");
        return clock::now();
    });
    stream.ask();
    stream.end(cause::shutdown);
    EXPECT_FALSE(stream.told) << "inside the cancel";
    stream.turn();
    ASSERT_TRUE(stream.told);
    EXPECT_TRUE(stream.said().ends_with("data: bye\n\n"));
    EXPECT_EQ(stream.text(), "");
    EXPECT_EQ(calls, 1);
}

TEST(TimedStream, ThatIsNotAskedInTheDrainSaysItsLastWordWhenItIs) {
    asked_stream stream(clock::time_point::max(), [](const lifecycle_context&, event_writer& out) {
        out.event("bye");
        return next_time();
    });
    stream.end(cause::shutdown);
    EXPECT_TRUE(stream.text().ends_with("data: bye\n\n"));
    EXPECT_EQ(stream.text(), "");
}

TEST(TimedStream, EndsWithItsRequestWithoutAWord) {
    int calls = 0;
    asked_stream stream(clock::time_point::max(), [&](const lifecycle_context&, event_writer&) {
        ++calls;
        return next_time();
    });
    stream.ask();
    stream.end(cause::client_gone);
    stream.turn();
    ASSERT_TRUE(stream.told);
    EXPECT_EQ(stream.said(), "");
    EXPECT_EQ(calls, 0);
}

TEST(TimedStream, WhatItsSourceThrowsIsLeftToTheConnection) {
    asked_stream stream(clock::time_point(), [](const lifecycle_context&, event_writer&) -> next_time {
        throw std::runtime_error("no more");
    });
    stream.text();
    EXPECT_TRUE(stream.has_failed());
}

TEST(TimedStream, MayEndWhileItSleepsAndSoMayItsLoop) {
    const auto kept = std::make_shared<int>(0);
    const auto last_word = [kept](const lifecycle_context&, event_writer&) {
        ++*kept;
        return next_time();
    };
    {
        asked_stream stream(clock::time_point::max(), last_word);
        stream.ask();
        stream.take_answer();
        stream.end(cause::shutdown);
        stream.turn();
        EXPECT_FALSE(stream.told);
    }
    server::response answer;
    {
        asked_stream stream(clock::time_point::max(), last_word);
        stream.ask();
        answer = stream.take_answer();
    }
    answer = {};
    EXPECT_EQ(kept.use_count(), 2) << "a stream is left";
    EXPECT_EQ(*kept, 0);
}

}  // namespace
