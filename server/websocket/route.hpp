#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lifecycle/task_group.hpp"
#include "server/metrics.hpp"
#include "server/router.hpp"
#include "server/websocket/socket.hpp"

namespace server::websocket {

/// What a route does with a WebSocket: a plain function, which is called in the turn in which its bytes have come, or a
/// coroutine, which may wait; a message is copied for that. Nothing but what is asked for here is called, one call at a
/// time for each socket. What it throws closes that with 1011.
template <class Argument>
class callback {
public:
    using plain_function = std::function<void(const lifecycle::context&, socket&, Argument)>;
    using coroutine = std::function<lifecycle::awaitable<>(lifecycle::context, socket&, Argument)>;

    callback() = default;
    template <class F>
    requires(!std::same_as<F, callback> && std::invocable<F&, lifecycle::context, socket&, Argument>) callback(F f)
        : does_(kind_of<F>(std::move(f))) {}  // not explicit: a route is given the function itself

    explicit operator bool() const noexcept {
        return std::visit([](const auto& does) { return static_cast<bool>(does); }, does_);
    }
    /// nullptr when it is a coroutine.
    const plain_function* as_plain() const noexcept { return std::get_if<plain_function>(&does_); }
    const coroutine& as_coroutine() const { return std::get<coroutine>(does_); }

private:
    template <class F>
    using kind_of = std::conditional_t<std::is_void_v<std::invoke_result_t<F&, lifecycle::context, socket&, Argument>>,
                                       plain_function, coroutine>;

    std::variant<plain_function, coroutine> does_;
};

struct callbacks {
    callback<const request&> on_open = {};  ///< the request is valid until it has returned; then come messages
    callback<const message&> on_message = {};
    callback<const machine::close&> on_close = {};  ///< once, the last of all calls
};

struct route_options {
    std::size_t max_backlog = 1024 * 1024;    ///< bytes that may wait for a peer that does not read
    at_bound overflow = at_bound::close;      ///< what becomes of a message above that
    std::vector<std::string> protocols = {};  ///< that are spoken, for Sec-WebSocket-Protocol
    bool compress = true;                     ///< permessage-deflate, with peers that offer it
    std::size_t compress_from = 256;          ///< bytes of a message; smaller ones are sent as they are
};

class hub;

/// All WebSockets of one route.
class sockets {
public:
    explicit sockets(std::shared_ptr<hub> of) noexcept : hub_(std::move(of)) {}

    /// To all that are open on any loop; one frame for all of them. `wanted`: to those for which it returns true, asked
    /// on their loops. Safe from any thread, and never waits. Throws std::bad_alloc.
    void broadcast(opcode kind, std::string_view data, std::function<bool(const socket&)> wanted = {}) const;
    /// Safe from any thread.
    static void write_metrics(metrics_text& out, std::span<const sockets> of);

private:
    std::shared_ptr<hub> hub_;
};

/// Adds a route for WebSockets to `to`: `GET pattern`, which answers the handshake (RFC 6455 section 4.2) and is 426
/// for clients that do not upgrade. Middleware of `to` is asked before it; see require_origin.
sockets route(router& to, std::string_view pattern, callbacks does, route_options how = {});

/// A middleware that lets a handshake through whose Origin (RFC 6455 section 10.2) is that of its Host, is one of
/// `allowed` ("https://example.com"), or is missing, as it is from clients that are not browsers; 403 for others.
/// Without it any page of the web may speak to the route with its visitor's cookies.
middleware require_origin(std::vector<std::string> allowed = {});

}  // namespace server::websocket
