// What the tick does to streams, and how the connection ends.

#include <algorithm>
#include <utility>

#include "server/http2/health.hpp"
#include "server/http2/machine.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds look_at_rate{1'000};

std::uint64_t least_bytes(const options& limits, clock::duration over) noexcept {
    return limits.min_data_rate * static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(over).count()) /
           1'000;
}

}  // namespace

void machine::tick(const drain_view& drain, const moment& at) {
    at_ = at;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& stream = *next++;
        if (stream.through) {
            if (stream.through->inside) stream.through->inside->tick(drain, at);
            wake_later(stream);
            continue;
        }
        obey(stream, decide(stream.view(), drain, at.now));
        if (framer_.has_ended()) return;
    }
    departure_.see(drain);
    say_goodbye();
}

/// False: there is nothing to be said now.
bool machine::say_goodbye() {
    switch (departure_.next(all_.empty(), at_.now)) {
        case goodbye::step::none: return false;
        case goodbye::step::notice: framer_.give_notice(); break;
        case goodbye::step::last: go({'D', '-'}, at_); break;
    }
    return true;
}

void machine::go(ending_letters why, const moment& at) {
    at_ = at;
    departure_.skip();
    if (framer_.has_ended()) return;
    ending_ = why;
    framer_.go_away();
}

void machine::obey(stream& stream, decision decided) {
    const bool drain = decided.by_drain;
    auto& current = stream.current;
    switch (decided.what) {
        case decision::action::time_out: {
            if (stream.state == connection_state::handling) return body_is_late(stream);
            const auto end = stream.since + limits_->body_timeout;
            if (stream.state == connection_state::head)
                return end_hostile(NGHTTP2_PROTOCOL_ERROR);  // nothing else can come
            if (!drain && at_.now < end && stream.body.received >= least_bytes(*limits_, at_.now - stream.since)) {
                stream.deadline = std::min(end, at_.now + look_at_rate);
                break;
            }
            stream.outcome.forced = stream.outcome.forced || drain;
            forced_ = forced_ || drain;
            refuse(stream, drain ? rule::drain : rule::body_timeout);
            break;
        }
        case decision::action::notify:
            current.notify(decided.app_gives_up);
            if (current.to->at_stop == at_drain::end) current.scope.cancel(cause::shutdown);
            if (stream.state == connection_state::streaming) ++changes_.told;
            break;
        case decision::action::end_stream:
            if (std::exchange(stream.outcome.ended_by_us, true)) break;
            current.scope.cancel(cause::shutdown);
            if (!stream.asking && stream.id != 0) {
                stream.answer.source_ended = true;
                framer_.resume(stream.id);
            }
            break;
        case decision::action::tell_handler:
            stream.outcome.forced = stream.outcome.forced || drain;
            forced_ = forced_ || drain;
            stream.deadline = drain ? clock::time_point::max() : at_.now + grace_after_deadline;
            current.tell(drain ? cause::shutdown : cause::deadline);
            fail_body(stream, drain ? rule::drain : rule::request_timeout);
            break;
        case decision::action::answer: abandon(stream); break;
        case decision::action::cut:
            if (!drain && !stream.asking && stream.answer.moved > least_bytes(*limits_, limits_->write_timeout)) {
                stream.answer.moved = 0;
                stream.deadline = at_.now + limits_->write_timeout;
                break;
            }
            cut(stream, drain);
            break;
        default: break;
    }
}

/// In the place of a handler that has not returned. What it still returns is dropped.
void machine::abandon(stream& stream) {
    auto& current = stream.current;
    const auto status = stream.outcome.forced ? http::status::service_unavailable : http::status::gateway_timeout;
    current.abandoned = true;
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

/// What was cut must not look whole: any other code, and a bare end of the connection, is a clean end to some clients.
void machine::cut(stream& stream, bool by_drain) {
    stream.outcome.forced = stream.outcome.forced || by_drain;
    forced_ = forced_ || by_drain;
    if (std::exchange(stream.outcome.cut, true)) {
        if (stream.asking && !std::exchange(stream.outcome.straggled, true)) by_.straggles(stream);
        return;
    }
    const auto& current = stream.current;
    if (current.was_told() && !current.left) ++changes_.cut_stream;
    if (stream.asking || stream.answer.streams) stream.current.scope.cancel(cause::shutdown);
    fail_body(stream, rule::drain);
    // A client that takes nothing for this long is as good as gone; a source that stands still has failed.
    count(stream, by_drain ? request_end::cut : stream.asking ? request_end::finished : request_end::gone);
    reset(stream, NGHTTP2_INTERNAL_ERROR);
}

/// Who watches the health is told at once, long before the drain.
void machine::stop_begins() noexcept {
    worked_during_stop_ = !all_.empty();
    for (auto& stream : all_) {
        if (stream.through && stream.through->inside) stream.through->inside->stop_begins();
        if (!stream.current.to_be_told() || !is_watch(stream.current.to)) continue;
        stream.current.notify(clock::time_point::max() - std::chrono::hours(1));  // it has until the grace ends
        if (stream.state == connection_state::streaming) ++changes_.told;
    }
}

void machine::cut(const moment& at) {
    at_ = at;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& stream = *next++;
        if (stream.state == connection_state::handling && stream.asking) {
            stream.current.tell(cause::shutdown);
            fail_body(stream, rule::drain);
        }
        if (stream.through && stream.through->inside) {
            stream.through->inside->cut(at);
            wake_later(stream);
        } else if (!stream.outcome.cut) {
            cut(stream, true);
        }
    }
    if (!departure_.told_last()) go({'K', '-'}, at);
    gone_ = true;
}

void machine::end() noexcept {
    changes_.finished += forced_ ? 0 : std::exchange(unflushed_, 0);
    changes_.cut += std::exchange(unflushed_, 0);
    for (auto& stream : all_)
        if (stream.through && stream.through->inside) stream.through->inside->end();
    for (auto& stream : all_)
        if (!std::exchange(stream.outcome.counted, true)) ++(forced_ ? changes_.cut : changes_.gone);
}

}  // namespace server::http2
