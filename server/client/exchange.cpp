#include "server/client/exchange.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <stdexcept>

#include "server/head.hpp"

namespace server {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr unsigned http_1_1 = 11;
constexpr std::uint32_t longest_head = 16 * 1024;
constexpr std::size_t buffered = 64 * 1024;  // bounds chunk extensions and trailers, which Beast does not
constexpr int most_interim = 8;

using response_parser = http::response_parser<http::string_body>;

/// Where an answer with another transfer coding than `chunked` ends is a matter of opinion (RFC 9112, section 6.3).
bool has_sound_length(const response_parser& parser) {
    const auto& fields = parser.get();
    const auto codings = fields.count(http::field::transfer_encoding);
    return codings == 0 || (codings == 1 && same_name(fields[http::field::transfer_encoding], "chunked"));
}

client_response release(response_parser& parser) {
    auto message = parser.release();
    client_response answer;
    answer.status = message.result_int();
    for (const auto& field : message.base())
        answer.fields.emplace_back(std::string(field.name_string()), std::string(field.value()));
    answer.body = std::move(message.body());
    return answer;
}

}  // namespace

wire_request to_wire(client_request&& from) {
    wire_request message(from.method, from.to.path(), http_1_1);
    for (const auto& [name, value] : from.fields) {
        if (!is_field_name(name) || !is_field_value(value))
            throw std::invalid_argument("a field of a request is not one: " + name);
        message.insert(name, value);
    }
    for (const auto ours : {http::field::connection, http::field::transfer_encoding, http::field::expect})
        message.erase(ours);
    message.set(http::field::host, from.to.server()->authority);
    if (from.trace) {
        message.set("traceparent", from.trace.parent);
        if (!from.trace.state.empty()) message.set("tracestate", from.trace.state);
    }
    message.body() = std::move(from.body);
    message.prepare_payload();
    return message;
}

namespace {

template <class Stream>
lifecycle::awaitable<exchanged> exchange_over(Stream& on, const wire_request& message, std::uint64_t max_body) {
    exchanged made;
    auto writing = http::async_write(on, message, lifecycle::quietly);
    const auto [unsent, sent] = co_await std::move(writing);
    // A server that refuses a body may have answered before it closed: read on.
    boost::beast::flat_buffer buffer(buffered);
    for (int interim = 0; interim < most_interim; ++interim) {
        response_parser parser;
        parser.header_limit(longest_head);
        parser.body_limit(max_body);
        if (message.method() == http::verb::head) parser.skip(true);
        auto reading = http::async_read(on, buffer, parser, lifecycle::quietly);
        const auto [error, received] = co_await std::move(reading);
        made.begun = made.begun || received > 0 || buffer.size() > 0;
        if (error) {
            made.error = unsent && !made.begun ? unsent : error;
            co_return made;
        }
        const auto status = parser.get().result_int();  // Beast knows no 103
        if (status >= 100 && status < 200 && status != unsigned(http::status::switching_protocols)) continue;
        if (status < 200 || !has_sound_length(parser)) break;
        // A byte after the answer answers nothing; and a server that has not read the whole request wants no other.
        made.reusable = parser.keep_alive() && buffer.size() == 0 && !unsent;
        made.response = release(parser);
        co_return made;
    }
    made.error = http::error::bad_status;
    co_return made;
}

}  // namespace

lifecycle::awaitable<exchanged> exchange(upstream_stream& on, const wire_request& message, std::uint64_t max_body) {
    if (auto* const tls = on.tls()) return exchange_over(*tls, message, max_body);
    return exchange_over(on.tcp(), message, max_body);
}

}  // namespace server
