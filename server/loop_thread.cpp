// How a loop runs and how it fails; what its connections use.

#include "server/loop_thread.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cassert>
#include <new>
#include <utility>

#include "lifecycle/lines.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t scratch_size = 16 * 1024;
constexpr std::size_t most_timers = 256;
constexpr std::size_t own_timers = 8;  // beside those of requests in flight: tick, listener, handlers that are late

}  // namespace

loop_thread::loop_thread(const environment& env, std::size_t index, asio::io_context& io, published& seen)
    : env_(env),
      index_(index),
      io_(io),
      seen_(seen),
      clock_(env.stop, [this](std::uint64_t nth) { note_stop(nth); }),
      host_{.routes = env.routes,
            .limits = env.limits,
            .places = admission([this](bool to_the_last) { return requests_.has_room(to_the_last); },
                                seen.account.crowded_until),
            .ids = {},
            .date = {}},
      timer_(io),
      sockets_(io, [this] { access_.write(); }),
      workspaces_(host_.limits),
      scratch_(scratch_size),
      turns_(io),
      log_(env.log, env.name, index),
      access_(env, io, sockets_),
      requests_(env, seen, host_, log_, access_),
      tasks_(io.get_executor()),
      handlers_(tasks_) {
    env.routes.joined(host_, io);
    update_date();
}

loop_thread::~loop_thread() = default;

/// However a loop ends, nothing waits for a turn of it any more.
struct loop_thread::running {
    explicit running(loop_thread& loop_thread) : whose(loop_thread) { whose.kept_back_ = &kept_back; }
    ~running() {
        whose.seen_.account.turned_at.set(0);
        whose.kept_back_ = nullptr;
    }
    running(const running&) = delete;
    running& operator=(const running&) = delete;

    loop_thread& whose;
    lifecycle::operation_memory kept_back;
};

/// Nobody cancels the thread of a loop, and it says so: else glibc makes each recv(2), send(2) and epoll_wait(2) a
/// place to be cancelled at, which is entered and left by a locked instruction (pthread_setcanceltype(3)).
static void be_no_cancellation_point() noexcept {
    int before = 0;
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    ::pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
}

void loop_thread::run() {
    const running here(*this);
    be_no_cancellation_point();
    host_.http2 = env_.http2 != nullptr;
    if (env_.observers) host_.observer = env_.observers(index_);
    seen_.thread = static_cast<pid_t>(::syscall(SYS_gettid));
    seen_.account.turned_at.set(static_cast<std::uint64_t>(clock::now().time_since_epoch().count()));
    reserve_timers();
    begin_tick();
    for (bool ended = false; !ended;) {
        try {
            io_.run();
            ended = true;
        } catch (const std::bad_alloc& e) {  // whatever wanted it has ended, or does not begin
            log_.lost_connection(e.what());
        } catch (...) {
            fail(std::current_exception());
        }
    }
    access_.write();
}

/// In a turn: a coroutine that is spawned outside of one begins with an operation, and aborts where there is no memory
/// for it.
void loop_thread::begin_tick() {
    asio::post(io_, [this] {
        try {
            tasks_.spawn("tick", "timer", tick());
        } catch (...) {
            fail(std::current_exception());
        }
    });
}

/// Asio's queue of timers grows when one is started, where a coroutine cannot be told that there is no memory.
void loop_thread::reserve_timers() {
    const auto most = std::min(host_.limits->max_in_flight + own_timers, most_timers);
    std::vector<lifecycle::loop_timer> timers;
    timers.reserve(most);
    for (std::size_t nth = 0; nth < most; ++nth) {
        timers.emplace_back(io_, clock::now() + std::chrono::hours(1));
        timers.back().async_wait([](boost::system::error_code) {});
    }
}

void loop_thread::fail(std::exception_ptr why) noexcept {
    if (failed_) return;
    failed_ = true;
    if (env_.failed) env_.failed(index_, std::move(why));
    obey(to_close);
}

void loop_thread::take(std::unique_ptr<connection> connection) noexcept try {
    if (closing_ || ended_) return;  // the socket closes itself
    const auto at = now();           // before it is among those that a stop finds open
    connection->begin(at, env_.secure ? env_.secure->make() : nullptr);
    connections_.add(*connection.release(), listing::waits);
    seen_.account.connection_began(at.stopping);
    publish_idle();
} catch (const std::exception& e) {
    log_.lost_connection(e.what());
    // What was missing, be it memory, comes back with one connection fewer.
    make_room();
}

bool loop_thread::make_room() {
    const auto before = seen_.account.open.get();
    auto& idle = connections_.of(listing::waits);
    for (auto left = connections_.count(listing::waits); left > 0 && !idle.empty(); --left) {
        idle.front().look_and_close('R');  // one that has sent something stays
        if (seen_.account.open.get() < before) return true;
    }
    if (!ends_slow_heads()) return false;
    auto& busy = connections_.of(listing::works);
    const auto slow = std::ranges::find(busy, connection::state::head, &connection::now_in);
    if (slow == busy.end()) return false;
    slow->cut();
    return true;
}

void loop_thread::obey(unsigned given) {
    if ((given & to_seal) != 0) sealed_ = true;
    if ((given & to_close) != 0) {
        draining_ = closing_ = true;
        for (auto& some : connections_.all())
            for (auto at = some.begin(); at != some.end();) (at++)->cut();
    }
    if ((given & to_drain) != 0 && !closing_) {
        // The account of the stop begins with what is there before anything of it ends.
        clock_.stopping();
        draining_ = host_.draining = true;
        drain_began_ = clock::now();
        clock_.part_from(drain_began_);
        idle_until_ = drain_began_ + (env_.stop != nullptr ? env_.stop->options().idle_grace : milliseconds(0));
        // The tick may be 50 ms away; in a drain it comes sooner.
        timer_.cancel();
    }
    end_if_empty();
}

// ── for the connections ─────────────────────────────────────────────────────────────────────────

/// The account of a stop begins with what is there when its loop first knows of it.
void loop_thread::note_stop(std::uint64_t nth) {
    seen_.account.note_stop(nth);
    for (auto& some : connections_.all())
        for (auto& client : some) client.stop_begins();
}

bool loop_thread::has_place_for(const socket_address& client, client_table::share& share) noexcept try {
    const auto& limits = *host_.limits;
    const auto most = limits.max_connections_per_client;
    if (most == 0 || client.is_unix() || is_among(client, limits.trusted_proxies)) return true;
    auto taken = env_.clients->take(client.address());
    share = std::move(taken.held);
    return taken.nth <= most;
} catch (const std::bad_alloc&) {
    return false;
}

void loop_thread::left(connection& client, listing as) {
    const bool in_stop = clock_.stopping();  // first: what the stop finds open is counted with this one still among it
    connections_.remove(client, as);
    seen_.account.idle.set(connections_.count(listing::waits));
    seen_.account.connection_ended(client.forced(), client.worked_during_stop(), in_stop);
    turns_.forget(client);
    if (client.straggled()) seen_.late.remove(&client);  // its handler has returned after all
    end_if_empty();
}

}  // namespace server
