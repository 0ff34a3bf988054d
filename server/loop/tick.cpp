#include "server/loop/tick.hpp"

#include <malloc.h>

#include <algorithm>
#include <ctime>

#include "server/loop/rows.hpp"
#include "server/shared_places.hpp"

namespace server {

using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

static constexpr milliseconds idle_look{250};  // how often those are looked through that have nothing to do

loop_tick::loop_tick(const environment& env, loop_resources& of, loop_drain& drain)
    : env_(env), of_(of), drain_(drain), date_(of.serving().date) {
    update_date();
}

void loop_tick::come(clock::time_point now, clock::duration lag) {
    if (lag > clock::duration{})
        if (const auto found = of_.requests().stalls().look(lag, clock::now())) of_.log().stood_still(*found);
    of_.sockets().look();  // what it found no memory to wait for
    auto& account = of_.account();
    account.turns.add();
    account.turned_at.set(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    update_date();
    const auto at = of_.clock().at(now);
    of_.serving().places.look(now, env_.places->crowded_until());
    account.enters.store(false, std::memory_order_relaxed);  // it was only looked whether there is room
    const auto drain = drain_.view();
    if (drain_.is_late(drain, now)) name_late();
    look_after_connections(drain, at);
    drain_.end_if_empty();
    of_.connections().publish();
}

void loop_tick::update_date() {
    of_.access().compare_clocks();
    date_.update(std::time(nullptr));
}

void loop_tick::look_after_connections(const drain_view& drain, const moment& at) {
    auto& all = of_.connections();
    const auto& limits = *of_.serving().limits;
    all.tick(listing::works, drain, at);
    gone_.look(all.lists().of(listing::works), limits.half_close);
    if (drain.draining) all.tick(listing::silent, drain, at);
    if (drain.draining || of_.clock().has_noted_stop() || at.now >= next_idle_look_) {
        next_idle_look_ = at.now + idle_look;
        all.tick(listing::waits, drain, at);
        all.tick(listing::lasts, drain, at);
        if (of_.workspaces().shrink()) ::malloc_trim(0);  // malloc_trim(3): of all threads' arenas
    } else {
        all.tick_late(limits, drain, at);
    }
}

/// What the drain waits for.
void loop_tick::name_late() {
    constexpr std::size_t most = 10;
    std::size_t late = 0;
    const auto name = [&](const connection& client) {
        for_each_work(client, false, [&] {
            if (client.now_in() == connection::state::lingering || ++late > most) return;
            of_.log().drain_waits_for(client, duration_cast<milliseconds>(clock::now() - client.since()),
                                      place_of(client));
        });
    };
    for (const auto as : {listing::works, listing::lasts, listing::silent})
        std::ranges::for_each(of_.connections().lists().of(as), name);
    if (late > most) of_.log().drain_waits_for(late - most);
}

}  // namespace server
