#include "server/decision.hpp"

#include <algorithm>

namespace server {
namespace {

using lifecycle::clock;
using std::chrono::milliseconds;
using action = decision::action;

constexpr milliseconds longest_spread{5'000};
constexpr milliseconds longest_spread_of_ends{500};
constexpr int share_of_spread = 16;       // of the time that a connection may be idle
constexpr milliseconds quiet_linger{30};  // in a drain: acknowledged and silent for that long is over

/// From 0 to 255. The time at which it entered its state, in nanoseconds, is as good as chance (Knuth, TAOCP 6.4).
int chance(const connection_view& view) noexcept {
    return static_cast<int>((static_cast<std::uint64_t>(view.since.time_since_epoch().count()) * 0x9e3779b97f4a7c15U) >>
                            56);
}

/// How much longer than its time an idle connection is kept. Connections that became idle together would end together,
/// and a client with many connections to choose from (a proxy's pool) would lose most of them at the same moment.
clock::duration spread(const connection_view& view) noexcept {
    const auto longest = std::min<clock::duration>((view.deadline - view.since) / share_of_spread, longest_spread);
    return longest / 256 * chance(view);
}

/// Streams that are told at one moment come back at one moment.
clock::duration spread(const connection_view& view, const drain_view& drain) noexcept {
    const auto longest = std::min<clock::duration>((drain.idle_until - drain.began) / 2, longest_spread_of_ends);
    return longest / 256 * chance(view);
}

}  // namespace

decision decide(const connection_view& view, const drain_view& drain, lifecycle::clock::time_point now) noexcept {
    const bool over = drain.draining && now >= drain.over;
    const bool late = now >= view.deadline;
    switch (view.state) {
        case connection_state::fresh:
        case connection_state::idle:
            if (view.stirs) return {over || late ? action::hang_up : action::none, over};
            if (over || (drain.draining && now >= std::max(drain.idle_until, view.awaited)))
                return {action::look_and_close, true};
            if (late && (view.state == connection_state::fresh || now >= view.deadline + spread(view)))
                return {action::look_and_close};
            return {!view.rests && now - view.since > rest_after ? action::rest : action::none};
        case connection_state::head:
        case connection_state::body: return {over || late ? action::time_out : action::none, over};
        case connection_state::handling:
            if (view.abandoned) return {};
            if (drain.draining && view.to_be_told) return {action::notify, true, drain.over};
            if (over) return {view.forced && view.told ? action::answer : action::tell_handler, true};
            if (view.receives) return {late ? action::time_out : action::none};
            return {!late ? action::none : view.told ? action::answer : action::tell_handler};
        case connection_state::streaming:
            if (over || late) return {action::cut, over};
            if (drain.draining && view.to_be_told && now >= drain.began + spread(view, drain))
                return {action::notify, true, drain.over};
            if (view.was_told && view.can_end && now >= drain.idle_until) return {action::end_stream, true};
            return {};
        case connection_state::writing:
            if (over || late) return {action::cut, over};
            if (view.has_ended && drain.draining && now >= std::max(drain.idle_until, view.since) + longest_unread)
                return {action::cut_unread, true};
            return {};
        case connection_state::lingering:
            if (over || late) return {action::hang_up};
            // A client that still sends what has been refused pauses for longer than this, and would not read the
            // refusal.
            if (view.sends_on) return {};
            return {drain.draining && now - view.since > quiet_linger ? action::hang_up_if_acknowledged : action::none};
    }
    return {};
}

}  // namespace server
