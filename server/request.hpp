#pragma once

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <charconv>
#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/socket_address.hpp"
#include "server/traceparent.hpp"

namespace server {

namespace http = boost::beast::http;

class request_body;

/// 1 to 128 of A-Z a-z 0-9 . _ : - : what is taken for an id when a client gives one.
bool is_sound_id(std::string_view text) noexcept;

/// `300ms`, `5s`, `2m`: at most a day; none: it is not a duration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) noexcept;

/// For names of fields, schemes, hosts and codings, which are the same in upper and lower case.
bool same_name(std::string_view a, std::string_view b) noexcept;

/// One request, parsed and checked. Its views point into what the connection has lent and live until the
/// handler has returned: a handler that needs a part of it longer copies it.
struct request {
    struct field {
        http::field known;  ///< `unknown` for a name that is not in Beast's table
        std::string_view name, value;
    };

    http::verb method = http::verb::unknown;
    std::string_view method_name;
    std::string_view target;    ///< as it was sent
    std::string_view path;      ///< percent-decoded, dot segments removed; "*" for `OPTIONS *`
    std::string_view query;     ///< what follows the first '?', encoded
    std::string_view protocol;  ///< that an extended CONNECT of HTTP/2 asks for (RFC 8441), which is a GET to routes
    std::string_view host;      ///< of the target when that is absolute, else of the Host field
    unsigned version = 11;      ///< 10, 11 or 20
    std::vector<field> fields;
    std::string_view body;             ///< empty where the route takes it as it arrives
    request_body* incoming = nullptr;  ///< ... from here
    std::vector<field> trailers;       ///< after the body, once that is there; see `trailer`
    std::string_view id;               ///< X-Request-Id: the client's if it is valid, else made here
    trace_context trace;               ///< when the client has sent one
    std::string_view route;            ///< "GET /users/{id}", as in metrics; lives as long as the router
    socket_address peer;               ///< at the other end of the connection: a proxy, where there is one
    /// The client, where a trusted proxy or a header at the start of the connection names it; nullptr: the peer.
    const socket_address* named_client = nullptr;
    std::string_view scheme = "http";  ///< "https" where a trusted proxy says so; has static lifetime
    std::string_view client_subject;   ///< the name in its certificate (RFC 4514), verified; empty without one
    std::vector<std::pair<std::string_view, std::string_view>> parameters;  ///< `{name}` of the route

    /// The client, as far as it is known. Its port may be 0, and it may be a UNIX socket.
    const socket_address& client() const noexcept { return named_client != nullptr ? *named_client : peer; }

    /// The first field of that name; when there is none, an empty view whose data() is nullptr.
    std::string_view header(http::field name) const noexcept;
    std::string_view header(std::string_view name) const noexcept;

    /// The first of that name after a chunked body (RFC 9110 section 6.5); none of them is a part of the head.
    std::string_view trailer(std::string_view name) const noexcept;

    /// The coding of the body (RFC 9110 section 8.4); empty without a Content-Encoding.
    std::string_view content_coding() const noexcept;

    /// The `{name}` of the route.
    std::string_view parameter(std::string_view name) const noexcept;
    /// ... as a whole number that fits into a T; none: it is not one, so nothing has that name: answer 404.
    template <std::integral T>
    std::optional<T> parameter(std::string_view name) const noexcept;

    /// A value of the query, decoded (application/x-www-form-urlencoded); none when it is absent.
    std::optional<std::string> query_value(std::string_view name) const;
    /// All of them, in their order.
    std::vector<std::string> query_values(std::string_view name) const;

    /// A number of the query. `fallback` when the key is absent; none when what is there is not a
    /// whole number from `least` to `most`.
    template <class T>
    std::optional<T> query_number(std::string_view name, std::optional<T> fallback, T least, T most) const;
};

/// What functions that a handler calls want to know of its request, and pass on, when they get only its context:
/// `context.find<request_values>()`. A copy, so it is good for as long as that context; see `with_request_values`.
struct request_values {
    std::string id, route;
    trace_context trace;
    socket_address peer, client;
    std::string client_subject = {};
};

/// All of the text.
template <class T>
std::optional<T> parse_number(std::string_view text) noexcept {
    T number{};
    const auto* const end = text.data() + text.size();
    const auto [stopped_at, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && stopped_at == end ? std::optional(number) : std::nullopt;
}

template <std::integral T>
std::optional<T> request::parameter(std::string_view name) const noexcept {
    return parse_number<T>(parameter(name));
}

template <class T>
std::optional<T> request::query_number(std::string_view name, std::optional<T> fallback, T least, T most) const {
    const auto text = query_value(name);
    if (!text) return fallback;
    const auto number = parse_number<T>(*text);
    return number && *number >= least && *number <= most ? number : std::nullopt;
}

}  // namespace server
