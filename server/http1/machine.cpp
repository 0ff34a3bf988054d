// What a connection does next, what the tick may do to it, and how it ends.

#include "server/http1/machine.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace server {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds patience_above_a_limit{1'000};  // such places are few, and probes wait for them

}  // namespace

void http1_machine::begin(const moment& at) noexcept {
    assert(state_ == state::fresh && served_ == 0);
    since_ = at.now;
    // It came after the stop began: over TLS it is told to close only late (docs/shutdown.md).
    flags_.newcomer = at.stopping;
    const auto longest = limits().header_timeout;
    deadline_ = at.now + (patience_.without == rule::none ? longest : std::min(longest, patience_above_a_limit));
}

auto http1_machine::next(const moment& at) -> step {
    for (;;) {
        // Steps that were asked for come first, in the order of their numbers.
        if (asked_ != 0) {
            const auto first = std::countr_zero(asked_);
            asked_ &= asked_ - 1;
            return static_cast<step>(first);
        }
        if (waits_ != waiting::nothing) return step::wait;
        if (const auto step = advance(at)) return *step;
    }
}

auto http1_machine::advance(const moment& at) -> std::optional<step> {
    switch (phase_) {
        case phase::parse: return parse(at);
        case phase::flush:
            if (!flags_.broken && work_ && !work_->out.empty()) return step::write;
            flags_.blocked = false;
            go(then_);
            return std::nullopt;
        case phase::read: read(at); return std::nullopt;
        case phase::handle: return handle(at);
        case phase::abandon:
            if (!flags_.broken && !work_->out.empty()) return step::write;
            ask(step::half_close);
            ask(step::discard);  // unread bytes would turn the close at the exit into a reset that takes the answer
            go(phase::handle);
            waits_ = waiting::handler;
            return std::nullopt;
        case phase::answer: return answer(at);
        case phase::begin_stream: begin_stream(at); return std::nullopt;
        case phase::add_piece: add_piece(); return std::nullopt;
        case phase::ask_piece: return ask_piece(at);
        case phase::cut_stream:
            if (!flags_.broken && !work_->out.empty()) return step::write;
            flags_.broken = true;
            go(phase::end_stream);
            return std::nullopt;
        case phase::end_stream: end_stream(at); return std::nullopt;
        case phase::finish: return finish();
        case phase::go_on: end_request(at); return std::nullopt;
        case phase::step_back:
            enter(state::head, at.now + limits().header_timeout, at);
            waits_ = waiting::turn;
            go(phase::parse);
            return step::step_back;
        case phase::say_goodbye: flush_then(flags_.shook_hands ? phase::farewell : phase::part); return std::nullopt;
        case phase::farewell:
            if (!flags_.broken) return step::farewell;
            go(phase::part);
            return std::nullopt;
        case phase::part: return part(at);
        case phase::linger: waits_ = waiting::bytes; return std::nullopt;
        case phase::hand_over:
            if (!flags_.broken) return step::hand_over;
            go(phase::part);
            return std::nullopt;
        case phase::end: break;
    }
    assert(false && "it has ended");
    return step::wait;
}

// ── the tick ────────────────────────────────────────────────────────────────────────────────────

/// What the tick has decided. Bytes may have come since: before a close or a time-out it looks once more, and one look
/// decides whether a request is whole. A body that brings enough after all, and a reader that takes enough, get another
/// stretch of time. A handler that is told has a moment to answer by itself; then the server answers in its place. A
/// request that is told of the drain and streams nothing yet counts as told when its stream begins, see begin_stream().
void http1_machine::obey(decision decided, std::size_t unacknowledged, const moment& at) {
    const bool drain = decided.by_drain;
    switch (decided.what) {
        case decision::action::none: break;
        case decision::action::rest:
            if (waits_ == waiting::bytes && work_ && !work_->parser.begun()) ask(step::rest);
            break;
        case decision::action::look_and_close: make_room(drain ? 'D' : 'T'); break;
        case decision::action::time_out: time_out(drain, at); break;
        case decision::action::notify:
            work_->current.notify(decided.app_gives_up);
            if (work_->current.to->at_stop == at_drain::end) work_->current.scope.cancel(cause::shutdown);
            if (state_ == state::streaming) ++changes_.told;
            break;
        case decision::action::end_stream: end_told(); break;
        case decision::action::tell_handler:
            flags_.forced = flags_.forced || drain;
            deadline_ = drain ? clock::time_point::max() : at.now + grace_after_deadline;  // a drain ticks on
            work_->current.tell(drain ? cause::shutdown : cause::deadline);
            fail_body(drain ? rule::drain : rule::request_timeout, at);
            break;
        case decision::action::answer: abandon(at); break;
        case decision::action::cut:
            if (!drain && flags_.blocked && reads_on(unacknowledged, at)) break;
            flags_.forced = flags_.forced || drain;
            if (state_ == state::streaming && !flags_.blocked && flags_.cut && !std::exchange(flags_.straggled, true))
                ask(step::straggled);  // its source was told before
            end_ = {drain ? 'K' : 'T', 'D'};
            cut();
            // A client that takes nothing for this long is as good as gone; a source that stands still has failed.
            if (!drain) left_over_ = flags_.blocked ? request_end::gone : request_end::finished;
            break;
        case decision::action::cut_unread:
            end_ = {'T', 'D'};
            cut();
            left_over_ = request_end::gone;
            break;
        case decision::action::hang_up_if_acknowledged:
            if (unacknowledged > 0) break;
            [[fallthrough]];
        case decision::action::hang_up:
            waits_ = waiting::nothing;
            flags_.linger = false;
            go(phase::part);
            break;
    }
}

/// By us, whole. A client that does not read has the end put behind what waits for it, to be waited for as an end.
void http1_machine::end_told() {
    flags_.ended = true;
    work_->current.scope.cancel(cause::shutdown);
    if (waits_ != waiting::room) return;
    waits_ = waiting::nothing;
    close_stream();
}

void http1_machine::time_out(bool by_drain, const moment& at) {
    if (phase_ == phase::handle) return body_is_late(at);
    if (!by_drain && state_ == state::body && brings_enough(at.now)) return;
    flags_.forced = flags_.forced || by_drain;
    flags_.late = true;  // or each byte that trickles in would get the client one more turn
    if (waits_ != waiting::bytes) return;
    waits_ = waiting::nothing;
    ask(step::look);
    go(phase::parse);
}

void http1_machine::make_room(char why) noexcept {
    // Something has begun since the tick decided: it is not idle any more.
    if (!waits_for_request() || waits_ != waiting::bytes) return;
    end_ = {why, 'I'};
    ask(step::look_then_finish);
}

void http1_machine::finished() noexcept {
    flags_.broken = true;
    waits_ = waiting::nothing;
    go(phase::part);
}

void http1_machine::turn_away(ending_letters why) noexcept {
    end_ = why;
    finished();
}

void http1_machine::client_gone() {
    if (state_ == state::streaming && waits_ == waiting::piece) {
        flags_.broken = true;
        left_over_ = request_end::gone;
        end_ = {'C', 'D'};
    } else if (state_ != state::handling || waits_ != waiting::handler || work_->current.told || abandoned()) {
        return;
    }
    work_->current.left = true;
    work_->current.scope.cancel(cause::client_gone);
}

void http1_machine::cut() {
    left_over_ = request_end::cut;
    if (phase_ == phase::handle) {
        if (abandoned()) return;  // it is waited for, and that is all
        flags_.broken = true;
        work_->current.tell(cause::shutdown);
        fail_body(rule::drain, {.now = since_});
    } else if (waits_ == waiting::piece) {
        flags_.cut = true;
    } else {
        flags_.broken = true;
        if (waits_ == waiting::bytes) go(phase::part);
        if (waits_ != waiting::turn) waits_ = waiting::nothing;
    }
    if (state_ != state::streaming) return;
    ask(step::arm_reset);                          // also where its source does not return and the process ends
    work_->current.scope.cancel(cause::shutdown);  // its source may wait by it
}

void http1_machine::fail() noexcept {
    flags_.broken = true;
    left_over_ = request_end::cut;
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

handover http1_machine::hand_over() noexcept {
    assert(phase_ == phase::hand_over);
    go(phase::end);
    const bool upgraded = work_ && work_->current.to != nullptr;
    // The preface of HTTP/2 looked like the start of a request, and may have been counted as one.
    if (!upgraded && std::exchange(flags_.counted, false)) changes_.began > 0 ? --changes_.began : ++changes_.finished;
    handover left{.work = std::move(work_),
                  .bytes = {},
                  .served = served_,
                  .counted = std::exchange(flags_.counted, false),
                  .trusts_peer = flags_.trusts_peer,
                  .newcomer = flags_.newcomer,
                  .worked_during_stop = flags_.worked_during_stop,
                  .patience = patience_,
                  .deadline = deadline_};
    if (left.work) left.asked = &left.work->parser.request();
    if (left.work)
        left.bytes = std::string_view(left.work->data(), left.work->buffered())
                         .substr(upgraded ? left.work->parser.consumed() : 0);
    return left;
}

/// RFC 9112 section 9.6: half-close, read on until the client has closed, then close; a plain close with unread bytes
/// resets the connection and takes the response with it.
auto http1_machine::part(const moment& at) -> step {
    const bool flushed = !work_ || work_->flushed();
    count_end(flushed);
    if (!flags_.broken && flags_.linger) {
        linger_end_ = at.now + limits().body_timeout;
        enter(state::lingering, at.now + longest_linger, at);
        counted_from_ = at.now;
        received_ = 0;
        go(phase::linger);
        ask(step::rest);
        return step::half_close;
    }
    go(phase::end);
    // What did not go out whole must not end like something whole.
    return flags_.broken && !flushed ? step::reset : step::close;
}

void http1_machine::end() noexcept {
    count_end(false);  // where it did not come to its parting
    const auto left = unflushed_ + (flags_.counted ? 1U : 0U);
    unflushed_ = 0;
    flags_.counted = false;
    switch (flags_.forced ? request_end::cut : left_over_) {
        case request_end::finished: changes_.finished += left; break;
        case request_end::cut: changes_.cut += left; break;
        case request_end::gone: changes_.gone += left; break;
    }
}

}  // namespace server
