// What the tick does to streams, and how the connection ends.

#include <algorithm>
#include <array>
#include <utility>

#include "server/http2/health.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr std::array<std::uint8_t, 8> our_ping{'c', 'u', 'r', 'f', 'e', 'w', 0, 0};
constexpr milliseconds look_at_rate{1'000};
constexpr milliseconds longest_leave{1'000};

std::uint64_t least_bytes(const options& limits, clock::duration over) noexcept {
    return limits.min_data_rate * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(over).count()) /
           1'000;
}

}  // namespace

void machine::tick(const drain_view& drain, const moment& at) {
    at_ = at;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& one = *next++;
        if (one.through) {
            if (one.through->inside) one.through->inside->tick(drain, at);
            wake_later(one);
            continue;
        }
        obey(one, decide(one.view(), drain, at.now));
        if (dead_) return;
    }
    leaving_ = drain;
    if (!drain.draining && leaves_since_ != clock::time_point{})
        leaving_ = {.draining = true, .began = leaves_since_, .idle_until = leaves_since_ + longest_leave};
    say_goodbye();
}

/// False: there is nothing to be said now.
bool machine::say_goodbye() {
    if (!leaving_.draining) return false;
    switch (goodbye_.next(leaving_, all_.empty(), at_.now)) {
        case goodbye::step::none: return false;
        case goodbye::step::notice:
            check(nghttp2_submit_shutdown_notice(protocol_.get()));
            check(nghttp2_submit_ping(protocol_.get(), NGHTTP2_FLAG_NONE, our_ping.data()));
            break;
        case goodbye::step::last: go({'D', '-'}, at_); break;
    }
    return true;
}

void machine::go(ending_letters why, const moment& at) {
    at_ = at;
    goodbye_.skip();
    if (dead_) return;
    ending_ = why;
    check(nghttp2_submit_goaway(protocol_.get(), NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(protocol_.get()), NGHTTP2_NO_ERROR, nullptr,
                                0));
}

void machine::obey(stream& one, decision decided) {
    const bool drain = decided.by_drain;
    auto& current = one.current;
    switch (decided.what) {
        case decision::action::time_out: {
            if (one.state == connection_state::handling) return body_is_late(one);
            const auto end = one.since + limits_->body_timeout;
            if (one.state == connection_state::head)
                return end_hostile(NGHTTP2_PROTOCOL_ERROR);  // nothing else can come
            if (!drain && at_.now < end && one.received >= least_bytes(*limits_, at_.now - one.since)) {
                one.deadline = std::min(end, at_.now + look_at_rate);
                break;
            }
            one.forced = one.forced || drain;
            forced_ = forced_ || drain;
            refuse(one, drain ? rule::drain : rule::body_timeout);
            break;
        }
        case decision::action::notify:
            current.notify(decided.app_gives_up);
            if (current.to->at_stop == at_drain::end) current.scope.cancel(cause::shutdown);
            if (one.state == connection_state::streaming) ++changes_.told;
            break;
        case decision::action::end_stream:
            if (std::exchange(one.ended_by_us, true)) break;
            current.scope.cancel(cause::shutdown);
            if (!one.asking && one.id != 0) {
                one.source_ended = true;
                nghttp2_session_resume_data(protocol_.get(), one.id);
            }
            break;
        case decision::action::tell_handler:
            one.forced = one.forced || drain;
            forced_ = forced_ || drain;
            one.deadline = drain ? clock::time_point::max() : at_.now + grace_after_deadline;
            current.tell(drain ? cause::shutdown : cause::deadline);
            fail_body(one, drain ? rule::drain : rule::request_timeout);
            break;
        case decision::action::answer: abandon(one); break;
        case decision::action::cut:
            if (!drain && !one.asking && one.moved > least_bytes(*limits_, limits_->write_timeout)) {
                one.moved = 0;
                one.deadline = at_.now + limits_->write_timeout;
                break;
            }
            cut(one, drain);
            break;
        default: break;
    }
}

/// In the place of a handler that has not returned. What it still returns is dropped.
void machine::abandon(stream& one) {
    auto& current = one.current;
    const auto status = one.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    current.abandoned = true;
    current.refused_by = one.forced ? rule::drain : rule::request_timeout;
    if (one.id != 0) {
        one.instead = std::make_unique<response>(current.instead(status));
        submit(one, *one.instead);
        one.state = connection_state::handling;  // as far as anybody else sees
    }
    by_.note(one, row(one));
    if (!std::exchange(one.straggled, true)) by_.straggles(one);
}

/// What was cut must not look whole: any other code, and a bare end of the connection, is a clean end to some clients.
void machine::cut(stream& one, bool by_drain) {
    one.forced = one.forced || by_drain;
    forced_ = forced_ || by_drain;
    if (std::exchange(one.cut, true)) {
        if (one.asking && !std::exchange(one.straggled, true)) by_.straggles(one);
        return;
    }
    const auto& current = one.current;
    if (current.was_told() && !current.left) ++changes_.cut_stream;
    if (one.asking || one.streams) one.current.scope.cancel(cause::shutdown);
    fail_body(one, rule::drain);
    // A client that takes nothing for this long is as good as gone; a source that stands still has failed.
    count(one, by_drain ? request_end::cut : one.asking ? request_end::finished : request_end::gone);
    reset(one, NGHTTP2_INTERNAL_ERROR);
}

/// Who watches the health is told at once, long before the drain.
void machine::stop_begins() noexcept {
    worked_during_stop_ = !all_.empty();
    for (auto& one : all_) {
        if (one.through && one.through->inside) one.through->inside->stop_begins();
        if (!one.current.to_be_told() || !is_watch(one.current.to)) continue;
        one.current.notify(clock::time_point::max() - std::chrono::hours(1));  // it has until the grace ends
        if (one.state == connection_state::streaming) ++changes_.told;
    }
}

void machine::cut(const moment& at) {
    at_ = at;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& one = *next++;
        if (one.state == connection_state::handling && one.asking) {
            one.current.tell(cause::shutdown);
            fail_body(one, rule::drain);
        }
        if (one.through && one.through->inside) {
            one.through->inside->cut(at);
            wake_later(one);
        } else if (!one.cut) {
            cut(one, true);
        }
    }
    if (!goodbye_.told_last()) go({'K', '-'}, at);
    gone_ = true;
}

void machine::end() noexcept {
    changes_.finished += forced_ ? 0 : std::exchange(unflushed_, 0);
    changes_.cut += std::exchange(unflushed_, 0);
    for (auto& one : all_)
        if (one.through && one.through->inside) one.through->inside->end();
    for (auto& one : all_)
        if (!std::exchange(one.counted, true)) ++(forced_ ? changes_.cut : changes_.gone);
}

}  // namespace server::http2
