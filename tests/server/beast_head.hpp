#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "server/head.hpp"

namespace heads {

/// Whether `head` is one that `parse_head` may be given: it ends with its only empty line, and begins with none.
inline bool whole(std::string_view head) {
    return !head.starts_with('\r') && head.size() >= 4 && head.find("\r\n\r\n") == head.size() - 4;
}

/// What `parse_head` reads in a head, as text; none when it refuses.
inline std::optional<std::string> read_by_us(std::string_view head) {
    server::request request;
    if (server::parse_head(head, 1'000, request)) return std::nullopt;
    auto text = std::string(request.method_name).append(" ").append(request.target).append("\n");
    for (const auto& [known, name, value] : request.fields) text.append(name).append(":").append(value).append("\n");
    return text;
}

/// The same by Beast, an independent reader of the same grammar.
inline std::optional<std::string> read_by_beast(std::string_view head, boost::beast::error_code& error) {
    namespace http = boost::beast::http;
    http::request_parser<http::empty_body> parser;
    parser.skip(true);
    parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
    if (error || !parser.is_header_done()) return std::nullopt;
    std::string text(parser.get().method_string());
    text.append(" ").append(parser.get().target()).append("\n");
    for (const auto& field : parser.get()) {
        text.append(field.name_string()).append(":");
        text.append(field.value()).append("\n");
    }
    return text;
}

}  // namespace heads
