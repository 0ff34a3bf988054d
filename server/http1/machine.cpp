// How a connection reads, what the tick may do to it, and how it ends.

#include "server/http1/machine.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <utility>

namespace server {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds longest_linger{1'000};    // without a byte
constexpr std::uint64_t least_in_a_stop = 1024;  // bytes in each such time: less is no upload that anybody waits for
constexpr milliseconds look_at_rate{1'000};
constexpr milliseconds patience_above_a_limit{1'000};  // such places are few, and probes wait for them

constexpr unsigned bit(connection_state one) { return 1U << static_cast<unsigned>(one); }

/// Where a connection may go from each of its states, in their order.
constexpr std::array<unsigned, connection_states> after = [] {
    using enum connection_state;
    const auto begun = bit(head) | bit(body) | bit(handling) | bit(writing) | bit(lingering);
    return std::array{begun,                               // fresh
                      begun,                               // idle
                      begun | bit(idle),                   // head: what came was an empty line
                      begun & ~bit(head) & ~bit(body),     // body
                      begun | bit(idle) | bit(streaming),  // handling
                      begun | bit(idle),                   // writing
                      bit(writing),                        // streaming
                      0U};                                 // lingering
}();

}  // namespace

std::string_view to_string(connection_state state) noexcept {
    constexpr std::array<std::string_view, connection_states> names{
        "fresh", "idle", "reading head", "reading body", "handling", "writing", "streaming", "lingering"};
    return names[static_cast<std::size_t>(state)];
}

void http1_machine::begin(const moment& at) noexcept {
    since_ = at.now;
    const auto longest = limits().header_timeout;
    deadline_ = at.now + (patience_.without == rule::none ? longest : std::min(longest, patience_above_a_limit));
}

void http1_machine::enter(state next, clock::time_point deadline, const moment& at) {
    assert((after[static_cast<std::size_t>(state_)] & bit(next)) != 0 && "no way leads from that state to this one");
    state_ = next;
    since_ = at.now;
    deadline_ = deadline;
}

auto http1_machine::next(const moment& at) -> step {
    for (;;) {
        if (asked_ != 0) {
            const auto first = std::countr_zero(asked_);
            asked_ &= asked_ - 1;
            return static_cast<step>(first);
        }
        if (waits_ != waiting::nothing) return step::wait;
        if (const auto one = advance(at)) return *one;
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
        case phase::handle: return handle();
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
        case phase::say_goodbye: flush_then(phase::part); return std::nullopt;
        case phase::part: return part(at);
        case phase::linger: waits_ = waiting::bytes; return std::nullopt;
        case phase::end: break;
    }
    assert(false && "it has ended");
    return step::wait;
}

void http1_machine::flush_then(phase next) noexcept {
    then_ = next;
    go(work_ && !work_->out.empty() ? phase::flush : next);
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

auto http1_machine::parse(const moment& at) -> std::optional<step> {
    using progress = request_parser::progress;
    if (flags_.ending || flags_.broken) {
        go(phase::say_goodbye);
        return std::nullopt;
    }
    auto found = progress::need_more;
    if (work_ && work_->buffered() > 0) {
        auto& parser = work_->parser;
        if (!parser.begun()) work_->go_by(host_.limits);
        found = parser.next(work_->data(), work_->buffered());
        if (!flags_.counted && parser.begun()) {
            flags_.counted = true;
            ++changes_.began;
        }
    }
    switch (found) {
        case progress::complete: return begin_answer(at);
        case progress::refused:
            refuse(work_->parser.refused_by(), {'P', 'R'}, at);
            go(phase::say_goodbye);
            return std::nullopt;
        case progress::need_more: break;
    }
    if (refuse_early(at)) return step::note;
    flush_then(phase::read);
    return std::nullopt;
}

void http1_machine::read(const moment& at) {
    if (flags_.broken) return go(phase::say_goodbye);
    enter_reading(at);
    if (flags_.late) {  // the last look has not made it whole
        flags_.late = false;
        const auto by = work_->parser.head_done() ? rule::body_timeout : rule::header_timeout;
        refuse(flags_.forced ? rule::drain : by, {flags_.forced ? 'K' : 'T', 'R'}, at);
        return go(phase::say_goodbye);
    }
    waits_ = waiting::bytes;
    go(phase::parse);
}

/// The deadline of a head or a body is for the whole of it: set once, not moved by a byte that trickles in.
void http1_machine::enter_reading(const moment& at) {
    const auto& limits = this->limits();
    if (!work_ || !work_->parser.begun()) {
        if (served_ > 0 && state_ != state::idle) enter(state::idle, at.now + limits.idle_timeout, at);
        return;
    }
    flags_.worked_during_stop = flags_.worked_during_stop || at.stopping;
    if (work_->parser.head_done()) {
        if (state_ == state::body) return;
        const auto first_look = limits.min_data_rate > 0 ? limits.data_rate_grace : limits.body_timeout;
        enter(state::body, at.now + std::min(first_look, limits.body_timeout), at);
        received_ = work_->buffered();
    } else if (state_ != state::head) {
        enter(state::head, served_ == 0 ? deadline_ : at.now + limits.header_timeout, at);
    }
}

std::span<char> http1_machine::room() {
    if (work_->room() == 0) work_->make_room();
    return {work_->input + work_->end, work_->welcome()};
}

void http1_machine::received(std::size_t count, const moment& at) {
    if (phase_ == phase::linger) return linger_on(count, at);
    assert(count <= work_->room());
    work_->end += count;
    received_ += count;
    if (waits_ != waiting::bytes) return;  // it has only looked
    waits_ = waiting::nothing;
    go(phase::parse);
}

/// Who is still sending a body may do so for as long as a body may take, in a stop too, but not drop by drop then.
void http1_machine::linger_on(std::size_t count, const moment& at) noexcept {
    since_ = at.now;
    received_ += count;
    deadline_ = std::min(linger_end_, since_ + longest_linger);
    if (since_ - counted_from_ < longest_linger) return;
    const auto brought = std::exchange(received_, 0);
    counted_from_ = since_;
    if (!at.stopping || brought >= least_in_a_stop) return;
    waits_ = waiting::nothing;
    flags_.linger = false;
    go(phase::part);
}

void http1_machine::peer_closed() noexcept {
    assert(waits_ == waiting::bytes);
    waits_ = waiting::nothing;
    if (phase_ == phase::linger) {
        flags_.linger = false;
        return go(phase::part);
    }
    end_ = {'C', work_ && work_->parser.begun() ? 'R' : 'I'};
    left_over_ = request_end::gone;
    flags_.ending = true;
    go(phase::say_goodbye);
}

// ── the tick ────────────────────────────────────────────────────────────────────────────────────

connection_view http1_machine::view() const noexcept {
    return {.state = state_,
            .since = since_,
            .deadline = deadline_,
            .rests = work_ == nullptr,
            .told = work_ && work_->current.told,
            .forced = flags_.forced,
            .abandoned = abandoned(),
            .sends_on = flags_.sends_on};
}

std::uint64_t http1_machine::least_bytes(clock::duration over) const noexcept {
    return limits().min_data_rate * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(over).count()) /
           1'000;
}

/// A body within its deadline is not too slow by now; the tick looks again in a second.
bool http1_machine::brings_enough(clock::time_point now) noexcept {
    const auto end = since_ + limits().body_timeout;
    if (now >= end || received_ < least_bytes(now - since_)) return false;
    deadline_ = std::min(end, now + look_at_rate);
    return true;
}

void http1_machine::obey(decision decided, std::size_t unacknowledged, const moment& at) {
    const bool drain = decided.by_drain;
    switch (decided.what) {
        case decision::action::none: break;
        case decision::action::rest:
            if (waits_ == waiting::bytes && work_ && !work_->parser.begun()) ask(step::rest);
            break;
        case decision::action::look_and_close: make_room(drain ? 'D' : 'T'); break;
        case decision::action::time_out:
            if (!drain && state_ == state::body && brings_enough(at.now)) break;
            flags_.forced = flags_.forced || drain;
            flags_.late = true;  // lets nobody take one more turn for each byte that trickles in
            if (waits_ != waiting::bytes) break;
            waits_ = waiting::nothing;
            ask(step::look);
            go(phase::parse);
            break;
        case decision::action::tell_handler:
            flags_.forced = flags_.forced || drain;
            deadline_ = drain ? clock::time_point::max() : at.now + grace_after_deadline;  // a drain ticks on
            work_->current.tell(drain ? cause::shutdown : cause::deadline);
            break;
        case decision::action::answer: abandon(at); break;
        case decision::action::cut:
            if (!drain && flags_.blocked && reads_on(unacknowledged, at)) break;
            flags_.forced = flags_.forced || drain;
            if (state_ == state::streaming && !flags_.blocked && flags_.cut && !std::exchange(flags_.straggled, true))
                ask(step::straggled);  // its source was told before
            end_ = {drain ? 'K' : 'T', 'D'};
            cut();
            // A client that takes nothing for so long is as good as gone; a source that stands still has failed.
            if (!drain) left_over_ = flags_.blocked ? request_end::gone : request_end::finished;
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

void http1_machine::make_room(char why) noexcept {
    if (!waits_for_request() || waits_ != waiting::bytes) return;
    end_ = {why, 'I'};
    ask(step::look_then_finish);
}

void http1_machine::finished() noexcept {
    flags_.broken = true;
    waits_ = waiting::nothing;
    go(phase::part);
}

void http1_machine::client_gone() {
    if (state_ != state::handling || waits_ != waiting::handler || work_->current.told || abandoned()) return;
    work_->current.left = true;
    work_->current.scope.cancel(cause::client_gone);
}

void http1_machine::cut() {
    left_over_ = request_end::cut;
    if (phase_ == phase::handle) {
        if (abandoned()) return;  // it is waited for, and that is all
        flags_.broken = true;
        work_->current.tell(cause::shutdown);
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

/// RFC 9112 section 9.6: half-close, read on until the client has closed, then close; a plain close with unread bytes
/// resets the connection and takes the response with it.
auto http1_machine::part(const moment& at) -> step {
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
    return flags_.broken && work_ && !work_->flushed() ? step::reset : step::close;
}

void http1_machine::end() noexcept {
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
