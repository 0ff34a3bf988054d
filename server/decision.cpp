#include "server/decision.hpp"

#include <algorithm>

namespace server {
namespace {

using std::chrono::milliseconds;
using action = decision::action;

constexpr milliseconds rest_after{1'000};  // an idle connection gives its buffer back
constexpr milliseconds quiet_linger{30};   // in a drain: acknowledged and silent for that long is over

}  // namespace

decision decide(const connection_view& one, const drain_view& drain, lifecycle::clock::time_point now) noexcept {
    const bool over = drain.draining && now >= drain.over;
    const bool late = now >= one.deadline;
    switch (one.state) {
        case connection_state::fresh:
        case connection_state::idle:
            if (one.stirs) return {over || late ? action::hang_up : action::none, over};
            if (over || (drain.draining && now >= std::max(drain.idle_until, one.awaited)))
                return {action::look_and_close, true};
            if (late) return {action::look_and_close};
            return {!one.rests && now - one.since > rest_after ? action::rest : action::none};
        case connection_state::head:
        case connection_state::body: return {over || late ? action::time_out : action::none, over};
        case connection_state::handling:
            if (one.abandoned) return {};
            if (over) return {one.forced && one.told ? action::answer : action::tell_handler, true};
            return {!late ? action::none : one.told ? action::answer : action::tell_handler};
        case connection_state::writing:
        case connection_state::streaming: return {over || late ? action::cut : action::none, over};
        case connection_state::lingering:
            if (over || late) return {action::hang_up};
            // Who still sends what has been refused pauses for longer than this, and would not read the refusal.
            if (one.sends_on) return {};
            return {drain.draining && now - one.since > quiet_linger ? action::hang_up_if_acknowledged : action::none};
    }
    return {};
}

}  // namespace server
