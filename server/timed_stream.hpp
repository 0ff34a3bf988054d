#pragma once

#include <memory>
#include <source_location>
#include <string>

#include "lifecycle/sleepers.hpp"
#include "server/event_stream.hpp"
#include "server/handlers.hpp"

namespace server {

/// A stream of events whose source waits for nothing but a time. It sleeps on its loop itself, without a coroutine: of
/// thousands of streams each frame is memory that is in no cache when its event is due (ADR 99).
///
/// Only on its request's loop. It is told when the drain begins, or its client leaves, by the context that it is made
/// with.
class timed_stream final : public lifecycle::sleeper {
public:
    timed_stream(const lifecycle::context& until, lifecycle::clock::time_point first, timed_event_source next,
                 std::source_location where);
    ~timed_stream();

    /// What is sent next, as any source of texts says it: the first of them at once, others after a sleep.
    lifecycle::awaitable<std::string> text();
    /// The same for a stream that has begun by `text`, on that loop: as handlers::ask.
    bool ask(exchange& of, asker& whose);

private:
    void go_on(lifecycle::clock::time_point now) override;
    void drop() override { asker_ = nullptr; }
    void prepare() const noexcept override;

    void wake() noexcept;
    lifecycle::clock::time_point wakes_up_at(lifecycle::clock::time_point now) const noexcept;
    std::string say(lifecycle::clock::time_point now);

    timed_event_source next_;
    event_writer out_;
    lifecycle::clock::time_point next_event_;
    lifecycle::context until_;  ///< the request ends, or the drain begins
    lifecycle::clock::time_point deadline_;
    bool ended_ = false;                    ///< that context has, before this deadline
    lifecycle::sleepers* among_ = nullptr;  ///< of its loop; nullptr: it has not begun
    bool over_ = false;
    exchange* exchange_ = nullptr;
    asker* asker_ = nullptr;  ///< it sleeps, and this is told
    lifecycle::context::waiting place_;
    lifecycle::context::on_cancel woken_;
};

/// One as a source of texts, which is how a response has it.
struct timed_texts {
    std::shared_ptr<timed_stream> stream;
    lifecycle::awaitable<std::string> operator()() const { return stream->text(); }
};

}  // namespace server
