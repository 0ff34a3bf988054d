// What is answered: handlers, and heads. The bodies are in machine_sending.cpp.

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "server/http2/fields.hpp"
#include "server/http2/health.hpp"
#include "server/http2/machine.hpp"

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
                       nghttp2_data_source* source, void*) noexcept {
    auto& answered = *static_cast<stream*>(source->ptr);
    return machine::read_body(answered, {into, size}, *flags);
}

}  // namespace

/// As http1_answering::begin_answer does.
void machine::start(stream& stream) {
    auto& current = stream.current;
    ++served_;
    if (limits_->max_requests > 0 && served_ == limits_->max_requests) departure_.begin(at_.now);
    stream.state = connection_state::handling;
    stream.since = at_.now;
    current.largest_piece = largest_piece();
    current.begin(stream.asked, stream.block.id(), stream.block.is_traced(), host_, trusts_peer_);
    const bool asks = current.find(stream.asked, stream.block.timeout(), host_, limits_->request_timeout, patience_,
                                   served_ <= 1, at_.now);
    stream.deadline = current.deadline;
    if (asks && current.incoming) begin_body(stream);
    if (asks && is_watch(current.to)) serve_without_end(current);
    if (asks && alive_ > limits_->http2_max_streams && settled_) {  // before that the client cannot know
        current.refuse(rule::http2_max_streams, current.refusal());
        current.show(host_.routes, stream.asked);
        return answer(stream);
    }
    asks ? ask(stream) : answer(stream);
}

/// By the server itself, before its time: what still comes of the request is not waited for.
void machine::refuse(stream& stream, rule by) {
    auto& current = stream.current;
    if (stream.answer.begun) return;
    ++served_;
    stream.refused = by;
    stream.state = connection_state::handling;
    stream.since = at_.now;
    current.begin(stream.asked, stream.block.id(), false, host_, trusts_peer_);
    current.to = nullptr;
    if (by == rule::content_encoding)
        current.refuse_coding();
    else
        current.refuse(by, by == rule::max_in_flight ? current.refusal() : problem(status_of(by)));
    current.show(host_.routes, stream.asked);
    answer(stream);
}

void machine::ask(stream& stream) {
    stream.asking = true;
    ++asked_;
    if (!by_.ask(asked::handler, stream)) return;
    stream.asking = false;
    --asked_;
    at_ = by_.now();
    log_failure(stream);
    by_.left(stream, at_);
    replied(stream);
}

/// Whose body has not come has not failed.
void machine::log_failure(stream& stream) {
    const auto& current = stream.current;
    if (current.thrown != nullptr && !current.is_excused()) by_.log_failure(stream, current.thrown);
}

void machine::returned(stream& stream) noexcept {
    at_ = by_.now();
    stream.asking = false;
    --asked_;
    try {
        if (stream.state == connection_state::streaming) {
            if (stream.current.thrown != nullptr) by_.log_failure(stream, stream.current.thrown);
            piece_came(stream);
        } else {
            log_failure(stream);
            by_.left(stream, at_);
            replied(stream);
        }
        if (stream.id == 0) release(stream);
    } catch (const std::exception&) {
        broken_ = true;
    }
    by_.proceed();
}

void machine::replied(stream& stream) {
    auto& current = stream.current;
    if (current.incoming) leave_body(stream);
    if (current.abandoned) {  // answered in its place: this one comes too late
        if (stream.outcome.straggled) by_.returned_late(stream);
        stream.state = connection_state::writing;
        stream.deadline = at_.now + limits_->write_timeout;
        return;
    }
    if (current.thrown != nullptr) {
        if (current.is_excused()) {
            current.excuse();
            current.refuse_if_late(at_.now);
        } else {
            current.thrown = nullptr;
            current.fail();
        }
        current.show(host_.routes, stream.asked);
    } else if (current.refuse_if_late(at_.now)) {
        current.show(host_.routes, stream.asked);
    }
    if (stream.id != 0) return answer(stream);
    by_.note(stream, row(stream));  // its client has gone
    by_.answered(stream, current.reply.status);
}

void machine::answer(stream& stream) {
    auto& reply = stream.current.reply;
    if (stream.connects() && reply.status == http::status::switching_protocols) {
        if (!at_.stopping) return open_tunnel(stream);
        stream.current.refuse(rule::drain, problem(http::status::service_unavailable));
        stream.current.show(host_.routes, stream.asked);
    }
    if (static_cast<unsigned>(reply.status) < 200)
        stream.current.fail();  // there is no Upgrade here: RFC 9113 section 8.6
    submit(stream, reply);
    by_.note(stream, row(stream));
    by_.answered(stream, reply.status);
}

/// The client's own doing is no fault of ours; see http1_answering::row.
answer_row machine::row(const stream& stream) const {
    const auto& current = stream.current;
    const auto in_its_place = stream.outcome.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    const auto status = current.abandoned ? in_its_place : current.reply.status;
    const bool gone = current.left && !current.abandoned;
    const bool hurried = status == http::status::gateway_timeout && current.hurried;
    answer_row made{.to = current.to,
                    .of = &stream.asked,
                    .status = status,
                    .digit = std::min<std::size_t>(5, static_cast<unsigned>(status) / 100),
                    .took = at_.now - stream.since,
                    .since = stream.since,
                    .letters = {at_.stopping ? 'D' : '-', '-'},
                    .refused_by = current.refused_by};
    if (hurried) made.digit = 4;
    if (gone) made.digit = 0;
    if (stream.outcome.forced)
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

void machine::submit(stream& stream, response& reply) {
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
void machine::submit_grpc_status(stream& stream, http::status status) {
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

}  // namespace server::http2
