#include "server/http2/sending.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <new>
#include <utility>

#include "server/forget.hpp"
#include "server/http2/fields.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;

namespace {

/// The status of a call that the server itself refuses: what clients repeat by policy is 14.
std::uint64_t grpc_status(http::status code) noexcept {
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

std::string_view text_of(std::uint64_t number, std::array<char, 20>& room) noexcept {
    return {room.data(), std::to_chars(room.begin(), room.end(), number).ptr};
}

std::ptrdiff_t read_of(nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t size, std::uint32_t* flags,
                       nghttp2_data_source* source, void* self) noexcept {
    auto& sends = static_cast<sending&>(*static_cast<state*>(self));
    return sends.give(*static_cast<stream*>(source->ptr), {into, size}, *flags);
}

}  // namespace

answer_row sending::row(const stream& stream) const {
    const auto& current = stream.current;
    const auto in_its_place = stream.outcome.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    const auto status = current.abandoned ? in_its_place : current.reply.status;
    const bool gone = current.left && !current.abandoned;
    answer_row made{.to = current.to,
                    .of = &stream.asked,
                    .status = status,
                    .took = at_.now - stream.since,
                    .since = stream.since,
                    .letters = {at_.stopping ? 'D' : '-', '-'},
                    .refused_by = current.refused_by};
    current.judge(made, stream.outcome.forced, gone);
    return made;
}

// ── heads ───────────────────────────────────────────────────────────────────────────────────────

void sending::submit(stream& stream, response& reply) {
    const auto code = static_cast<unsigned>(reply.status);
    const bool has_body = code != 204 && code != 304 && stream.asked.method != http::verb::head;
    stream.answer.begun = true;
    stream.answer.streams = reply.streamed() && has_body;
    if (stream.block.is_grpc() && stream.current.refused_by != rule::none)
        return submit_grpc_status(stream, reply.status);
    if (reply.status == http::status::service_unavailable && at_.stopping && !reply.has("Retry-After"))
        reply.set("Retry-After", "1");
    auto& fields = from_.fields;
    auto& names = from_.names;
    fields.clear();
    names.clear();
    names.reserve(reply.fields().size());
    std::array<char, 20> status, length;  // longer than any number
    add(fields, ":status", text_of(code, status));
    add(fields, "date", host_.date);
    if (!reply.content_type.empty() && code != 204 && code != 304) add(fields, "content-type", reply.content_type);
    const bool has_length = !stream.through && code != 204 && code != 304 && (!reply.streamed() || reply.length);
    if (has_length && !stream.block.is_grpc())
        add(fields, "content-length", text_of(reply.streamed() ? *reply.length : reply.body.size(), length));
    add_unique(fields, "x-request-id", stream.asked.id);
    if (at_.stopping && limits_->envoy_hint) add(fields, "x-envoy-immediate-health-check-fail", "true");
    add_lines(fields, names, reply.fields());

    stream.state = stream.answer.streams ? connection_state::streaming : connection_state::writing;
    stream.since = at_.now;
    stream.deadline = at_.now + limits_->write_timeout;
    stream.answer.at = 0;
    stream.answer.size = has_body ? reply.body.size() : 0;
    stream.answer.sent = stream.answer.moved = 0;
    if (stream.answer.streams && stream.current.was_told()) ++changes_.told;  // before it was a stream
    const bool has_data =
        stream.through || stream.answer.streams || stream.answer.size > 0 || (has_body && !reply.trailers().empty());
    nghttp2_data_provider from{.source = {.ptr = &stream}, .read_callback = read_of};
    framer_.answer(stream.id, fields, has_data ? &from : nullptr);
}

/// Trailers-Only: the one answer of a server in trouble that all clients of gRPC understand, and repeat by policy.
void sending::submit_grpc_status(stream& stream, http::status status) {
    stream.answer.streams = false;
    stream.state = connection_state::writing;
    stream.since = at_.now;
    stream.deadline = at_.now + limits_->write_timeout;
    std::array<char, 20> code;
    const auto by = to_string(stream.current.refused_by);
    auto& fields = from_.fields;
    fields.clear();
    add(fields, ":status", "200");
    add(fields, "content-type", "application/grpc");
    add(fields, "grpc-status", text_of(grpc_status(status), code));
    add(fields, "grpc-message", stream.current.refused_by == rule::drain ? "stopping" : by);
    add_unique(fields, "x-request-id", stream.asked.id);
    framer_.answer(stream.id, fields, nullptr);
}

// ── bodies ──────────────────────────────────────────────────────────────────────────────────────

std::ptrdiff_t sending::give(stream& stream, std::span<std::uint8_t> into, std::uint32_t& flags) noexcept {
    into = into.first(std::min(into.size(), longest_data));
    if (stream.through) return stream.through->give(into, flags);
    auto& answer = stream.answer;
    const auto& reply = stream.reply();
    const auto count = std::min(answer.size - answer.at, into.size());
    if (count > 0) std::memcpy(into.data(), reply.body.data() + answer.at, count);
    answer.at += count;
    answer.sent += count;
    answer.moved += count;
    const bool promised = answer.streams && reply.length && answer.sent >= *reply.length;
    if (answer.at < answer.size) return static_cast<std::ptrdiff_t>(count);
    if (!answer.streams || answer.source_ended || promised) {
        flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!reply.trailers().empty() && !give_trailers(stream, flags)) return NGHTTP2_ERR_CALLBACK_FAILURE;
        return static_cast<std::ptrdiff_t>(count);
    }
    if (!answer.piece_due && !stream.asking) {
        answer.piece_due = true;
        ++due_;
    }
    if (count == 0) return NGHTTP2_ERR_DEFERRED;
    return static_cast<std::ptrdiff_t>(count);
}

/// They end the stream in the place of the last byte. False: there is no memory for them.
bool sending::give_trailers(const stream& stream, std::uint32_t& flags) noexcept {
    flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const auto lines = stream.reply().trailers();
    auto& fields = from_.fields;
    auto& names = from_.names;
    fields.clear();
    names.clear();
    try {
        names.reserve(lines.size());
        add_lines(fields, names, lines);
    } catch (const std::bad_alloc&) {
        return false;
    }
    framer_.trail(stream.id, fields);
    return true;
}

void sending::ask_due() {
    for (auto next = all_.begin(); due_ > 0 && next != all_.end();) {
        auto& stream = *next++;
        if (!std::exchange(stream.answer.piece_due, false)) continue;
        --due_;
        if (stream.id != 0 && !stream.outcome.cut) ask_piece(stream);
    }
}

void sending::ask_piece(stream& stream) {
    auto& reply = stream.current.reply;
    if (stream.outcome.ended_by_us) return end_source(stream);
    stream.deadline = reply.texts ? clock::time_point::max() : at_.now + limits_->write_timeout;
    if (reply.texts) {
        forget(reply.body, 0);
    } else {
        const auto left = reply.length ? *reply.length - stream.answer.sent : response::window;
        reply.body.resize(std::min<std::uint64_t>(left, largest_piece()));
    }
    if (!has_answered(asked::piece, stream)) return;
    if (stream.current.thrown != nullptr) by_.log_failure(stream, stream.current.thrown);
    piece_came(stream);
}

/// A source that throws does not count as asked: otherwise its answer would be waited for in vain.
bool sending::has_answered(asked what, stream& of) {
    of.asking = true;
    ++asked_;
    const auto returns = [&] {
        of.asking = false;
        --asked_;
    };
    try {
        if (!by_.ask(what, of)) return false;
    } catch (...) {
        returns();
        throw;
    }
    returns();
    return true;
}

void sending::piece_came(stream& stream) {
    auto& current = stream.current;
    const bool failed = std::exchange(current.thrown, nullptr) != nullptr;
    if (stream.outcome.straggled) by_.returned_late(stream);
    if (stream.id == 0 || stream.outcome.cut) return;
    stream.deadline = at_.now + limits_->write_timeout;
    auto& answer = stream.answer;
    answer.moved = 0;
    answer.at = 0;
    answer.size = current.piece;
    const bool too_short = answer.size == 0 && current.reply.length && answer.sent < *current.reply.length;
    if (failed || too_short) {
        count(stream, request_end::finished);  // it has said all that it could
        return cut_stream(stream, false);
    }
    if (answer.size == 0 || stream.outcome.ended_by_us) return end_source(stream);
    framer_.resume(stream.id);
}

/// It is not asked any more; the client has yet to take what is left.
void sending::end_source(stream& stream) {
    stream.answer.source_ended = true;
    stream.since = at_.now;
    framer_.resume(stream.id);
}

// ── the end of a stream ─────────────────────────────────────────────────────────────────────────

/// What was cut must not look whole: any other code, and a bare end of the connection, is a clean end to some clients.
void sending::cut_stream(stream& stream, bool by_drain) {
    stream.outcome.forced = stream.outcome.forced || by_drain;
    forced_ = forced_ || by_drain;
    if (std::exchange(stream.outcome.cut, true)) {
        if (stream.asking && !std::exchange(stream.outcome.straggled, true)) by_.straggles(stream);
        return;
    }
    const auto& current = stream.current;
    if (stream.answer.streams && current.was_told() && !current.left) ++changes_.cut_stream;
    if (stream.asking || stream.answer.streams) stream.current.scope.cancel(cause::shutdown);
    fail_body(stream, rule::drain);
    // A client that takes nothing for this long is as good as gone; a source that stands still has failed.
    count(stream, by_drain ? request_end::cut : stream.asking ? request_end::finished : request_end::gone);
    reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void sending::release(stream& done) noexcept {
    assert(!done.asking);
    if (reading_ == &done) reading_ = nullptr;
    if (done.answer.piece_due) --due_;
    if (done.body.unread() > 0) drop_body(done);
    --alive_;
    from_.give_back(std::unique_ptr<stream>(&done));
}

}  // namespace server::http2
