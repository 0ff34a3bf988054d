#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/chunked.hpp"
#include "server/http1/known_fields.hpp"
#include "server/options.hpp"
#include "server/request.hpp"
#include "server/rule.hpp"

namespace server {

/// The head of a request of HTTP/1.1 (RFC 9112), without I/O: what `request_parser` begins with.
///
/// The grammar of a head is in head.hpp. What it lets through and a server on the open internet must
/// refuse is refused here: see docs/adr. A head is parsed once, when it is whole, so a slow sender
/// costs no more than a fast one; nothing but a few numbers is kept while it is not. Fields that are those of the
/// request before are known again.
class head_parser {
public:
    enum class progress {
        need_more,  ///< not whole yet
        complete,   ///< `request()` is there until it is reset
        refused     ///< answer `refusal()` and close: where the next message begins is not known
    };

    /// Other limits, before a byte of the next message has been looked at. They must outlive it.
    void go_by(const options& limits) noexcept {
        limits_ = &limits;
        known_.forget();
    }

    server::request& request() noexcept { return request_; }
    http::status refusal() const noexcept { return status_of(refused_by_); }
    rule refused_by() const noexcept { return refused_by_; }
    /// Once it is refused: method and target of `request()` are what was sent, and can be written into a line of a log.
    bool knows_line() const noexcept { return knows_line_; }

    /// A byte of a message has come: an empty line before a request does not count (RFC 9112 section 2.2).
    bool begun() const noexcept { return begun_; }
    bool head_done() const noexcept { return head_size_ != 0; }
    bool expects_continue() const noexcept { return expects_continue_; }
    bool keep_alive() const noexcept { return keep_alive_; }
    /// What every answer looks for, found while the fields were gone through: as `request::header` would.
    std::string_view request_id() const noexcept { return value_of(request_id_); }
    std::string_view request_timeout() const noexcept { return value_of(request_timeout_); }
    bool has_traceparent() const noexcept { return traceparent_ != nowhere; }

protected:
    explicit head_parser(const options& limits) noexcept : limits_(&limits) {}

    progress refuse(rule by) noexcept;
    progress read_head(char* data, std::size_t size);
    /// The views into the buffer follow it to where it is now.
    void follow(const char* data) noexcept {
        if (data != base_) move_views(data);
    }
    void reset_head() noexcept;

    const options* limits_;
    server::request request_;
    std::size_t head_size_ = 0;  ///< with what was skipped; 0: not whole yet
    std::uint64_t length_ = 0;   ///< Content-Length; of a body that is not gathered what is still to come
    std::optional<chunked_decoder> chunks_;
    rule refused_by_ = rule::none;

private:
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
    void move_views(const char* data) noexcept;

    static constexpr std::size_t nowhere = SIZE_MAX;
    std::string_view value_of(std::size_t nth) const noexcept {
        return nth == nowhere ? std::string_view() : request_.fields[nth].value;
    }

    known_fields known_;
    std::string path_storage_;
    const char* base_ = nullptr;  ///< where the head was when it was parsed
    std::size_t skipped_ = 0;     ///< empty lines before the request
    std::size_t scanned_ = 0;     ///< bytes that do not hold the end of the head
    std::size_t request_id_ = nowhere, request_timeout_ = nowhere, traceparent_ = nowhere;  ///< in the fields
    bool knows_line_ = false;
    bool begun_ = false;
    bool expects_continue_ = false;
    bool keep_alive_ = false;
};

}  // namespace server
