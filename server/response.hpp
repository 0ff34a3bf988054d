#pragma once

#include <boost/beast/http/status.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lifecycle/task_group.hpp"
#include "server/forget.hpp"

namespace server {

namespace http = boost::beast::http;

/// What a handler answers: a body at hand, or a source that is asked for the next piece whenever the
/// socket has room, so that memory stays bounded however long it is and however slow the client.
class response {
public:
    /// Fills the start of the span, returns how much; 0 is the end. The first piece is fetched before
    /// anything is sent, within the request's deadline: an exception there is a 500. A later one cuts the
    /// response visibly: the connection is closed before its promised end.
    using source = std::function<lifecycle::awaitable<std::size_t>(std::span<char>)>;

    /// Returns the text that is sent next, as one write; none is the end. For text that comes at long intervals: it may
    /// take its time, and no buffer is held for it meanwhile.
    using text_source = std::function<lifecycle::awaitable<std::string>()>;

    static constexpr std::size_t window = 64 * 1024;  ///< the largest piece that a source is asked for

    response() = default;
    explicit response(http::status code, std::string text = {}, std::string_view type = "text/plain; charset=utf-8");

    /// With a length a Content-Length is sent, without one the chunked coding (to HTTP/1.0: up to the close).
    static response stream(source pieces, std::optional<std::uint64_t> length = std::nullopt,
                           std::string_view type = "application/octet-stream");

    /// Adds a field. This is the only place that writes a field, and it refuses what would end it early: a name that is
    /// not a token, CR, LF or NUL in the value (std::invalid_argument).
    response& set(std::string_view name, std::string_view value);
    /// Adds a field that is sent after the body, where the protocol has that for every client: HTTP/2. In HTTP/1.1 it
    /// is not sent. Throws as `set` does.
    response& trail(std::string_view name, std::string_view value);
    /// Whether `set` has added a field of that name.
    bool has(std::string_view name) const noexcept;

    http::status status = http::status::ok;
    std::string body;               ///< of a streamed response: the piece that is sent next
    std::string_view content_type;  ///< must outlive the response: a literal, or use `set`
    source pieces;                  ///< set: the response is streamed
    text_source texts;              ///< the same, for text that comes at long intervals
    std::optional<std::uint64_t> length;
    bool close = false;  ///< the connection ends with this response

    std::string_view fields() const noexcept { return std::string_view(fields_).substr(0, fields_end_); }
    std::string_view trailers() const noexcept { return std::string_view(fields_).substr(fields_end_); }
    bool streamed() const noexcept { return pieces || texts; }

    /// As if it had just been made, keeping little of the memory of the last one.
    void renew() noexcept {
        forget(body);
        forget(fields_);
        fields_end_ = 0;
        if (pieces) pieces = nullptr;
        if (texts) texts = nullptr;
        status = http::status::ok;
        content_type = {};
        length.reset();
        close = false;
    }

private:
    std::string fields_;  // "Name: value\r\n" …, then the trailers
    std::size_t fields_end_ = 0;
};

/// The answer to a fault, as problem+json (RFC 9457): the status and its reason, and no internals. server/problem.hpp
/// has what else it can say.
response problem(http::status code);

}  // namespace server
