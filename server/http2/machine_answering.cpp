// What is answered: handlers, heads and bodies.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "server/http2/health.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;

namespace {

constexpr std::size_t smallest_piece = 8 * 1024;

std::uint8_t* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2 copies it
}

void add(std::vector<nghttp2_nv>& to, std::string_view name, std::string_view value) {
    to.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
}

/// RFC 9113 section 8.2.2: what belongs to one connection of HTTP/1.1, and what is sent by the server itself.
bool is_not_sent(std::string_view name) noexcept {
    constexpr std::array<std::string_view, 6> some{"connection",        "keep-alive", "proxy-connection",
                                                   "transfer-encoding", "upgrade",    "content-length"};
    return std::ranges::find(some, name) != some.end();
}

/// Lines of "Name: value", with names in small letters, into `names`, which does not grow.
void add_lines(std::vector<nghttp2_nv>& to, std::string& names, std::string_view lines) {
    while (!lines.empty()) {
        const auto line = lines.substr(0, lines.find('\r'));
        lines.remove_prefix(line.size() + 2);
        const auto colon = line.find(':');
        const auto from = names.size();
        for (const char byte : line.substr(0, colon))
            names += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
        const auto name = std::string_view(names).substr(from);
        if (!is_not_sent(name)) add(to, name, line.substr(colon + 2));
    }
}

/// The status of a call that the server itself refuses: what clients repeat by policy is 14.
int grpc_status(http::status code) noexcept {
    switch (code) {
        case http::status::not_found:
        case http::status::method_not_allowed:
        case http::status::not_implemented: return 12;
        case http::status::gateway_timeout: return 4;
        case http::status::payload_too_large:
        case http::status::request_header_fields_too_large: return 8;
        case http::status::service_unavailable: return 14;
        default: return 13;
    }
}

std::ptrdiff_t read_of(nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t size, std::uint32_t* flags,
                       nghttp2_data_source* source, void*) noexcept;

}  // namespace

/// As http1_answering::begin_answer does.
void machine::start(stream& one) {
    auto& current = one.current;
    ++served_;
    if (limits_->max_requests > 0 && served_ == limits_->max_requests) leaves_since_ = at_.now;
    one.state = connection_state::handling;
    one.since = at_.now;
    current.largest_piece = largest_piece();
    current.begin(one.asked, one.its_id(), one.traced(), host_, trusts_peer_);
    const bool asks =
        current.find(one.asked, one.its_timeout(), host_, limits_->request_timeout, patience_, served_ <= 1, at_.now);
    one.deadline = current.deadline;
    if (asks && is_watch(current.to)) serve_without_end(current);
    if (asks && alive_ > limits_->http2_max_streams && settled_) {  // before that the client cannot know
        current.refuse(rule::http2_max_streams, current.refusal());
        return answer(one);
    }
    asks ? ask(one) : answer(one);
}

/// By the server itself, before its time: what still comes of the request is not waited for.
void machine::refuse(stream& one, rule by) {
    auto& current = one.current;
    if (one.answered) return;
    ++served_;
    one.refused = by;
    one.state = connection_state::handling;
    one.since = at_.now;
    current.begin(one.asked, one.its_id(), false, host_, trusts_peer_);
    current.to = nullptr;
    current.refuse(by, by == rule::max_in_flight ? current.refusal() : problem(status_of(by)));
    answer(one);
}

void machine::ask(stream& one) {
    one.asking = true;
    ++asked_;
    if (!by_.ask(asked::handler, one)) return;
    one.asking = false;
    --asked_;
    at_ = by_.now();
    if (one.current.thrown != nullptr) by_.log_failure(one, one.current.thrown);
    by_.left(one, at_);
    replied(one);
}

void machine::returned(stream& one) noexcept {
    at_ = by_.now();
    one.asking = false;
    --asked_;
    try {
        if (one.current.thrown != nullptr) by_.log_failure(one, one.current.thrown);
        if (one.state == connection_state::streaming) {
            piece_came(one);
        } else {
            by_.left(one, at_);
            replied(one);
        }
        if (one.id == 0) release(one);
    } catch (const std::exception&) {
        broken_ = true;
    }
    by_.proceed();
}

void machine::replied(stream& one) {
    auto& current = one.current;
    if (current.abandoned) {  // answered in its place: this one comes too late
        if (one.straggled) by_.returned_late(one);
        one.state = connection_state::writing;
        one.deadline = at_.now + limits_->write_timeout;
        return;
    }
    if (current.thrown == nullptr) {
        current.refuse_if_late(at_.now);
    } else {
        current.thrown = nullptr;
        current.fail();
    }
    if (one.id != 0) return answer(one);
    by_.note(one, row(one));  // its client has gone
    by_.answered(one, current.reply.status);
}

void machine::answer(stream& one) {
    auto& reply = one.current.reply;
    if (static_cast<unsigned>(reply.status) < 200)
        one.current.fail();  // there is no Upgrade here: RFC 9113 section 8.6
    submit(one, reply);
    by_.note(one, row(one));
    by_.answered(one, reply.status);
}

/// The client's own doing is no fault of ours; see http1_answering::row.
answer_row machine::row(const stream& one) const {
    const auto& current = one.current;
    const auto in_its_place = one.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    const auto status = current.abandoned ? in_its_place : current.reply.status;
    const bool gone = current.left && !current.abandoned;
    const bool hurried = status == http::status::gateway_timeout && current.hurried;
    answer_row made{.to = current.to,
                    .of = &one.asked,
                    .status = status,
                    .digit = std::min<std::size_t>(5, static_cast<unsigned>(status) / 100),
                    .took = at_.now - one.since,
                    .since = one.since,
                    .letters = {at_.stopping ? 'D' : '-', '-'},
                    .refused_by = current.refused_by};
    if (hurried) made.digit = 4;
    if (gone) made.digit = 0;
    if (one.forced)
        made.letters = {'K', 'H'};
    else if (gone || hurried)
        made.letters = {'C', 'H'};
    else if (status == http::status::gateway_timeout)
        made.letters = {'T', 'H'};
    else if (status == http::status::internal_server_error)
        made.letters = {'S', 'H'};
    else if (status == http::status::service_unavailable)
        made.letters = {'R', 'R'};
    return made;
}

// ── heads and bodies ────────────────────────────────────────────────────────────────────────────

void machine::submit(stream& one, response& reply) {
    const auto code = static_cast<unsigned>(reply.status);
    const bool has_body = code != 204 && code != 304 && one.asked.method != http::verb::head;
    one.answered = true;
    one.streams = reply.streamed() && has_body;
    if (one.is_grpc() && one.current.refused_by != rule::none) return submit_grpc_status(one, reply.status);
    if (reply.status == http::status::service_unavailable && at_.stopping && !reply.has("Retry-After"))
        reply.set("Retry-After", "1");
    auto& fields = from_.fields;
    auto& names = from_.names;
    fields.clear();
    names.clear();
    names.reserve(reply.fields().size());
    std::array<char, 4> status;
    std::array<char, 20> length;
    fmt::format_to_n(status.data(), status.size(), "{:03}", code);
    add(fields, ":status", {status.data(), 3});
    add(fields, "date", host_.date);
    if (!reply.content_type.empty() && code != 204 && code != 304) add(fields, "content-type", reply.content_type);
    const bool has_length = code != 204 && code != 304 && (!reply.streamed() || reply.length);
    if (has_length && !one.is_grpc()) {
        const auto end = fmt::format_to(length.data(), "{}", reply.streamed() ? *reply.length : reply.body.size());
        add(fields, "content-length", {length.data(), static_cast<std::size_t>(end - length.data())});
    }
    add(fields, "x-request-id", one.asked.id);
    if (at_.stopping && limits_->envoy_hint) add(fields, "x-envoy-immediate-health-check-fail", "true");
    add_lines(fields, names, reply.fields());

    one.state = one.streams ? connection_state::streaming : connection_state::writing;
    one.since = at_.now;
    one.deadline = at_.now + limits_->write_timeout;
    one.at = 0;
    one.size = has_body ? reply.body.size() : 0;
    one.sent = one.moved = 0;
    if (one.streams && one.current.was_told()) ++changes_.told;  // before it was a stream
    const bool has_data = one.streams || one.size > 0 || (has_body && !reply.trailers().empty());
    nghttp2_data_provider from{.source = {.ptr = &one}, .read_callback = read_of};
    const int result =
        nghttp2_submit_response(protocol_.get(), one.id, fields.data(), fields.size(), has_data ? &from : nullptr);
    check(result);
}

/// Trailers-Only: the one answer of a server in trouble that all clients of gRPC understand, and repeat by policy.
void machine::submit_grpc_status(stream& one, http::status status) {
    one.streams = false;
    one.state = connection_state::writing;
    one.since = at_.now;
    one.deadline = at_.now + limits_->write_timeout;
    std::array<char, 4> code;
    const auto end = fmt::format_to(code.data(), "{}", grpc_status(status));
    const auto by = to_string(one.current.refused_by);
    auto& fields = from_.fields;
    fields.clear();
    add(fields, ":status", "200");
    add(fields, "content-type", "application/grpc");
    add(fields, "grpc-status", {code.data(), static_cast<std::size_t>(end - code.data())});
    add(fields, "grpc-message", one.current.refused_by == rule::drain ? "stopping" : by);
    add(fields, "x-request-id", one.asked.id);
    check(nghttp2_submit_response(protocol_.get(), one.id, fields.data(), fields.size(), nullptr));
}

namespace {

std::ptrdiff_t read_of(nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t size, std::uint32_t* flags,
                       nghttp2_data_source* source, void*) noexcept {
    auto& one = *static_cast<stream*>(source->ptr);
    return machine::read_body(one, {into, size}, *flags);
}

}  // namespace

/// nghttp2 takes some of a body, as the windows allow.
std::ptrdiff_t machine::read_body(stream& one, std::span<std::uint8_t> into, std::uint32_t& flags) noexcept {
    auto& self = static_cast<machine&>(*one.of);
    const auto& reply = one.instead ? *one.instead : one.current.reply;
    const auto count = std::min(one.size - one.at, into.size());
    if (count > 0) std::memcpy(into.data(), reply.body.data() + one.at, count);
    one.at += count;
    one.sent += count;
    one.moved += count;
    const bool promised = one.streams && reply.length && one.sent >= *reply.length;
    if (one.at < one.size) return static_cast<std::ptrdiff_t>(count);
    if (!one.streams || one.source_ended || promised) {
        flags |= NGHTTP2_DATA_FLAG_EOF;
        if (reply.trailers().empty()) return static_cast<std::ptrdiff_t>(count);
        flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        try {
            auto& fields = self.from_.fields;
            auto& names = self.from_.names;
            fields.clear();
            names.clear();
            names.reserve(reply.trailers().size());
            add_lines(fields, names, reply.trailers());
            nghttp2_submit_trailer(self.protocol_.get(), one.id, fields.data(), fields.size());
        } catch (const std::bad_alloc&) {
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        return static_cast<std::ptrdiff_t>(count);
    }
    if (!one.piece_due && !one.asking) {
        one.piece_due = true;
        ++self.due_;
    }
    if (count == 0) return NGHTTP2_ERR_DEFERRED;
    return static_cast<std::ptrdiff_t>(count);
}

void machine::frame_sent(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR) {  // of nghttp2's own
        ending_ = {'P', 'R'};
        goodbye_.skip();
        lost(at_);
        broken_ = false;
        return;
    }
    const bool ends = (frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) &&
                      (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!ends) return;
    auto* const one = of_id(frame.hd.stream_id);
    if (one == nullptr) return;
    one->done = true;
    const auto& current = one->current;
    if (one->streams && current.was_told() && !current.left)
        ++(one->ended_by_us ? changes_.ended_by_us : changes_.ended);
    count(*one, one->forced ? request_end::cut : request_end::finished);
    // RFC 9113 section 8.1: what still comes of the request is of no interest.
    if (!one->whole) reset(*one, NGHTTP2_NO_ERROR);
}

// ── the pieces of a stream ──────────────────────────────────────────────────────────────────────

/// So many streams that nobody reads hold no more than a few that somebody does.
std::size_t machine::largest_piece() const noexcept {
    return std::clamp(response::window / std::max<std::size_t>(1, alive_), smallest_piece, response::window);
}

void machine::ask_due() {
    for (auto next = all_.begin(); due_ > 0 && next != all_.end();) {
        auto& one = *next++;
        if (!std::exchange(one.piece_due, false)) continue;
        --due_;
        if (one.id != 0 && !one.cut) ask_piece(one);
    }
}

void machine::ask_piece(stream& one) {
    auto& reply = one.current.reply;
    if (one.ended_by_us) {
        one.source_ended = true;
        nghttp2_session_resume_data(protocol_.get(), one.id);
        return;
    }
    one.deadline = reply.texts ? clock::time_point::max() : at_.now + limits_->write_timeout;
    if (reply.texts) {
        reply.body = std::string();
    } else {
        const auto left = reply.length ? *reply.length - one.sent : response::window;
        reply.body.resize(std::min<std::uint64_t>(left, largest_piece()));
    }
    one.asking = true;
    ++asked_;
    if (!by_.ask(asked::piece, one)) return;
    one.asking = false;
    --asked_;
    if (one.current.thrown != nullptr) by_.log_failure(one, one.current.thrown);
    piece_came(one);
}

void machine::piece_came(stream& one) {
    auto& current = one.current;
    const bool failed = std::exchange(current.thrown, nullptr) != nullptr;
    if (one.straggled) by_.returned_late(one);
    if (one.id == 0 || one.cut) return;
    one.deadline = at_.now + limits_->write_timeout;
    one.moved = 0;
    one.at = 0;
    one.size = current.piece;
    const bool too_short = one.size == 0 && current.reply.length && one.sent < *current.reply.length;
    if (failed || too_short) {
        count(one, request_end::finished);  // it has said all that it could
        return cut(one, false);
    }
    one.source_ended = one.size == 0 || one.ended_by_us;
    nghttp2_session_resume_data(protocol_.get(), one.id);
}

// ── the end of a stream ─────────────────────────────────────────────────────────────────────────

void machine::reset(stream& one, std::uint32_t code) {
    if (one.id != 0) check(nghttp2_submit_rst_stream(protocol_.get(), NGHTTP2_FLAG_NONE, one.id, code));
}

void machine::count(stream& one, request_end how) {
    if (std::exchange(one.counted, true)) return;
    switch (how) {
        case request_end::finished: ++unflushed_; break;
        case request_end::cut: ++changes_.cut; break;
        case request_end::gone: ++changes_.gone; break;
    }
}

void machine::release(stream& one) noexcept {
    assert(!one.asking);
    if (reading_ == &one) reading_ = nullptr;
    if (one.piece_due) --due_;
    --alive_;
    from_.give_back(std::unique_ptr<stream>(&one));
}

// ── bytes out ───────────────────────────────────────────────────────────────────────────────────

void machine::fill(std::string& out, std::size_t enough, const moment& at) {
    at_ = at;
    for (;;) {
        if (dead_) {
            out += last_words_;
            last_words_.clear();
            return;
        }
        while (out.size() < enough) {
            const std::uint8_t* bytes = nullptr;
            const auto count = nghttp2_session_mem_send(protocol_.get(), &bytes);
            // A client that hears the notice with the answer that it waited for has nothing under way to lose: some
            // (JDK 17) drop what they have sent when it comes.
            if (count == 0 && say_goodbye()) continue;
            if (count == 0) break;
            if (count < 0) throw std::bad_alloc();
            const auto from = out.size();
            out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
            if (!said_settings_) announce_streams(out, from);
            if (dead_) break;
        }
        if (due_ == 0 || out.size() >= enough || dead_) {
            if (dead_ && !last_words_.empty()) continue;
            return;
        }
        ask_due();
    }
}

/// nghttp2 refuses what is more than it has announced, also before the client can know of that, and by a reset which
/// many clients do not repeat. So it is told of any number, the client of the true one, and the excess is answered.
void machine::announce_streams(std::string& out, std::size_t from) {
    constexpr std::size_t head = 9, entry = 6;
    if (out[from + 3] != NGHTTP2_SETTINGS || (out[from + 4] & NGHTTP2_FLAG_ACK) != 0) return;
    said_settings_ = true;
    const auto most = static_cast<std::uint32_t>(limits_->http2_max_streams);
    for (auto at = from + head; at + entry <= out.size(); at += entry)
        if (out[at + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            for (std::size_t nth = 0; nth < 4; ++nth)
                out[at + 2 + nth] = static_cast<char>(most >> (24 - 8 * nth) & 0xff);
}

void machine::flushed() noexcept { changes_.finished += std::exchange(unflushed_, 0); }

bool machine::wants_to_write() const noexcept {
    return !last_words_.empty() || (!dead_ && nghttp2_session_want_write(protocol_.get()) != 0);
}

}  // namespace server::http2
