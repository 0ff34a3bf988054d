#include "server/http1/answering.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "server/event_stream.hpp"

namespace server {

using lifecycle::cause;
using lifecycle::clock;

namespace {

constexpr std::string_view only_tls = "This port speaks TLS: ask for https, not http.\n";

/// Of what came instead of a request there is only who has sent it.
request unread(const request& from) {
    request made;
    made.peer = from.peer;
    made.named_client = from.named_client;
    made.scheme = from.scheme;
    made.client_subject = from.client_subject;
    return made;
}

}  // namespace

void http1_answering::begin_request(const moment& at) {
    auto& parser = work_->parser;
    work_->current.begin(parser.request(), parser.request_id(), parser.has_traceparent(), host_, flags_.trusts_peer);
    flags_.worked_during_stop = flags_.worked_during_stop || at.stopping;
    flags_.continued = flags_.late = flags_.looked = flags_.stuck = false;
    ++served_;
}

auto http1_answering::begin_answer(const moment& at) -> step {
    begin_request(at);
    auto& current = work_->current;
    const bool asks = current.find(request(), work_->parser.request_timeout(), host_, limits().request_timeout,
                                   patience_, served_ <= 1, at.now);
    enter(state::handling, current.deadline, at);
    if (current.incoming && asks) [[unlikely]]
        begin_body(at);
    if (asks) {
        go(phase::handle);
        return step::call;
    }
    if (std::exchange(flags_.streams, false)) end_unread();
    return answer(at);
}

/// The client may still be sending what will not be read.
void http1_answering::end_unread() noexcept {
    work_->current.reply.close = true;
    flags_.unread = flags_.linger = flags_.sends_on = true;
}

/// What comes next may wait, and earlier answers are not to wait with it.
auto http1_answering::handle(const moment& at) -> std::optional<step> {
    if (!flags_.stuck && !flags_.broken && !work_->out.empty()) return step::write;
    if (flags_.late && flags_.receives) {  // the last look has not helped
        fail_body(rule::body_timeout, at);
        return std::nullopt;
    }
    waits_ = flags_.receives ? waiting::bytes : waiting::handler;
    return std::nullopt;
}

void http1_answering::replied(const moment& at) {
    assert(phase_ == phase::handle);
    auto& current = work_->current;
    waits_ = waiting::nothing;
    if (current.abandoned) return go(phase::say_goodbye);  // answered in its place: this one comes too late
    current.settle(host_.routes, request(), at.now);
    if (current.incoming && leave_body()) [[unlikely]] {
        // As of a body that is gathered: a client that has sent a head alone has begun nothing that the end of the
        // drain could cut short.
        if (current.incoming->never_came()) flags_.forced = false;
        end_unread();
    }
    go(phase::answer);
}

/// Straight to the socket, after what is already due; the handler's own answer will be dropped. The buffer stays pinned
/// until it has returned.
void http1_answering::abandon(const moment& at) {
    assert(phase_ == phase::handle && !abandoned());
    auto reply = exchange::shown(
        host_.routes, request(),
        work_->current.instead(flags_.forced ? http::status::service_unavailable : http::status::gateway_timeout));
    say_when_to_return(reply, at);
    append(reply, framing_of(request(), true, at), work_->out);
    work_->current.abandoned = true;
    work_->current.refused_by = flags_.forced ? rule::drain : rule::request_timeout;
    ask(step::note);
    flags_.ending = true;
    end_ = {flags_.forced ? 'K' : 'T', 'H'};
    count_answer();
    if (!std::exchange(flags_.straggled, true)) ask(step::straggled);
    waits_ = waiting::nothing;
    go(phase::abandon);
}

// ── the answer ──────────────────────────────────────────────────────────────────────────────────

/// An answer that the end of the drain has brought about is not what the request was after.
void http1_answering::count_answer() noexcept {
    if (!std::exchange(flags_.counted, false)) ++changes_.began;  // what was refused was not even the start of one
    if (flags_.forced)
        ++changes_.cut;
    else
        ++unflushed_;
}

/// Over TLS each answer that says it makes the client shake hands once more, so a client that came after the stop began
/// hears it only when the time to serve is nearly over.
bool http1_answering::says_close(const moment& at) const noexcept {
    return at.stopping && (at.parting || !flags_.shook_hands || !flags_.newcomer);
}

/// What is after the request decides whether its answer is the last one, and has not been looked at yet.
bool http1_answering::wants_look(const moment& at) const noexcept {
    const auto& current = work_->current;
    if (flags_.looked || more_behind() || !work_->parser.keep_alive() || current.reply.close || current.told)
        return false;
    const auto most = limits().max_requests;
    return most > 0 && served_ >= most ? served_ == most : says_close(at);
}

/// While the service stops the connection ends with the last response of what has been received: what is pipelined
/// after a `Connection: close` would be dropped.
bool http1_answering::closes_after(const response& reply, const moment& at) {
    if (!work_->parser.keep_alive() || reply.close || work_->current.told) return true;
    if (patience_.without != rule::none) return true;
    const auto most = limits().max_requests;
    if (most > 0 && served_ >= most) return !still_due(served_ == most);
    return says_close(at) && !more_behind();
}

/// The limit of requests is reached: what has come by then is answered, and nothing that comes later, or a client
/// that keeps its pipeline full would never be after its last request.
bool http1_answering::still_due(bool first) {
    if (first && more_behind()) due_ = work_->buffered();
    due_ -= std::min(due_, work_->parser.consumed());
    return due_ > 0;
}

framing http1_answering::framing_of(const server::request& to, bool close, const moment& at) const {
    return {.version = to.version,
            .head = to.method == http::verb::head,
            .close = close,
            .date = host_.date,
            .request_id = to.id,
            .keep_alive = limits().keep_alive_hint,
            .envoy_hint = at.stopping && limits().envoy_hint};
}

/// A client that a stop refuses comes back, here or to another replica: a second later, and never at once.
void http1_answering::say_when_to_return(response& reply, const moment& at) {
    if (reply.status != http::status::service_unavailable || !at.stopping) return;
    if (!reply.has("Retry-After")) reply.set("Retry-After", "1");
}

/// What it says now is the last thing that it says in HTTP/1.1.
bool http1_answering::becomes_another() const noexcept {
    const auto& current = work_->current;
    return current.reply.status == http::status::switching_protocols && current.to != nullptr && current.to->becomes;
}

/// RFC 9110 section 7.8. The request is not over with its answer: that is for what takes over after this.
auto http1_answering::change_over(const moment& at) -> step {
    append(work_->current.reply, framing_of(request(), false, at), work_->out);
    if (!std::exchange(flags_.counted, true)) ++changes_.began;
    ask(step::over);  // after the note
    flush_then(phase::hand_over);
    return step::note;
}

/// In line, with all that it calls here: each of it is a look at a flag or two.
[[gnu::flatten]] auto http1_answering::answer(const moment& at) -> step {
    if (becomes_another()) [[unlikely]] {
        if (!at.stopping) return change_over(at);
        // What begins now would end at once, and its client come back within milliseconds: to us, as long as we listen.
        work_->current.refuse(rule::drain, problem(http::status::service_unavailable));
        work_->current.show(host_.routes, request());
        work_->current.reply.close = true;
    }
    if (wants_look(at)) {
        go(phase::answer);
        flags_.looked = true;
        return step::look;
    }
    append_answer(at);
    if (work_->current.reply.streamed() && work_->coding != body_coding::none) {
        go(phase::begin_stream);
    } else if (looks_behind()) {
        go(phase::finish);
    } else {
        ask(step::over);  // after the note
        go(phase::go_on);
    }
    return step::note;
}

void http1_answering::append_answer(const moment& at) {
    auto& reply = work_->current.reply;
    say_when_to_return(reply, at);
    const auto how = framing_of(request(), closes_after(reply, at), at);
    work_->coding = append(reply, how, work_->out);
    work_->last = how.close || work_->coding == body_coding::until_close;
    count_answer();
}

/// Where the server has answered in a handler's place, what the handler then replies does not count.
answer_row http1_answering::row(const moment& at) const {
    const auto& current = work_->current;
    const auto in_its_place = flags_.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    const auto status = current.abandoned ? in_its_place : current.reply.status;
    const bool gone = current.left && current.scope.get().why() == cause::client_gone;
    answer_row made{.to = current.to,
                    .of = &request(),
                    .status = status,
                    .took = at.now - since_,
                    .since = since_,
                    .letters = {at.stopping ? 'D' : '-', '-'},
                    .refused_by = current.refused_by};
    if (current.abandoned || request().method == http::verb::head)
        made.bytes = 0;
    else
        made.bytes = current.reply.streamed() ? current.reply.length : current.reply.body.size();
    current.judge(made, flags_.forced, gone);
    return made;
}

answer_row http1_answering::refusal(const moment& at) const {
    const bool known = work_->parser.knows_line();  // of its bytes only a method and a target that are sound are shown
    return {.of = known ? &request() : nullptr,
            .status = work_->current.reply.status,
            .took = at.now - since_,
            .since = since_,
            .letters = end_,
            .refused_by = work_->current.refused_by};
}

/// How it ends depends on whether its client, which has said close, has sent something after it all the same.
bool http1_answering::looks_behind() const noexcept {
    return work_->last && !flags_.looked && !work_->parser.keep_alive() && !more_behind();
}

/// The answer is on its way, and the next request may be looked at.
auto http1_answering::finish() -> step {
    if (looks_behind()) {
        flags_.looked = true;
        return step::look;
    }
    go(phase::go_on);
    return step::over;
}

ending_letters http1_answering::letters_of_last(const moment& at) const noexcept {
    if (flags_.forced) return {'K', 'H'};
    if (work_->current.refused_by == rule::body_timeout) return {'T', 'R'};
    return {at.stopping ? 'D' : '-', '-'};
}

void http1_answering::end_request(const moment& at) {
    if (work_->last) {
        flags_.ending = true;
        // RFC 9112 section 9.6: a client that has said close sends nothing more, and then a close(2) resets nothing.
        flags_.linger = work_->parser.keep_alive() || more_behind() || flags_.unread;
        if (!flags_.broken) end_ = letters_of_last(at);  // else it is known why
    }
    work_->current.to = nullptr;
    work_->next_request();
    if (flags_.ending || flags_.broken) return go(phase::say_goodbye);
    // Some requests find no place: before this connection takes its next one, the others get their turn.
    if (host_.places.crowded() && work_->buffered() > 0) return flush_then(phase::step_back);
    if (work_->buffered() == 0) return flush_then(phase::read);
    if (work_->out.size() > workspace::usual_output) return flush_then(phase::parse);
    go(phase::parse);
}

/// The first turn is for what the loop has to do, the second for what the kernel has brought meanwhile.
void http1_answering::turn_came() noexcept {
    if (waits_ == waiting::turn) waits_ = waiting::nothing;
}

/// Its body is more than others may send; the route takes it as it arrives.
bool http1_answering::may_stream() {
    if (work_->parser.refused_by() != rule::max_body_bytes || !work_->parser.head_done() || flags_.continued)
        return false;
    const auto* const to = host_.routes.find(request());
    return to != nullptr && to->streams_body && work_->parser.length().value_or(0) <= to->most_body;
}

/// A body that has not come yet and an answer that is known already: the client is not made to send it.
/// Also where 100 Continue is said, after the decision to read.
bool http1_answering::refuse_early(const moment& at) {
    if (!work_ || !work_->parser.head_done() || flags_.continued) return false;
    flags_.continued = true;
    auto& request = this->request();
    auto& current = work_->current;
    const auto* const to = host_.routes.find(request);
    const bool expects = work_->parser.expects_continue();
    // Not whole and not chunked, so a body is due; a chunked one may turn out to be empty.
    const bool encoded =
        to != nullptr && exchange::comes_encoded(
                             *to, request, to->streams_body || request.header(http::field::transfer_encoding).empty());
    const bool excess = patience_.refuses(to != nullptr && to->exempt);
    const bool overloaded =
        !excess && !encoded && to != nullptr && !to->exempt && !host_.places.has_place(patience_, served_ <= 1, at.now);
    const bool large = to != nullptr && to->streams_body && work_->parser.length().value_or(0) > to->most_body;
    if (!excess && !overloaded && !encoded && !large && (!expects || to != nullptr)) {
        flags_.streams = to != nullptr && to->streams_body;
        if (flags_.streams) return false;
        // A client that has sent the head alone holds the body back until that is acknowledged (Nagle, RFC 1122 section
        // 4.2.3.4), and the kernel waits 40 ms for an answer that the acknowledgement could go with.
        if (expects)
            work_->out += "HTTP/1.1 100 Continue\r\n\r\n";
        else
            ask(step::acknowledge);
        return false;
    }
    begin_request(at);
    current.to = to;
    request.route = to != nullptr ? std::string_view(to->name) : std::string_view();
    flags_.streams = false;
    since_ = at.now;
    if (excess)
        current.refuse(patience_.without, current.refusal());
    else if (encoded)
        current.refuse_coding();
    else if (large)
        current.refuse(rule::max_body_bytes, problem(status_of(rule::max_body_bytes)));
    else if (overloaded)
        current.refuse(rule::max_in_flight, current.refusal());
    if (excess || encoded || large || overloaded)
        current.show(host_.routes, request);
    else
        current.fall_back(host_.routes, request);
    current.reply.close = true;
    append_answer(at);
    flags_.ending = flags_.linger = flags_.sends_on = true;
    go(phase::say_goodbye);
    return true;
}

/// One answer to what is not a request, and the end: where the next message begins is not known.
void http1_answering::refuse(rule by, ending_letters end, const moment& at) {
    if (served_ == 0 && !work_->parser.head_done()) {
        const auto other = looks_like({work_->data(), work_->buffered()});
        by = other != rule::none ? other : by;
    }
    const bool late = end.who != 'P';
    auto& current = work_->current;
    auto& asked = request();
    // Clients of events give up at any status but 200, and here it is not for what they have sent.
    const auto* const to = by == rule::drain && work_->parser.head_done() ? host_.routes.find(asked) : nullptr;
    current.refuse(by, by == rule::clear_text        ? response(status_of(by), std::string(only_tls))
                       : to != nullptr && to->events ? empty_event_stream()
                                                     : problem(late ? http::status::request_timeout : status_of(by)));
    asked.route = {};
    asked.named_client = current.caller;  // not the one of the request before
    asked.scheme = current.scheme;
    if (work_->parser.head_done())
        current.show(host_.routes, asked);
    else
        current.show(host_.routes, unread(asked));
    append(current.reply, framing_of({}, true, at), work_->out);
    end_ = end;
    count_answer();
    ask(step::note_refusal);
    flags_.ending = flags_.linger = flags_.sends_on = true;
}

}  // namespace server
