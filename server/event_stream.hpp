#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "lifecycle/context.hpp"
#include "lifecycle/task_group.hpp"
#include "server/response.hpp"

namespace server {

/// Writes events of a stream (HTML Living Standard, section 9.2 "Server-sent events") as clients that were measured
/// need them: `id` after `data`, since two of fourteen remember the id of half an event.
class event_writer {
public:
    /// A whole event: two clients drop a stream whose event is larger, and ask for the same one again.
    static constexpr std::size_t largest = 60'000;

    /// Data may have line ends of any kind. Throws std::length_error for an event that is too large, and
    /// std::invalid_argument for a type with CR, LF or NUL, and for an id with a control character: clients send it
    /// back in a header field, where none may stand, and the answer would be 400, which ends most of them for good.
    void event(std::string_view data, std::string_view id = {}, std::string_view type = {});
    /// How long the client waits before it comes back when the stream has ended; goes with the next event.
    void retry(std::chrono::milliseconds after) noexcept { retry_ = after; }

    std::string take() noexcept { return std::exchange(text_, {}); }
    bool empty() const noexcept { return text_.empty(); }

private:
    std::string text_;
    std::chrono::milliseconds retry_{0};
};

/// From 1 to 3 s, at random: clients wait exactly as long as they are told, and those of one stop would come at once.
std::chrono::milliseconds time_to_return();

/// Writes events, and returns whether more will come. It should return when `wait` ends: when a heartbeat is due
/// (cause::deadline), when the drain begins (cause::shutdown: time for a last event, then return `false`), or when the
/// client leaves. If it has written nothing a comment shows that the stream is alive. On the request's loop. If it
/// throws, the stream is cut by a reset.
using event_source = std::function<lifecycle::awaitable<bool>(lifecycle::context wait, event_writer& out)>;

constexpr std::chrono::milliseconds heart_beat{4'000};  ///< below the 5 s after which three clients give up

/// What is sent when there is nothing to say: an empty line after it would be an empty message to three clients.
constexpr std::string_view event_stream_comment = ":\n";

/// A response that is a stream of events until `next` says that it is over, for a route that was added by
/// `router::events`. `of` is the context of the request. Head and a first comment go out at once, and the first event
/// says when to come back (`time_to_return`).
response event_stream(const lifecycle::context& of, event_source next);

/// Writes an event, and returns when it is to be called for the next; no time: the stream is over. It is called when
/// that time has come, and waits for nothing itself. Once more when the drain begins, if the route is told of it
/// (`until.why()` is cause::shutdown): time for a last event, and then the stream is over whatever it returns. On the
/// request's loop. If it throws, the stream is cut by a reset.
using timed_event_source =
    std::function<std::optional<lifecycle::clock::time_point>(const lifecycle::context& until, event_writer& out)>;

/// The same for a source that need not be a coroutine, whose events are cheaper (docs/streams.md): `next` is called at
/// `first`, and then when it says. Heartbeats are sent in between.
response event_stream(const lifecycle::context& of, lifecycle::clock::time_point first, timed_event_source next,
                      std::source_location where = std::source_location::current());

/// 200 and a stream that contains nothing but when to come back: for a request that finds no place or comes too late.
/// Any other status ends six of fourteen clients for good.
response empty_event_stream();

}  // namespace server
