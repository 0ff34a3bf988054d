#include "server/http1/reading.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace server {

using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t least_in_a_stop = 1024;  // bytes in each such time: less is no upload that anybody waits for
constexpr milliseconds look_at_rate{1'000};

}  // namespace

auto http1_reading::parse(const moment& at) -> std::optional<step> {
    using progress = request_parser::progress;
    // The connection is ending: what is left in the buffer does not become a request.
    if (flags_.ending || flags_.broken) {
        go(phase::say_goodbye);
        return std::nullopt;
    }
    auto found = progress::need_more;
    if (work_ && work_->buffered() > 0) {
        auto& parser = work_->parser;
        // A reload applies from the next request on: one that has begun keeps the limits that it began with.
        if (!parser.begun()) work_->go_by(host_.limits);
        found = parser.next(work_->data(), work_->buffered());
        // A request counts from its first byte (docs/shutdown.md); empty lines before it are no byte of it.
        if (!flags_.counted && parser.begun()) {
            flags_.counted = true;
            ++changes_.began;
        }
    }
    switch (found) {
        case progress::complete: return begin_answer(at);
        case progress::refused:
            // Refused for its size alone, which the route may allow: it says so once the head is known.
            if (may_stream()) break;
            // Looked at only after a refusal, so that HTTP/1.1 pays nothing for it; and only as the first thing on a
            // connection, where the preface must be.
            if (host_.http2 && served_ == 0 && looks_like({work_->data(), work_->buffered()}) == rule::http2) {
                work_->current.to =
                    nullptr;  // it may be a route of the connection that had this workspace: a WebSocket keeps it
                go(phase::hand_over);
                return std::nullopt;
            }
            refuse(work_->parser.refused_by(), {'P', 'R'}, at);
            go(phase::say_goodbye);
            return std::nullopt;
        case progress::need_more: break;
    }
    // Before its body has come: a client that waits for 100 Continue need not send what will be refused.
    if (refuse_early(at)) return step::note;
    if (flags_.streams) return begin_answer(at);
    flush_then(phase::read);
    return std::nullopt;
}

void http1_reading::read(const moment& at) {
    if (flags_.broken) return go(phase::say_goodbye);
    enter_reading(at);
    if (flags_.late) {  // the last look has not made it whole
        flags_.late = false;
        const auto& parser = work_->parser;
        const auto by = parser.head_done() ? rule::body_timeout : rule::header_timeout;
        // A client that has sent a head alone, and may be told by 100 Continue to go on, has begun nothing that the end
        // of the drain could cut short. It has its answer.
        const auto* const end = work_->data() + work_->buffered();
        if (parser.head_done() && parser.come(work_->data()).data() == end) flags_.forced = false;
        refuse(flags_.forced ? rule::drain : by, {flags_.forced ? 'K' : 'T', 'R'}, at);
        return go(phase::say_goodbye);
    }
    waits_ = waiting::bytes;
    go(phase::parse);
}

/// The deadline of a head or a body is for the whole of it: set once, not moved by a byte that trickles in.
void http1_reading::enter_reading(const moment& at) {
    const auto& limits = this->limits();
    // The first request has its deadline from the accept, see begin(): a connection that never asks is not idle.
    if (!work_ || !work_->parser.begun()) {
        if (served_ > 0 && state_ != state::idle) enter(state::idle, at.now + limits.idle_timeout, at);
        return;
    }
    flags_.worked_during_stop = flags_.worked_during_stop || at.stopping;
    if (work_->parser.head_done()) {
        if (state_ == state::body) return;
        const auto first_look = limits.min_data_rate > 0 ? limits.data_rate_grace : limits.body_timeout;
        // The tick looks first after the grace and then again and again, see brings_enough().
        enter(state::body, at.now + std::min(first_look, limits.body_timeout), at);
        // What came together with the head counts for its rate too.
        received_ = work_->buffered();
    } else if (state_ != state::head) {
        // Of the first request the time before its first byte counts too: it has one deadline from the accept.
        enter(state::head, served_ == 0 ? deadline_ : at.now + limits.header_timeout, at);
    }
}

std::span<char> http1_reading::room() {
    if (phase_ == phase::handle) [[unlikely]]
        return body_room();
    // Grown by what has come, never by a length that was only announced.
    if (work_->room() == 0) work_->make_room();
    return {work_->input + work_->end, work_->welcome()};
}

/// A client may go on sending a body for as long as a body may take, in a stop too, but not drop by drop then.
void http1_reading::linger_on(std::size_t count, const moment& at) noexcept {
    since_ = at.now;
    received_ += count;
    // Silence ends it soon; with bytes it lasts for as long as a body may take, at most.
    deadline_ = std::min(linger_end_, since_ + longest_linger);
    if (since_ - counted_from_ < longest_linger) return;
    const auto brought = std::exchange(received_, 0);
    counted_from_ = since_;
    if (!at.stopping || brought >= least_in_a_stop) return;
    waits_ = waiting::nothing;
    flags_.linger = false;
    go(phase::part);
}

void http1_reading::peer_closed(const moment& at) noexcept {
    assert(waits_ == waiting::bytes);
    waits_ = waiting::nothing;
    if (phase_ == phase::handle) {  // in the middle of a body that its handler waits for
        work_->current.left = true;
        fail_body(rule::none, at);
        return work_->current.scope.cancel(lifecycle::cause::client_gone);
    }
    if (phase_ == phase::linger) {
        flags_.linger = false;
        return go(phase::part);
    }
    // A client that leaves in the middle of a request has broken it off; between requests it has only gone.
    end_ = {'C', work_ && work_->parser.begun() ? 'R' : 'I'};
    left_over_ = request_end::gone;
    flags_.ending = true;
    go(phase::say_goodbye);
}

/// A body within its deadline is not too slow by now; the tick looks again in a second.
bool http1_reading::brings_enough(clock::time_point now) noexcept {
    const auto end = since_ + limits().body_timeout;
    if (now >= end || received_ < least_bytes(now - since_)) return false;
    deadline_ = std::min(end, now + look_at_rate);
    return true;
}

}  // namespace server
