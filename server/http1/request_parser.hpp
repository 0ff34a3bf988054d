#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/chunked.hpp"
#include "server/http1/known_fields.hpp"
#include "server/options.hpp"
#include "server/request.hpp"
#include "server/response.hpp"
#include "server/rule.hpp"

namespace server {

/// HTTP/1.1 for an origin server (RFC 9112), without I/O: bytes in, requests out.
///
/// The grammar of a head is in head.hpp. What it lets through and a server on the open internet must
/// refuse is refused here: see docs/adr. A head is parsed once, when it is whole, so a slow sender
/// costs no more than a fast one; nothing but a few numbers is kept while it is not.
class request_parser {
public:
    enum class progress {
        need_more,  ///< not whole yet
        complete,   ///< `request()` is there until `reset`
        refused     ///< answer `refusal()` and close: where the next message begins is not known
    };

    /// `limits` must outlive it.
    explicit request_parser(const options& limits) noexcept : limits_(&limits) {}

    /// Other limits, before a byte of the next message has been looked at. They too must outlive it.
    void go_by(const options& limits) noexcept {
        limits_ = &limits;
        known_.forget();
    }

    /// `data` is all that has been received and not been consumed by earlier requests; a chunked body
    /// is decoded in place. The bytes may have moved since the last call, but not changed.
    progress next(char* data, std::size_t size);

    server::request& request() noexcept { return request_; }
    http::status refusal() const noexcept { return status_of(refused_by_); }
    rule refused_by() const noexcept { return refused_by_; }
    /// Once it is refused: method and target of `request()` are what was sent, and can be written into a line of a log.
    bool knows_line() const noexcept { return knows_line_; }

    /// Bytes of `data` that a complete request took; what follows belongs to the next one.
    std::size_t consumed() const noexcept { return consumed_; }

    /// A byte of a message has come: an empty line before a request does not count (RFC 9112 section 2.2).
    bool begun() const noexcept { return begun_; }
    bool head_done() const noexcept { return head_size_ != 0; }
    bool expects_continue() const noexcept { return expects_continue_; }
    bool keep_alive() const noexcept { return keep_alive_; }
    /// What every answer looks for, found while the fields were gone through: as `request::header` would.
    std::string_view request_id() const noexcept { return value_of(request_id_); }
    std::string_view request_timeout() const noexcept { return value_of(request_timeout_); }
    bool has_traceparent() const noexcept { return traceparent_ != nowhere; }
    /// Once `next` needs more than these `size` bytes, this many are welcome, so that of what is pipelined after the
    /// request no more than `max_pipelined_bytes` is read.
    std::size_t welcome(std::size_t size) const noexcept;
    /// Throws away the bytes of chunk sizes between the decoded body and what has not been decoded
    /// yet, so that a body in tiny chunks costs no more memory than its bytes. The new size of `data`.
    std::size_t squeeze(char* data, std::size_t size) noexcept;

    // A body that is not gathered, once the head is there: see http1_receiving.

    /// Content-Length; none of a chunked body.
    std::optional<std::uint64_t> length() const noexcept;
    /// From here on it is not gathered, and may be this large. Refused: it is broken, or larger.
    progress begin_stream(char* data, std::size_t size, std::uint64_t most);
    /// What had come of it by then, decoded.
    std::string_view come(const char* data) const noexcept { return {data + head_size_, streamed_}; }
    /// The handler has read what had come; of the request only the head is left in the buffer. The size of that.
    std::size_t leave_head() noexcept { return consumed_ = head_size_; }
    struct fed {
        progress how;
        std::size_t body;  ///< bytes of it, at the front
        std::size_t used;  ///< the next message begins after these
    };
    /// More of it, decoded in place; at most `welcome_piece` bytes.
    fed feed(std::span<char> bytes);
    /// `behind`: how much of the next message may come with it.
    std::size_t welcome_piece(std::size_t wanted, std::size_t behind) const noexcept;

    void reset() noexcept;

private:
    progress refuse(rule by) noexcept;
    progress is_whole(std::size_t consumed);
    progress refuse_size() noexcept;
    progress read_head(char* data, std::size_t size);
    bool read_head_at_once(std::string_view bytes);
    bool know_again(const char* base);
    void learn(std::string_view head);
    std::optional<rule> first_fault(std::string_view head) const noexcept;
    bool wants_keep_alive() const;
    void note_own(std::size_t nth) noexcept;
    progress check_head(std::string_view head);
    progress check_meaning(const char* base);
    std::optional<rule> check_target();
    std::optional<rule> check_framing();
    progress read_body(char* data, std::size_t size);
    void follow(const char* data) noexcept;

    static constexpr std::size_t nowhere = SIZE_MAX;
    std::string_view value_of(std::size_t nth) const noexcept {
        return nth == nowhere ? std::string_view() : request_.fields[nth].value;
    }

    const options* limits_;
    server::request request_;
    known_fields known_;
    std::string path_storage_;
    const char* base_ = nullptr;  ///< where the head was when it was parsed
    std::size_t skipped_ = 0;     ///< empty lines before the request
    std::size_t scanned_ = 0;     ///< bytes that do not hold the end of the head
    std::size_t head_size_ = 0;   ///< with what was skipped; 0: not whole yet
    std::uint64_t length_ = 0;    ///< Content-Length; of a body that is not gathered what is still to come
    std::size_t streamed_ = 0;    ///< of a body that is not gathered what had come with the head
    std::size_t consumed_ = 0;
    std::size_t request_id_ = nowhere, request_timeout_ = nowhere, traceparent_ = nowhere;  ///< in the fields
    std::optional<chunked_decoder> chunks_;
    rule refused_by_ = rule::none;
    bool knows_line_ = false;
    bool begun_ = false;
    bool expects_continue_ = false;
    bool keep_alive_ = false;
};

/// What a response needs to know of its request and connection to be written.
struct framing {
    unsigned version = 11;
    bool head = false;   ///< HEAD: the fields of the answer without its body
    bool close = false;  ///< `Connection: close`
    std::string_view date;
    std::string_view request_id;
    std::chrono::milliseconds keep_alive{0};  ///< `Keep-Alive: timeout=`, unless it is closed; 0: not said
    bool envoy_hint = false;                  ///< tells an Envoy in front to choose another host from now on
};

/// How the body of a response is sent.
enum class body_coding { none, plain, length, chunked, until_close };

/// Appends the head, and the body if it is at hand. Says how a streamed body must follow.
body_coding append(const response& response, const framing& framing, std::string& out);

}  // namespace server
