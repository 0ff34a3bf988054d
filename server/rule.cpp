#include "server/rule.hpp"

#include <algorithm>
#include <array>

namespace server {
namespace {

using http::status;

struct entry {
    std::string_view name;
    status code = status::bad_request;
};

/// A switch, and not a table by number: the compiler says which rule is missing.
constexpr entry of(rule which) noexcept {
    switch (which) {
        case rule::none: return {"none"};
        case rule::request_line: return {"request_line"};
        case rule::http_version: return {"http_version", status::http_version_not_supported};
        case rule::field: return {"field"};
        case rule::max_headers: return {"max_headers", status::request_header_fields_too_large};
        case rule::max_header_bytes: return {"max_header_bytes", status::request_header_fields_too_large};
        case rule::max_target_bytes: return {"max_target_bytes", status::uri_too_long};
        case rule::line_end: return {"line_end"};
        case rule::host: return {"host"};
        case rule::content_length: return {"content_length"};
        case rule::max_body_bytes: return {"max_body_bytes", status::payload_too_large};
        case rule::transfer_encoding: return {"transfer_encoding"};
        case rule::transfer_coding: return {"transfer_coding", status::not_implemented};
        case rule::framing: return {"framing"};
        case rule::connection: return {"connection"};
        case rule::expect: return {"expect", status::expectation_failed};
        case rule::target: return {"target"};
        case rule::strict_targets: return {"strict_targets"};
        case rule::method: return {"method", status::not_implemented};
        case rule::chunk: return {"chunk"};
        case rule::tls: return {"tls"};
        case rule::proxy_header: return {"proxy_header"};
        case rule::http2: return {"http2", status::http_version_not_supported};
        case rule::clear_text: return {"clear_text"};
        case rule::proxy_header_missing: return {"proxy_header_missing"};
        case rule::proxy_header_malformed: return {"proxy_header_malformed"};
        case rule::proxy_header_timeout: return {"proxy_header_timeout", status::request_timeout};
        case rule::proxy_header_untrusted: return {"proxy_header_untrusted", status::forbidden};
        case rule::header_timeout: return {"header_timeout", status::request_timeout};
        case rule::body_timeout: return {"body_timeout", status::request_timeout};
        case rule::route: return {"route", status::not_found};
        case rule::route_method: return {"route_method", status::method_not_allowed};
        case rule::content_encoding: return {"content_encoding", status::unsupported_media_type};
        case rule::timeout_field: return {"timeout_field"};
        case rule::max_in_flight: return {"max_in_flight", status::service_unavailable};
        case rule::http2_max_streams: return {"http2_max_streams", status::service_unavailable};
        case rule::max_connections: return {"max_connections", status::service_unavailable};
        case rule::max_connections_per_client: return {"max_connections_per_client", status::service_unavailable};
        case rule::max_descriptors: return {"max_descriptors", status::service_unavailable};
        case rule::request_timeout: return {"request_timeout", status::gateway_timeout};
        case rule::handler: return {"handler", status::internal_server_error};
        case rule::drain: return {"drain", status::service_unavailable};
    }
    return {"none"};
}

/// As far as it has come, and it has come far enough to tell.
bool begins(std::string_view bytes, std::string_view with, std::size_t enough) noexcept {
    const auto common = std::min(bytes.size(), with.size());
    return common >= enough && bytes.substr(0, common) == with.substr(0, common);
}

}  // namespace

std::string_view to_string(rule rule) noexcept { return of(rule).name; }

http::status status_of(rule rule) noexcept { return of(rule).code; }

rule looks_like(std::string_view first_bytes) noexcept {
    // RFC 8446 section 5.1: a handshake record, and the major version of all of them.
    if (begins(first_bytes, "\x16\x03", 1)) return rule::tls;
    if (begins(first_bytes, "PROXY ", 6) || begins(first_bytes, std::string_view("\r\n\r\n\0\r\nQUIT\n", 12), 5))
        return rule::proxy_header;
    if (begins(first_bytes, "PRI * HTTP/2.0\r\n", 16)) return rule::http2;  // RFC 9113 section 3.4
    return rule::none;
}

std::string_view in_words(rule which) noexcept {
    switch (which) {
        case rule::tls: return "looks like a TLS hello, which is not spoken here";
        case rule::proxy_header: return "looks like a header of the PROXY protocol, which is not spoken here";
        case rule::http2: return "looks like the preface of HTTP/2, which is not spoken here";
        case rule::proxy_header_missing: return "begins without a header of the PROXY protocol";
        case rule::proxy_header_malformed: return "is no whole header of the PROXY protocol";
        case rule::proxy_header_timeout: return "is no whole header of the PROXY protocol within header_timeout";
        case rule::proxy_header_untrusted: return "is not taken for a header, since trusted_proxies does not name it";
        case rule::clear_text: return "looks like HTTP in clear, which is not spoken here";
        default: return {};
    }
}

}  // namespace server
