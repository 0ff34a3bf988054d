#include "server/loop/connections.hpp"

#include <algorithm>
#include <array>

namespace server {

void loop_connections::add(std::unique_ptr<connection> begun, const moment& at) noexcept {
    lists_.add(*begun.release(), listing::waits);
    seen_.account.connection_began(at.stopping);
    publish_idle();
}

void loop_connections::left(connection& which, listing as) {
    const bool in_stop = clock_.stopping();  // first: what the stop finds open is counted with this one still among it
    lists_.remove(which, as);
    seen_.account.idle.set(lists_.count(listing::waits));
    seen_.account.connection_ended(which.forced(), which.worked_during_stop(), in_stop);
    turns_.forget(which);
    if (which.straggled()) seen_.late.remove(&which);  // its handler has returned after all
    drain_.end_if_empty();
}

bool loop_connections::make_room(bool heads_too) {
    const auto before = seen_.account.open.get();
    auto& idle = lists_.of(listing::waits);
    for (auto left = lists_.count(listing::waits); left > 0 && !idle.empty(); --left) {
        idle.front().look_and_close('R');  // one that has sent something stays
        if (seen_.account.open.get() < before) return true;
    }
    if (!heads_too) return false;
    auto& busy = lists_.of(listing::works);
    const auto slow = std::ranges::find(busy, connection::state::head, &connection::now_in);
    if (slow == busy.end()) return false;
    slow->cut();
    return true;
}

/// The account of a stop begins with what is there when its loop first knows of it.
void loop_connections::note_stop(std::uint64_t nth) {
    seen_.account.note_stop(nth);
    for (auto& some : lists_.all())
        for (auto& which : some) which.stop_begins();
}

void loop_connections::cut() {
    for (auto& some : lists_.all())
        for (auto next = some.begin(); next != some.end();) (next++)->cut();
}

void loop_connections::tick(listing as, const drain_view& drain, const moment& at) {
    auto& some = lists_.of(as);
    for (auto next = some.begin(); next != some.end();) (next++)->tick(drain, at);
}

/// Those whose time is over are closed at the tick when it is, not all of a quarter of a second at once.
void loop_connections::tick_late(const options& limits, const drain_view& drain, const moment& at) {
    const auto late = at.now - limits.idle_timeout;
    auto& idle = lists_.of(listing::waits);
    for (auto next = idle.begin(); next != idle.end() && next->since() <= late;) (next++)->tick(drain, at);
}

void loop_connections::publish() noexcept {
    publish_idle();
    std::array<std::uint64_t, connection_states> now{};
    for (const auto& which : lists_.of(listing::works)) ++now[static_cast<std::size_t>(which.now_in())];
    now[static_cast<std::size_t>(connection_state::streaming)] +=
        lists_.count(listing::lasts) + lists_.count(listing::silent);
    for (std::size_t at = 0; at < now.size(); ++at) seen_.account.in_state[at].set(now[at]);
}

void loop_connections::publish_idle() noexcept {
    const auto& idle = lists_.of(listing::waits);
    seen_.account.oldest_idle.set(
        idle.empty() ? 0 : static_cast<std::uint64_t>(idle.front().since().time_since_epoch().count()));
}

}  // namespace server
