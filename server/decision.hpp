#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "lifecycle/context.hpp"

namespace server {

/// Where a connection is in its life; the picture is in connection.hpp.
enum class connection_state : std::uint8_t { fresh, idle, head, body, handling, writing, streaming, lingering };

constexpr std::size_t connection_states = 8;

/// An idle connection owns no buffer any more after this long, and is said to rest.
constexpr std::chrono::milliseconds rest_after{1'000};

/// What the tick sees of a connection.
struct connection_view {
    connection_state state;
    lifecycle::clock::time_point since;     ///< when it entered its state
    lifecycle::clock::time_point deadline;  ///< of that state
    bool rests;                             ///< owns no buffer
    bool told;                              ///< the context of its handler has been ended
    bool forced;                            ///< ... by the end of the drain
    bool abandoned;                         ///< answered in the place of a handler that has not returned
    bool sends_on = false;                  ///< refused before its request was whole: it may still be sending
    bool to_be_told = false;                ///< its route is told of the drain, and has not been
    bool was_told = false;                  ///< ... and has
    bool can_end = false;                   ///< its answer is a stream that a stop may end, and it is whole
    bool stirs = false;      ///< of what is to be a request something has come that cannot be read yet: part of TLS
    bool receives = false;   ///< its handler waits for more of the body
    bool has_ended = false;  ///< such a one that was told of the drain; what is left of it waits for its client
    lifecycle::clock::time_point awaited{};  ///< until then the first request of a client that has just shaken hands
};

/// What the tick sees of the stop. max(): not known yet.
struct drain_view {
    bool draining = false;
    lifecycle::clock::time_point began{};
    lifecycle::clock::time_point idle_until = lifecycle::clock::time_point::max();  ///< end of the idle grace
    lifecycle::clock::time_point over = lifecycle::clock::time_point::max();        ///< when the app gives up
};

/// What the tick does to a connection.
struct decision {
    enum class action : std::uint8_t {
        none,
        rest,            ///< gives its buffer back
        look_and_close,  ///< closes, unless bytes have arrived
        time_out,        ///< 408, unless bytes have arrived
        notify,          ///< tells its handler, or the source of its answer, that the drain has begun
        end_stream,      ///< whole, by us: it has been told, and does not end by itself
        tell_handler,    ///< ends its context
        answer,          ///< 504 in the place of the handler; 503 when the drain wants it
        cut,
        cut_unread,              ///< all that holds the drain is a client that does not read the end of its stream
        hang_up,                 ///< it has been answered, and lingered long enough
        hang_up_if_acknowledged  ///< ... unless the client has not acknowledged all of it
    };
    action what = action::none;
    bool by_drain = false;  ///< the stop wants it, not a deadline of the connection's own
    lifecycle::clock::time_point app_gives_up = lifecycle::clock::time_point::max();  ///< for `notify`
};

/// A client has this long, after the idle grace, to take the end of a stream that was told of the drain.
constexpr std::chrono::milliseconds longest_unread{1'000};

/// After its context has ended, a handler has this long before the server answers in its place.
constexpr std::chrono::milliseconds grace_after_deadline{100};

/// The decision for one connection at one tick: no clock, no I/O, no state of its own.
decision decide(const connection_view& view, const drain_view& drain, lifecycle::clock::time_point now) noexcept;

}  // namespace server
