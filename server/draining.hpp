#pragma once

#include <cstdint>

#include "lifecycle/context.hpp"

namespace server {

/// What happens to a request of a route when the drain begins; see router::at_stop.
enum class at_drain : std::uint8_t {
    finish,  ///< nothing: it goes on until it is answered or the app gives up
    notify,  ///< its handler, or the source of its answer, is told, and may send its last words
    end      ///< its context ends, and with it the stream
};

/// For a handler of a route that is told: a context that ends when the drain begins (cause::shutdown), or with `of`,
/// which is the one that the handler was given. Code that waits on this one wakes up when it is time for its last
/// words, and may still send it by `of`. On a route that is not told this is `of` itself. It ends on the request's
/// loop.
lifecycle::context until_drain(const lifecycle::context& of);

/// How long a handler that has been told may still take: until the app gives up. max(): the drain has not begun.
lifecycle::clock::duration left_to_say(const lifecycle::context& of);

/// What such a context carries.
struct drain_notice {
    lifecycle::context until;
    const lifecycle::clock::time_point* app_gives_up;  ///< of the exchange, which outlives its handler
};

}  // namespace server
