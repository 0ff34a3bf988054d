#include "server/http2/answering.hpp"

#include <exception>
#include <memory>
#include <utility>

#include "server/http2/health.hpp"

namespace server::http2 {

/// As http1_answering::begin_answer does.
void answering::start(stream& stream) {
    auto& current = stream.current;
    ++served_;
    if (limits_->max_requests > 0 && served_ == limits_->max_requests) departure_.begin(at_.now);
    stream.state = connection_state::handling;
    stream.since = at_.now;
    current.largest_piece = largest_piece();
    current.begin(stream.asked, stream.block.id(), stream.block.is_traced(), host_, trusts_peer_);
    by_.introduce(stream);
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

/// RFC 8441 section 4. A request of another kind for such a route counts as none: the handler of a GET is not called.
void answering::connect(stream& stream) {
    const auto* const to = host_.routes.find(stream.asked);
    if (to != nullptr && !to->becomes) return refuse(stream, rule::method);
    start(stream);
}

/// By the server itself, before its time: what still comes of the request is not waited for.
void answering::refuse(stream& stream, rule by) {
    auto& current = stream.current;
    if (stream.answer.begun) return;
    ++served_;
    stream.refused = by;
    stream.state = connection_state::handling;
    stream.since = at_.now;
    current.begin(stream.asked, stream.block.id(), false, host_, trusts_peer_);
    by_.introduce(stream);
    // Clients of events give up at any status but 200, and here it is not for what they have sent.
    const bool by_us = by == rule::max_in_flight || by == rule::drain;
    current.to = by_us ? host_.routes.find(stream.asked) : nullptr;
    if (by == rule::content_encoding)
        current.refuse_coding();
    else
        current.refuse(by, by == rule::max_in_flight ? current.refusal() : current.instead(status_of(by)));
    current.show(host_.routes, stream.asked);
    answer(stream);
}

void answering::ask(stream& stream) {
    if (!has_answered(asked::handler, stream)) return;
    at_ = by_.now();
    log_failure(stream);
    by_.left(stream, at_);
    replied(stream);
}

/// A handler whose request's body has not come has not failed.
void answering::log_failure(stream& stream) {
    const auto& current = stream.current;
    if (current.thrown != nullptr && !current.is_excused()) by_.log_failure(stream, current.thrown);
}

void answering::returned(stream& stream) noexcept {
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

void answering::replied(stream& stream) {
    auto& current = stream.current;
    if (current.incoming) leave_body(stream);
    if (current.abandoned) {  // answered in its place: this one comes too late
        if (stream.outcome.straggled) by_.returned_late(stream);
        stream.state = connection_state::writing;
        stream.deadline = at_.now + limits_->write_timeout;
        return;
    }
    if (never_came(stream)) stream.outcome.forced = false;  // as in http1_answering
    current.settle(host_.routes, stream.asked, at_.now);
    if (stream.id != 0) return answer(stream);
    by_.note(stream, row(stream));  // its client has gone
    by_.answered(stream, current.reply.status);
}

void answering::answer(stream& stream) {
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

/// In the place of a handler that has not returned. What it still returns is dropped.
void answering::abandon(stream& stream) {
    auto& current = stream.current;
    const auto status = stream.outcome.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    current.abandoned = true;
    forced_ = forced_ || stream.outcome.forced;
    current.refused_by = stream.outcome.forced ? rule::drain : rule::request_timeout;
    if (stream.id != 0) {
        stream.answer.instead =
            std::make_unique<response>(exchange::shown(host_.routes, stream.asked, current.instead(status)));
        submit(stream, *stream.answer.instead);
        stream.state = connection_state::handling;  // as far as anybody else sees
    }
    by_.note(stream, row(stream));
    if (!std::exchange(stream.outcome.straggled, true)) by_.straggles(stream);
}

}  // namespace server::http2
