#include "server/websocket/machine.hpp"
#include "server/forget.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace server::websocket {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds peers_close{1'000};  // three of nine clients never close, one takes 19 s
constexpr milliseconds longest_linger{1'000};
constexpr unsigned most_unanswered = 2;       // pings
constexpr std::size_t one_write = 64 * 1024;  // answers that are gathered before they are sent

}  // namespace

clock::time_point told_at(clock::time_point opened, const drain_view& drain) noexcept {
    const auto ticks = static_cast<std::uint64_t>(opened.time_since_epoch().count());
    const auto chance = static_cast<int>((ticks * 0x9e3779b97f4a7c15U) >> 56);  // Knuth, TAOCP 6.4
    return std::min(drain.over, drain.began + (drain.idle_until - drain.began) / 2 / 256 * chance);
}

machine::machine(const machine_limits& limits, compression* inflates, clock::time_point now) noexcept
    : standing(limits, now), reader_(limits.reading, inflates), next_ping_(now + limits.ping) {}

machine::machine(const machine_limits& limits, compression* inflates, clock::time_point since,
                 const resting& from) noexcept
    : standing(limits, since),
      reader_(limits.reading, inflates),
      next_ping_(from.next_ping),
      unanswered_(from.unanswered) {
    flags_.opened = true;
}

bool machine::is_quiet() const noexcept {
    return state_ == state::open && flags_.opened && !flags_.busy && !flags_.due && !flags_.closes && !closed_ &&
           !overflows_ && !blocked_ && out_.empty() && input_.empty() && !reader_.within();
}

auto machine::rest() const noexcept -> resting {
    assert(is_quiet());
    return {.next_ping = next_ping_, .unanswered = unanswered_};
}

auto machine::waits_for() const noexcept -> waiting {
    switch (state_) {
        case state::open:
        case state::closing:
            if (blocked_) return waiting::room;
            return reads() ? waiting::bytes : waiting::handler;
        case state::parting: return waiting::room;
        case state::lingering: return waiting::bytes;
        case state::over: break;
    }
    return waiting::handler;
}

/// Not while the peer does not read, no further ahead of a handler than one message, and no more when a Close is due.
bool machine::reads() const noexcept {
    if (state_ > state::closing || blocked_ || flags_.has_ahead) return false;
    if (state_ == state::closing) return true;
    return !flags_.due && (!flags_.busy || limits_.copies);
}

void machine::resume(clock::time_point since, const resting& from) noexcept {
    assert(state_ == state::open && !flags_.busy && out_.empty() && "it came to rest");
    renew();
    since_ = since;
    next_ping_ = from.next_ping;
    unanswered_ = from.unanswered;
}

auto machine::next(clock::time_point now) -> step {
    for (;;) {
        if (std::exchange(flags_.discards, false)) return step::discard;
        if (!flags_.busy && !flags_.opened) {
            flags_.opened = flags_.busy = true;
            return step::say_open;
        }
        if (!flags_.busy && std::exchange(flags_.has_ahead, false) && state_ == state::open) {
            handed_.held = std::exchange(handed_.ahead, {});
            handed_.current = {.text = flags_.ahead_text, .data = handed_.held};
            flags_.busy = true;
            return step::deliver;
        }
        if (!input_.empty() && state_ <= state::closing && !blocked_ && !flags_.has_ahead &&
            (!flags_.busy || limits_.copies) && out_.size() < one_write) {
            if (read_one(now)) return step::deliver;
            continue;
        }
        if (overflows_ && !closed_ && !flags_.closes) {
            to_say_ = try_again_later;
            flags_.closes = true;
        }
        if (may_say_close()) {
            if (std::exchange(flags_.looks, false)) return step::look;
            say_close(now);
            continue;
        }
        if (!out_.empty() && !blocked_ && state_ != state::over) return step::write;
        if (state_ == state::parting && out_.empty()) {
            enter(state::lingering, now, longest_linger);
            return step::half_close;
        }
        if (state_ >= state::parting && !flags_.busy && !std::exchange(flags_.said_closed, true)) {
            flags_.busy = true;
            return step::say_closed;
        }
        if (state_ == state::over && !flags_.busy) return flags_.resets ? step::reset : step::close;
        keep_rest();
        return step::wait;
    }
}

// ── what comes ──────────────────────────────────────────────────────────────────────────────────

void machine::received(std::span<char> bytes) noexcept {
    unanswered_ = 0;
    if (state_ > state::closing) return;
    if (input_.empty()) {
        input_ = bytes;
        return;
    }
    rest_.append(bytes.data(), bytes.size());
    input_ = rest_;
}

/// True: there is a message for the handler.
bool machine::read_one(clock::time_point now) {
    auto left = input_;
    const auto found = reader_.next(left);
    input_ = left;
    return found.what != reader::kind::need_more && take(found, now);
}

bool machine::take(const reader::event& found, clock::time_point now) {
    switch (found.what) {
        case reader::kind::message: return state_ == state::open && hand(found.text, found.data);
        case reader::kind::ping:
            if (!closed_) out_.append([&](std::string& to) { append_frame(to, opcode::pong, found.data); });
            break;
        case reader::kind::close:
            if (state_ == state::open) {
                end_ = {.code = found.code, .reason = std::string(found.data), .by_peer = true};
                cancels_ = cause::client_gone;
            }
            answer_close(found.code, ending::whole, now);
            break;
        case reader::kind::fault:
            if (state_ == state::open) end_.code = found.code;
            answer_close(found.code, ending::by_us, now);
            break;
        default: break;  // a pong is a sign of life, as any byte is
    }
    return false;
}

bool machine::hand(bool text, std::string_view data) {
    if (flags_.busy) {
        handed_.ahead = data;
        flags_.ahead_text = text;
        flags_.has_ahead = true;
        return false;
    }
    if (limits_.copies) {
        handed_.held = data;
        data = handed_.held;
    }
    handed_.current = {.text = text, .data = data};
    flags_.busy = true;
    return true;
}

void machine::returned(bool failed) noexcept {
    assert(flags_.busy);
    flags_.busy = false;
    handed_.current = {};
    forget(handed_.held);
    if (!failed || closed_ || flags_.closes) return;
    to_say_ = internal_error;
    flags_.closes = true;
}

/// Whatever is not read now is kept; there are no views of it any more.
void machine::keep_rest() {
    if (input_.empty() || state_ > state::closing) {
        input_ = {};
        return forget(rest_);
    }
    if (const auto* const from = rest_.data(); input_.data() >= from && input_.data() <= from + rest_.size())
        rest_.erase(0, static_cast<std::size_t>(input_.data() - from));
    else
        rest_.assign(input_.data(), input_.size());
    input_ = rest_;
}

void machine::peer_closed() noexcept { leave(state_ == state::open ? ending::gone : ending::by_us, false); }

void machine::lost() noexcept { leave(ending::gone, true); }

// ── how it ends ─────────────────────────────────────────────────────────────────────────────────

bool machine::may_say_close() const noexcept {
    if (state_ != state::open) return false;
    return flags_.closes || (flags_.due && !flags_.busy && !flags_.has_ahead && input_.empty());
}

void machine::close_with(std::uint16_t code, std::string_view reason) {
    assert(may_be_sent(code));
    if (closed_ || flags_.closes || state_ != state::open) return;
    end_.reason = reason;
    to_say_ = code;
    flags_.closes = closed_ = true;
}

void machine::say_close(clock::time_point now) {
    out_.append([this](std::string& to) { append_close(to, to_say_, end_.reason); });
    closed_ = true;
    flags_.has_ahead = false;
    end_.code = to_say_;
    enter(state::closing, now, peers_close);
}

/// Of the peer's Close, or of a fault: after that nothing more is read. A second one of ours is not sent.
void machine::answer_close(std::uint16_t code, ending how, clock::time_point now) {
    if (state_ == state::open) out_.append([&](std::string& to) { append_close(to, code); });
    closed_ = true;
    ending_ = how;
    enter(state::parting, now, longest_linger);
    input_ = {};
}

void machine::leave(ending how, bool resets) noexcept {
    if (state_ == state::over) return;
    if (ending_ == ending::none) ending_ = how;
    // However it ends: a handler that still works would do so in vain, and waits for this.
    if (how == ending::cut)
        cancels_ = cause::shutdown;
    else if (how == ending::gone || cancels_ == cause::none)
        cancels_ = cause::client_gone;
    closed_ = true;
    flags_.resets = resets;
    flags_.has_ahead = false;
    out_.clear();
    input_ = {};
    state_ = state::over;
}

void machine::cut() noexcept { leave(ending::cut, true); }

// ── time and the stop ───────────────────────────────────────────────────────────────────────────

void machine::tick(const drain_view& drain, clock::time_point now, std::size_t unacknowledged) {
    const bool over = drain.draining && now >= drain.over;
    const bool late = now >= deadline_;
    switch (state_) {
        case state::open:
            if (drain.draining) obey(drain, now);
            keep_alive(now);
            if (takes_nothing(now, unacknowledged)) leave(ending::gone, true);
            break;
        case state::closing:
            if (!late && !over) break;
            flags_.discards = out_.empty();
            leave(out_.empty() ? ending::by_us : ending::cut, !out_.empty());
            break;
        case state::parting:
            if (late || over) leave(ending::by_us, true);
            break;
        case state::lingering:
            if (!late && !over) break;
            flags_.discards = true;
            leave(ending::by_us, false);
            break;
        case state::over:  // a handler that ignores that is named
            if (over && flags_.busy && now >= drain.over + grace_after_deadline) ending_ = ending::cut;
            break;
    }
}

void machine::obey(const drain_view& drain, clock::time_point now) {
    const bool over = now >= drain.over;
    if (!flags_.due && now >= told_at(since_, drain)) {
        flags_.due = flags_.looks = flags_.told = true;
        to_say_ = going_away;
    }
    if (flags_.due && blocked_ && now >= drain.idle_until) {  // a peer that does not read cannot be answered
        input_ = {};
        flags_.has_ahead = flags_.looks = false;
    }
    if (!over || !flags_.busy) return;
    if (cancels_ == cause::none)
        cancels_ = cause::shutdown;
    else if (now >= drain.over + grace_after_deadline)
        cut();
}

void machine::keep_alive(clock::time_point now) {
    if (limits_.ping.count() == 0 || now < next_ping_ || closed_) return;
    next_ping_ = now + limits_.ping;
    if (blocked_) return;  // it is judged by what it reads
    if (unanswered_ >= most_unanswered) return leave(ending::gone, true);
    ++unanswered_;
    out_.append([](std::string& to) { append_frame(to, opcode::ping, {}); });
}

}  // namespace server::websocket
