// How it begins, what the tick does to its streams, and how it is cut.

#include "server/http2/machine.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "server/http2/health.hpp"

namespace server::http2 {

using lifecycle::cause;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds look_at_rate{1'000};
constexpr milliseconds longest_farewell{1'000};  // of a stream whose session has ended, in a drain

/// More streams than nghttp2 itself would refuse: they are answered instead; see answering::start.
constexpr std::uint32_t any_number = 0x7fff'ffff;

/// A session has ended, and its client takes none of what that has said last: with the window shut, for ever. Of a
/// socket of its own the kernel would see to it.
bool is_left_behind(const stream& stream, const drain_view& drain, milliseconds write_timeout, clock::time_point now) {
    if (stream.id == 0) return false;
    if (now >= stream.since + write_timeout) return true;
    return drain.draining && (now >= drain.over || now >= std::max(stream.since, drain.began) + longest_farewell);
}

}  // namespace

machine::~machine() {
    while (!all_.empty()) release(all_.front());
}

void machine::begin(const handover& from, const moment& at) {
    at_ = at;
    limits_ = host_.limits;
    patience_ = from.patience;
    trusts_peer_ = from.trusts_peer;
    worked_during_stop_ = from.worked_during_stop;
    departure_.await_first(from.deadline);
    const std::array<nghttp2_settings_entry, 4> ours{
        {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, any_number},
         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits_->max_header_bytes)},
         {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
         {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1}}};  // RFC 9218 section 2.1; the tree of RFC 7540 costs much
    framer_.begin(std::span(ours).first(ours.size() - (host_.routes.has_sessions() ? 0 : 1)), window_of_connection);
}

void machine::tick(const drain_view& drain, const moment& at) {
    at_ = at;
    for (auto next = all_.begin(); next != all_.end();) {
        auto& stream = *next++;
        if (stream.through) {
            if (stream.through->inside)
                stream.through->inside->tick(drain, at);
            else if (is_left_behind(stream, drain, limits_->write_timeout, at.now))
                reset(stream, NGHTTP2_CANCEL);
            wake_later(stream);
            continue;
        }
        obey(stream, decide(stream.view(), drain, at.now));
        if (framer_.has_ended()) return;
    }
    departure_.see(drain);
    say_goodbye();
}

void machine::obey(stream& stream, decision decided) {
    const bool drain = decided.by_drain;
    auto& current = stream.current;
    switch (decided.what) {
        case decision::action::time_out: time_out(stream, drain); break;
        case decision::action::notify:
            current.notify(decided.app_gives_up);
            if (current.to->at_stop == at_drain::end) current.scope.cancel(cause::shutdown);
            if (stream.state == connection_state::streaming) ++changes_.told;
            break;
        case decision::action::end_stream:
            if (std::exchange(stream.outcome.ended_by_us, true)) break;
            current.scope.cancel(cause::shutdown);
            if (!stream.asking && stream.id != 0) end_source(stream);
            break;
        case decision::action::tell_handler:
            stream.outcome.forced = stream.outcome.forced || drain;
            stream.deadline = drain ? clock::time_point::max() : at_.now + grace_after_deadline;
            current.tell(drain ? cause::shutdown : cause::deadline);
            fail_body(stream, drain ? rule::drain : rule::request_timeout);
            forced_ = forced_ || (drain && !never_came(stream));
            break;
        case decision::action::answer: abandon(stream); break;
        case decision::action::cut:
            if (!drain && !stream.asking && stream.answer.moved > least_bytes(limits_->write_timeout)) {
                stream.answer.moved = 0;
                stream.deadline = at_.now + limits_->write_timeout;
                break;
            }
            cut_stream(stream, drain);
            break;
        case decision::action::cut_unread: cut_stream(stream, false); break;
        default: break;
    }
}

void machine::time_out(stream& stream, bool by_drain) {
    if (stream.state == connection_state::handling) return body_is_late(stream);
    if (stream.state == connection_state::head) return end_hostile(NGHTTP2_PROTOCOL_ERROR);  // nothing else can come
    const auto end = stream.since + limits_->body_timeout;
    if (!by_drain && at_.now < end && stream.body.received >= least_bytes(at_.now - stream.since)) {
        stream.deadline = std::min(end, at_.now + look_at_rate);
        return;
    }
    // A client that has sent a head alone has begun nothing that the end of the drain could cut short.
    const bool cuts = by_drain && stream.body.received > 0;
    stream.outcome.forced = stream.outcome.forced || cuts;
    forced_ = forced_ || cuts;
    refuse(stream, by_drain ? rule::drain : rule::body_timeout);
}

/// A client that watches the health is told at once, long before the drain.
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
            cut_stream(stream, true);
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
