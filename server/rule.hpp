#pragma once

#include <boost/beast/http/status.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace server {

namespace http = boost::beast::http;

/// Why the server itself has said 4xx or 5xx, or closed without a word: what the access log says, and the label of
/// http_requests_refused_total. The list is closed, so no client can make a series.
enum class rule : std::uint8_t {
    none,
    // What came is not a request.
    request_line,
    http_version,
    field,
    max_headers,
    max_header_bytes,
    max_target_bytes,
    line_end,
    host,
    content_length,
    max_body_bytes,
    transfer_encoding,
    transfer_coding,
    framing,
    connection,
    expect,
    target,
    strict_targets,
    method,
    chunk,
    // It looks like another protocol.
    tls,
    proxy_header,
    http2,
    clear_text,
    // In front of it there should have been a header of the PROXY protocol.
    proxy_header_missing,
    proxy_header_malformed,
    proxy_header_timeout,
    proxy_header_untrusted,
    // It did not come in time.
    header_timeout,
    body_timeout,
    // No handler was asked.
    route,
    route_method,
    content_encoding,
    timeout_field,
    max_in_flight,
    http2_max_streams,
    max_connections,
    max_connections_per_client,
    max_descriptors,
    // In the place of a handler.
    request_timeout,
    handler,
    drain,
};

constexpr std::size_t rule_count = static_cast<std::size_t>(rule::drain) + 1;

/// "max_body_bytes"; has static lifetime.
std::string_view to_string(rule rule) noexcept;

/// What is answered by it; of a refusal in the place of a handler or of a time-out, by the code that answers.
http::status status_of(rule rule) noexcept;

/// What the first bytes of a connection look like that are no request: `tls` (a hello), `proxy_header`, `http2` (its
/// preface) or none.
rule looks_like(std::string_view first_bytes) noexcept;

/// What a line says of a peer that speaks another protocol, or the PROXY protocol badly: "looks like a TLS hello,
/// which is not spoken here"; empty of any other rule; has static lifetime.
std::string_view in_words(rule rule) noexcept;

}  // namespace server
