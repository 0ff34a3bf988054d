#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/response.hpp"

namespace server {

/// What a response needs to know of its request and connection to be written.
struct framing {
    unsigned version = 11;
    bool head = false;   ///< HEAD: the fields of the answer without its body
    bool close = false;  ///< `Connection: close`
    std::string_view date;
    std::string_view request_id;
    std::chrono::milliseconds keep_alive{0};  ///< `Keep-Alive: timeout=`, unless it is closed; 0: not said
    bool envoy_hint = false;                  ///< tells an Envoy in front to choose another host from now on
};

/// How the body of a response is sent.
enum class body_coding { none, plain, length, chunked, until_close };

/// Appends the head, and the body if it is at hand. Says how a streamed body must follow.
body_coding append(const response& response, const framing& framing, std::string& out);

}  // namespace server
