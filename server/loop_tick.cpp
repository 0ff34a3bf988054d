// The coarse tick of a loop: deadlines, the drain, and what the loop says of itself.

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "server/loop/rows.hpp"
#include "server/loop_thread.hpp"

namespace server {

using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick_of_a_stop{10};
constexpr milliseconds idle_look{250};  // how often those are looked through that have nothing to do

/// Made while there is memory: a lack of memory may be what ends a tick. One for all loops: hundreds of them would use
/// up what the runtime keeps for exceptions when there is no other memory, and then it ends the process.
const std::exception_ptr tick_has_ended = std::make_exception_ptr(std::runtime_error("its tick has ended"));

/// A loop whose tick has ended before its time keeps no deadlines.
struct without_tick {
    loop_thread& whose;
    const bool& in_time;
    ~without_tick() {
        if (!in_time) whose.fail(tick_has_ended);
    }
};

}  // namespace

lifecycle::awaitable<> loop_thread::tick() {
    const without_tick last_words{.whose = *this, .in_time = ended_};
    auto due = clock::now();
    while (!ended_) {
        const auto pause = clock_.stopping() ? tick_of_a_stop : loop::usual_tick;
        due = clock::now() + pause;
        requests_.stalls().expect(due);
        timer_.expires_at(due);
        auto waiting = timer_.async_wait(lifecycle::quietly);
        const auto [error] = co_await std::move(waiting);
        const auto now = clock::now();
        if (!error) seen_.account.lag.observe(now - due);
        attempt_tick(now, error ? clock::duration{} : now - due);
    }
}

/// What it finds no memory for comes 50 ms later.
void loop_thread::attempt_tick(clock::time_point now, clock::duration lag) noexcept {
    if (const auto given = orders.exchange(0); given != 0) obey(given);
    kept_back_->refill();
    try {
        if (lag > clock::duration{})
            if (const auto found = requests_.stalls().look(lag, clock::now())) log_.stood_still(*found);
        sockets_.look();  // what it was to say later, and found no memory for
        on_tick(now);
    } catch (const std::exception& e) {
        log_.tick_failed(e.what());
    }
}

void loop_thread::on_tick(clock::time_point now) {
    seen_.account.turns.add();
    seen_.account.turned_at.set(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    update_date();
    const auto at = clock_.at(now);
    host_.places.look(now, env_.crowded_until());
    seen_.account.enters.store(false, std::memory_order_relaxed);  // it was only looked whether there is room
    const auto drain = drain_now();
    if (!warned_ && now >= warn_at(drain.over) && now < drain.over) warn_of_late();
    look_after(connections_.of(listing::works), drain, at);
    look_for_gone_clients();
    if (drain.draining) look_after(connections_.of(listing::silent), drain, at);
    if (drain.draining || clock_.has_noted_stop() || now >= next_idle_look_) {
        next_idle_look_ = now + idle_look;
        look_after(connections_.of(listing::waits), drain, at);
        look_after(connections_.of(listing::lasts), drain, at);
        if (workspaces_.shrink()) ::malloc_trim(0);  // malloc_trim(3): of all threads' arenas
    } else {
        look_after_late(drain, at);
    }
    end_if_empty();
    publish_idle();
    publish_states();
}

drain_view loop_thread::drain_now() const {
    if (!draining_) return {};
    return {.draining = true,
            .began = drain_began_,
            .idle_until = idle_until_,
            .over = env_.deadline ? env_.deadline() : clock::time_point::max()};
}

void loop_thread::look_after(connection_lists::list& some, const drain_view& drain, const moment& at) {
    for (auto next = some.begin(); next != some.end();) (next++)->tick(drain, at);
}

/// Those whose time is over are closed at the tick when it is, not all of a quarter of a second at once.
void loop_thread::look_after_late(const drain_view& drain, const moment& at) {
    const auto late = at.now - host_.limits->idle_timeout;
    auto& idle = connections_.of(listing::waits);
    for (auto next = idle.begin(); next != idle.end() && next->since() <= late;) (next++)->tick(drain, at);
}

/// A client that has gone is seen by the socket, not by the next write: one poll(2) for all whose handler waits and
/// whose socket has said something since it was asked, which nobody reads before the answer. What is in the poll set
/// for reading has said nothing. POLLRDHUP is set after unread bytes too, which readability would hide; a reset is seen
/// in any case.
void loop_thread::look_for_gone_clients() {
    auto& sockets = watched_;
    auto& owners = watched_by_;
    sockets.clear();
    owners.clear();
    for (auto& connection : connections_.of(listing::works)) {
        if (!connection.awaits_word() || connection.wants() == poll_set::interest::read) continue;
        const auto events = static_cast<short>(host_.limits->half_close ? 0 : POLLRDHUP);
        sockets.push_back({.fd = connection.descriptor(), .events = events, .revents = 0});
        owners.push_back(&connection);
    }
    if (sockets.empty() || ::poll(sockets.data(), sockets.size(), 0) <= 0) return;
    for (std::size_t nth = 0; nth < sockets.size(); ++nth)
        if ((sockets[nth].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) owners[nth]->client_gone();
}

/// 80 % of the drain's share of the budget: late enough to mean something, early enough to help.
clock::time_point loop_thread::warn_at(clock::time_point end) const {
    return end == clock::time_point::max() ? end : drain_began_ + (end - drain_began_) * 8 / 10;
}

void loop_thread::warn_of_late() {
    constexpr std::size_t most = 10;
    warned_ = true;
    std::size_t late = 0;
    const auto name = [&](const connection& client) {
        for_each_work(client, false, [&] {
            if (client.now_in() == connection::state::lingering || ++late > most) return;
            log_.drain_waits_for(client, duration_cast<milliseconds>(clock::now() - client.since()), place_of(client));
        });
    };
    for (const auto as : {listing::works, listing::lasts, listing::silent})
        std::ranges::for_each(connections_.of(as), name);
    if (late > most) log_.drain_waits_for(late - most);
}

/// The last connection has gone and no new one can come: the loop runs out of work.
void loop_thread::end_if_empty() {
    if (!draining_ || !sealed_ || ended_ || seen_.account.open.get() > 0) return;
    ended_ = true;
    sockets_.close();
    handlers_.close();
    tasks_.close();
    timer_.cancel();
}

void loop_thread::update_date() {
    access_.compare_clocks();
    const auto second = std::time(nullptr);
    if (second == date_second_) return;
    date_second_ = second;
    auto& date = host_.date;
    date.clear();  // and keeps its memory
    fmt::format_to(std::back_inserter(date), "{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(second));  // RFC 9110, 5.6.7
}

void loop_thread::publish_states() {
    std::array<std::uint64_t, connection_states> now{};
    for (const auto& connection : connections_.of(listing::works)) ++now[static_cast<std::size_t>(connection.now_in())];
    now[static_cast<std::size_t>(connection_state::streaming)] +=
        connections_.count(listing::lasts) + connections_.count(listing::silent);
    for (std::size_t at = 0; at < now.size(); ++at) seen_.account.in_state[at].set(now[at]);
}

void loop_thread::publish_idle() {
    const auto& idle = connections_.of(listing::waits);
    seen_.account.oldest_idle.set(
        idle.empty() ? 0 : static_cast<std::uint64_t>(idle.front().since().time_since_epoch().count()));
}

}  // namespace server
