#include "server/http2/grpc.hpp"

#include <climits>

namespace server::http2 {
namespace {

constexpr std::string_view grpc_type = "application/grpc";
constexpr std::size_t prefix = 5;  // a flag and four bytes of length

/// The messages are those of protobuf, which is what is meant where nothing is said.
bool is_protobuf(std::string_view type) noexcept {
    if (!type.starts_with(grpc_type)) return false;  // as `stream` knows a call of gRPC
    type.remove_prefix(grpc_type.size());
    if (type.starts_with("+proto")) type.remove_prefix(6);
    return type.empty() || type.front() == ';' || type.front() == ' ';
}

std::size_t announced(std::string_view body) noexcept {
    std::size_t size = 0;
    for (std::size_t nth = 1; nth < prefix; ++nth) size = size << 8 | static_cast<unsigned char>(body[nth]);
    return size;
}

/// What may not stand in grpc-message, by "gRPC over HTTP2": "%" and what is not printable ASCII.
std::string percent_encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string made;
    for (const char letter : text) {
        const auto byte = static_cast<unsigned char>(letter);
        if (byte >= 0x20 && byte <= 0x7e && letter != '%')
            made += letter;
        else
            made.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
    return made;
}

/// A message that says that it is compressed: in a way that we do not know, or not at all.
response compressed(const request& asked) {
    const auto by = asked.header("grpc-encoding");
    if (by.empty() || by == "identity")
        return grpc_error(grpc_code::internal, "the message is compressed, and grpc-encoding does not say how");
    auto made = grpc_error(grpc_code::unimplemented, "messages are not to be compressed");
    made.set("grpc-accept-encoding", "identity");
    return made;
}

}  // namespace

std::string grpc_framed(std::string_view message) {
    std::string made;
    made.reserve(prefix + message.size());
    made += '\0';
    for (int shift = 24; shift >= 0; shift -= 8) made += static_cast<char>(message.size() >> shift & 0xff);
    return made.append(message);
}

response grpc_answer(std::string_view message) {
    response made(http::status::ok, grpc_framed(message), grpc_type);
    made.trail("grpc-status", "0");
    return made;
}

response grpc_error(grpc_code code, std::string_view message) {
    response made(http::status::ok, {}, grpc_type);
    made.set("grpc-status", std::to_string(static_cast<int>(code)));
    return std::move(made.set("grpc-message", percent_encoded(message)));
}

std::optional<std::string_view> grpc_message(const request& asked) noexcept {
    const auto body = asked.body;
    if (body.size() < prefix || body[0] != '\0' || announced(body) != body.size() - prefix) return std::nullopt;
    return body.substr(prefix);
}

std::optional<response> grpc_refusal(const request& asked) {
    constexpr unsigned http2 = 20;  // there are no trailers for gRPC in others
    if (asked.version != http2) return problem(http::status::http_version_not_supported);
    if (!is_protobuf(asked.header(http::field::content_type))) return problem(http::status::unsupported_media_type);
    const auto body = asked.body;
    if (body.empty()) return grpc_error(grpc_code::unimplemented, "a unary call has one message, this one has none");
    if (body.size() < prefix || static_cast<unsigned char>(body[0]) > 1 || announced(body) > body.size() - prefix)
        return grpc_error(grpc_code::internal, "the body is not a message, or it was cut");
    if (announced(body) < body.size() - prefix)
        return grpc_error(grpc_code::unimplemented, "a unary call has one message, this one has more");
    if (body[0] != '\0') return compressed(asked);
    if (body.size() - prefix > INT_MAX)  // what protobuf can read
        return grpc_error(grpc_code::resource_exhausted, "the message is too long");
    return std::nullopt;
}

grpc_failure grpc_ended(const lifecycle::context& of) {
    switch (of.why()) {
        case lifecycle::cause::deadline: return {grpc_code::deadline_exceeded, "the deadline has passed"};
        case lifecycle::cause::shutdown: return {grpc_code::unavailable, "stopping"};
        default: return {grpc_code::cancelled, "the call has been given up"};
    }
}

}  // namespace server::http2
