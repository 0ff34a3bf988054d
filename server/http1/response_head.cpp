#include "server/http1/response_head.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstring>
#include <ostream>  // Beast's string view uses and does not include it

namespace server {
namespace {

/// Writes to the end of a string, into room that is made once: a check for each piece would cost more than the pieces.
class writer {
public:
    writer(std::string& out, std::size_t most) : out_(out), first_(out.size()) {
        out_.resize(first_ + most);
        at_ = out_.data() + first_;
    }
    template <std::size_t Size>
    void put(const char (&literal)[Size]) noexcept {
        std::memcpy(at_, literal, Size - 1);  // without the NUL
        at_ += Size - 1;
    }
    void put(std::string_view text) noexcept { at_ = std::copy(text.begin(), text.end(), at_); }
    void put(std::uint64_t number) noexcept { at_ = std::to_chars(at_, at_ + longest_number, number).ptr; }
    /// Gives back the room that was not needed.
    void end() {
        const auto size = static_cast<std::size_t>(at_ - out_.data());
        assert(size <= out_.size());
        out_.resize(size);
    }

    static constexpr std::size_t longest_number = 20;

private:
    std::string& out_;
    const std::size_t first_;
    char* at_;
};

void put_status_line(writer& out, http::status status, std::string_view reason) {
    if (status == http::status::ok) return out.put("HTTP/1.1 200 OK\r\n");
    out.put("HTTP/1.1 ");
    out.put(static_cast<std::uint64_t>(status));
    out.put(" ");
    out.put(reason);
    out.put("\r\n");
}

/// Appendix C.2.2 of RFC 9112; what the clients that look for it make of it is in docs/operations.md.
void put_keep_alive(writer& out, std::chrono::milliseconds timeout) {
    out.put("\r\nConnection: keep-alive");
    if (timeout.count() <= 0) return;
    out.put("\r\nKeep-Alive: timeout=");
    out.put(static_cast<std::uint64_t>(timeout.count()) / 1'000);
}

/// RFC 9112 section 6.3.
body_coding coding_of(const response& response, const framing& framing) {
    const auto code = static_cast<unsigned>(response.status);
    if (code < 200 || code == 204 || code == 304) return body_coding::none;
    if (!response.streamed()) return body_coding::plain;
    if (response.length) return body_coding::length;
    return framing.version >= 11 ? body_coding::chunked : body_coding::until_close;
}

}  // namespace

body_coding append(const response& response, const framing& framing, std::string& out) {
    constexpr std::size_t names_and_numbers = 256;  // of the fields below, with room to spare
    const auto coding = coding_of(response, framing);
    const auto reason =
        response.status == http::status::ok ? boost::beast::string_view("OK") : http::obsolete_reason(response.status);
    const std::string_view body = framing.head || coding != body_coding::plain ? std::string_view() : response.body;
    writer to(out, names_and_numbers + reason.size() + framing.date.size() + response.content_type.size() +
                       framing.request_id.size() + response.fields().size() + body.size());
    put_status_line(to, response.status, {reason.data(), reason.size()});
    to.put("Date: ");
    to.put(framing.date);
    if (!response.content_type.empty() && coding != body_coding::none) {
        to.put("\r\nContent-Type: ");
        to.put(response.content_type);
    }
    if (coding == body_coding::plain || coding == body_coding::length) {
        to.put("\r\nContent-Length: ");
        to.put(response.streamed() ? *response.length : response.body.size());
    }
    if (coding == body_coding::chunked) to.put("\r\nTransfer-Encoding: chunked");
    if (!framing.request_id.empty()) {
        to.put("\r\nX-Request-Id: ");
        to.put(framing.request_id);
    }
    if (framing.close || (coding == body_coding::until_close && !framing.head))
        to.put("\r\nConnection: close");
    else if (framing.version < 11 || framing.keep_alive.count() > 0)
        put_keep_alive(to, framing.keep_alive);
    // Envoy's documentation, "Health checking", has it for every answer of a host, not only for those to checks.
    if (framing.envoy_hint) to.put("\r\nx-envoy-immediate-health-check-fail: true");
    to.put("\r\n");
    to.put(response.fields());
    to.put("\r\n");
    to.put(body);
    to.end();
    return framing.head ? body_coding::none : coding;
}

}  // namespace server
