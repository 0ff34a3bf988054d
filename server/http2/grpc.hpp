#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "lifecycle/context.hpp"
#include "server/router.hpp"

namespace server::http2 {

/// How a call ends, as gRPC numbers it (google/rpc/code.proto).
enum class grpc_code : std::uint8_t {
    ok,
    cancelled,
    unknown,
    invalid_argument,
    deadline_exceeded,
    not_found,
    already_exists,
    permission_denied,
    resource_exhausted,
    failed_precondition,
    aborted,
    out_of_range,
    unimplemented,
    internal,
    unavailable,
    data_loss,
    unauthenticated
};

/// Why a call has no reply. `message` is UTF-8 for the caller, and must not reveal internals.
struct grpc_failure {
    grpc_code code = grpc_code::unknown;
    std::string message;
};

/// What the handler of a unary call gives: its reply, or why there is none.
template <class Reply>
using grpc_result = std::variant<Reply, grpc_failure>;

/// What protoc makes of a message, and anything else that parses and writes itself in the same way.
template <class T>
concept grpc_message_type = requires(T& into, const T& from, std::string* bytes) {
    { into.ParseFromArray(static_cast<const void*>(nullptr), 0) } -> std::same_as<bool>;
    { from.AppendToString(bytes) } -> std::same_as<bool>;
};

/// Adds the route of a unary call, "/package.Service/Method". `handle` is a plain function or a coroutine, as those of
/// other routes are, and is called by any loop:
///
///     Reply(const context&, const Request&)                     or grpc_result<Reply> where there may be none
///     awaitable<Reply>(context, const Request&)                 … or of that
/// A handler that needs more than the message takes a third parameter, `const server::request&`. What it throws is
/// INTERNAL and a line in the log. Deadlines (grpc-timeout), a client that has gone and the stop end the context, as
/// for other routes: `grpc_ended` is then the reply to give.
///
/// What is not such a call does not reach it. By "gRPC over HTTP2" and its status codes: UNIMPLEMENTED for a message
/// that is compressed (`grpc-accept-encoding` says what is not) and for none or several of them, INTERNAL for bytes
/// that are no message, 415 for what is not gRPC, 505 for HTTP/1.1.
template <grpc_message_type Request, class Handle>
router& grpc_unary(router& routes, std::string_view method, Handle handle);

/// For a handler whose context has ended: DEADLINE_EXCEEDED, CANCELLED, or UNAVAILABLE in a stop.
grpc_failure grpc_ended(const lifecycle::context& of);

/// An answer of a unary call with the bytes of a message, and one without.
response grpc_answer(std::string_view message);
response grpc_error(grpc_code code, std::string_view message);
/// The one message of a unary request; none when the body is not one.
std::optional<std::string_view> grpc_message(const request& asked) noexcept;
/// What a request without one is answered; nothing where it has one.
std::optional<response> grpc_refusal(const request& asked);
/// A message as the body of an answer begins with it: length-prefixed, not compressed.
std::string grpc_framed(std::string_view message);

namespace grpc_inside {

template <class T>
struct awaited {
    using type = T;
    static constexpr bool waits = false;
};
template <class T>
struct awaited<lifecycle::awaitable<T>> {
    using type = T;
    static constexpr bool waits = true;
};

template <class Handle, class Context, class Request>
decltype(auto) call(const Handle& handle, Context&& of, const Request& message, const request& asked) {
    if constexpr (std::invocable<const Handle&, Context, const Request&, const request&>)
        return handle(std::forward<Context>(of), message, asked);
    else
        return handle(std::forward<Context>(of), message);
}

template <grpc_message_type Request>
std::optional<response> parse(const request& asked, Request& into) {
    if (auto refusal = grpc_refusal(asked)) return refusal;
    const auto bytes = *grpc_message(asked);  // within app.max_body_bytes
    if (into.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
    return grpc_error(grpc_code::internal, "the message cannot be parsed");
}

template <grpc_message_type Reply>
response answer(const Reply& with) {
    std::string bytes;
    if (!with.AppendToString(&bytes)) return grpc_error(grpc_code::internal, "the reply cannot be written");
    return grpc_answer(bytes);
}
inline response answer(const grpc_failure& with) { return grpc_error(with.code, with.message); }
template <class Reply>
response answer(const grpc_result<Reply>& with) {
    return std::visit([](const auto& either) { return answer(either); }, with);
}

}  // namespace grpc_inside

template <grpc_message_type Request, class Handle>
router& grpc_unary(router& routes, std::string_view method, Handle handle) {
    using returned = std::remove_cvref_t<decltype(grpc_inside::call(
        handle, std::declval<lifecycle::context>(), std::declval<const Request&>(), std::declval<const request&>()))>;
    if constexpr (grpc_inside::awaited<returned>::waits)
        return routes.post(method,
                           [handle = std::move(handle)](lifecycle::context of,
                                                        const request& asked) -> lifecycle::awaitable<response> {
                               Request message;
                               if (auto refusal = grpc_inside::parse(asked, message)) co_return std::move(*refusal);
                               auto replying = grpc_inside::call(handle, std::move(of), message, asked);
                               const auto reply = co_await std::move(replying);
                               co_return grpc_inside::answer(reply);
                           });
    else
        return routes.post(method, [handle = std::move(handle)](const lifecycle::context& of, const request& asked) {
            Request message;
            if (auto refusal = grpc_inside::parse(asked, message)) return std::move(*refusal);
            return grpc_inside::answer(grpc_inside::call(handle, of, message, asked));
        });
}

}  // namespace server::http2
