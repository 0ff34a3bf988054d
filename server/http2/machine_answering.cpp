// What is answered: handlers, and heads. The bodies are in machine_sending.cpp.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "server/http2/fields.hpp"
#include "server/http2/health.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;

namespace {

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
                       nghttp2_data_source* source, void*) noexcept {
    auto& one = *static_cast<stream*>(source->ptr);
    return machine::read_body(one, {into, size}, *flags);
}

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
    if (asks && current.incoming) begin_body(one);
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
    if (by == rule::content_encoding)
        current.refuse_coding();
    else
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
    log_failure(one);
    by_.left(one, at_);
    replied(one);
}

/// Whose body has not come has not failed.
void machine::log_failure(stream& one) {
    const auto& current = one.current;
    if (current.thrown != nullptr && !current.is_excused()) by_.log_failure(one, current.thrown);
}

void machine::returned(stream& one) noexcept {
    at_ = by_.now();
    one.asking = false;
    --asked_;
    try {
        if (one.state == connection_state::streaming) {
            if (one.current.thrown != nullptr) by_.log_failure(one, one.current.thrown);
            piece_came(one);
        } else {
            log_failure(one);
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
    if (current.incoming) leave_body(one);
    if (current.abandoned) {  // answered in its place: this one comes too late
        if (one.straggled) by_.returned_late(one);
        one.state = connection_state::writing;
        one.deadline = at_.now + limits_->write_timeout;
        return;
    }
    if (current.thrown != nullptr && current.is_excused()) current.excuse();
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
    if (one.connects() && reply.status == http::status::switching_protocols) {
        if (!at_.stopping) return open_tunnel(one);
        one.current.refuse(rule::drain, problem(http::status::service_unavailable));
    }
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
    const bool has_length = !one.through && code != 204 && code != 304 && (!reply.streamed() || reply.length);
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
    const bool has_data = one.through || one.streams || one.size > 0 || (has_body && !reply.trailers().empty());
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

}  // namespace server::http2
