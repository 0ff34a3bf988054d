#include "server/client/exchange.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/parser.hpp>
#include <stdexcept>
#include <string>

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

/// All but the body.
std::string head_of(const wire_request& message) {
    std::string all;
    const auto add = [&all](auto... pieces) { (all.append(pieces.data(), pieces.size()), ...); };
    using namespace std::string_view_literals;
    add(message.method_string(), " "sv, message.target(), " HTTP/1.1\r\n"sv);
    for (const auto& field : message.base()) add(field.name_string(), ": "sv, field.value(), "\r\n"sv);
    add("\r\n"sv);
    return all;
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

// Beast's own operations ask for memory between the waits of one, where a coroutine has given itself away: without it
// they would destroy the coroutine (lifecycle::operation_memory). So Asio waits for bytes here, and that is all; what
// is made of them is made by the coroutine, which can be told.

/// Reads until the answer is whole. `begun`: a byte of it has come.
template <class Stream>
lifecycle::awaitable<error_code> read_answer(Stream& from, boost::beast::flat_buffer& into, response_parser& parser,
                                             bool& begun) {
    error_code error;
    parser.eager(true);
    for (bool hungry = into.size() == 0; !parser.is_done(); hungry = true) {
        if (hungry) {
            const auto most = boost::beast::read_size(into, buffered);
            if (most == 0) co_return http::error::buffer_overflow;
            auto reading = from.async_read_some(into.prepare(most), lifecycle::quietly);
            const auto [failed, count] = co_await std::move(reading);
            into.commit(count);
            if (failed && failed != asio::error::eof) co_return failed;
            if (failed && !parser.got_some()) co_return http::error::end_of_stream;
            if (failed) {
                parser.put_eof(error);
                co_return error;
            }
        }
        begun = true;
        while (into.size() > 0 && !parser.is_done() && !error) into.consume(parser.put(into.data(), error));
        if (error && error != http::error::need_more) co_return error;
        error = {};
    }
    co_return error;
}

template <class Stream>
lifecycle::awaitable<exchanged> exchange_over(Stream& on, const wire_request& message, std::uint64_t max_body) {
    exchanged made;
    const auto head = head_of(message);
    const std::array whole{asio::buffer(head), asio::buffer(message.body())};
    auto writing = asio::async_write(on, whole, lifecycle::quietly);
    const auto [unsent, sent] = co_await std::move(writing);
    // A server that refuses a body may have answered before it closed: read on.
    boost::beast::flat_buffer buffer(buffered);
    for (int interim = 0; interim < most_interim; ++interim) {
        response_parser parser;
        parser.header_limit(longest_head);
        parser.body_limit(max_body);
        if (message.method() == http::verb::head) parser.skip(true);
        auto reading = read_answer(on, buffer, parser, made.begun);
        const auto error = co_await std::move(reading);
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
