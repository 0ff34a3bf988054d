#include "server/loop/thread.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <new>
#include <stdexcept>
#include <utility>

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick_of_a_stop{10};
constexpr std::size_t most_timers = 256;
constexpr std::size_t own_timers = 8;  // beside those of requests in flight: tick, listener, handlers that are late

milliseconds idle_grace(const environment& env) {
    return env.stop != nullptr ? env.stop->options().idle_grace : milliseconds(0);
}

/// Made while there is memory: a lack of memory may be what ends a tick. One for all loops: hundreds of them would use
/// up what the runtime keeps for exceptions when there is no other memory, and then it ends the process.
const std::exception_ptr tick_has_ended = std::make_exception_ptr(std::runtime_error("its tick has ended"));

/// A loop whose tick has ended before its time keeps no deadlines.
struct without_tick {
    loop_thread& whose;
    const loop_drain& drain;
    ~without_tick() {
        if (!drain.ended()) whose.fail(tick_has_ended);
    }
};

}  // namespace

loop_thread::loop_thread(const environment& env, std::size_t index, asio::io_context& io, published& seen)
    : env_(env),
      index_(index),
      io_(io),
      seen_(seen),
      drain_(env.deadline, idle_grace(env), seen.account.open, [this] { end(); }),
      resources_(env, index, io, seen, drain_),
      timer_(io),
      tick_(env, resources_, drain_) {}

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
    resources_.serving().http2 = env_.http2 != nullptr;
    if (env_.observers) resources_.serving().observer = env_.observers(index_);
    seen_.thread = static_cast<pid_t>(::syscall(SYS_gettid));
    seen_.account.turned_at.set(static_cast<std::uint64_t>(clock::now().time_since_epoch().count()));
    reserve_timers();
    begin_tick();
    for (bool ended = false; !ended;) {
        try {
            io_.run();
            ended = true;
        } catch (const std::bad_alloc& e) {  // whatever wanted it has ended, or does not begin
            resources_.log().lost_connection(e.what());
        } catch (...) {
            fail(std::current_exception());
        }
    }
    resources_.access().write();
}

/// Asio's queue of timers grows when one is started, where a coroutine cannot be told that there is no memory.
void loop_thread::reserve_timers() {
    const auto most = std::min(resources_.serving().limits->max_in_flight + own_timers, most_timers);
    std::vector<lifecycle::loop_timer> timers;
    timers.reserve(most);
    for (std::size_t nth = 0; nth < most; ++nth) {
        timers.emplace_back(io_, clock::now() + std::chrono::hours(1));
        timers.back().async_wait([](boost::system::error_code) {});
    }
}

void loop_thread::take(std::unique_ptr<connection> connection) noexcept try {
    if (!drain_.takes()) return;       // the socket closes itself
    const auto at = resources_.now();  // before it is among those that a stop finds open
    connection->begin(at, env_.secure ? env_.secure->make() : nullptr);
    resources_.connections().add(std::move(connection), at);
} catch (const std::exception& e) {
    resources_.log().lost_connection(e.what());
    // What was missing, be it memory, comes back with one connection fewer.
    make_room();
}

// ── the tick ────────────────────────────────────────────────────────────────────────────────────

/// In a turn: a coroutine that is spawned outside of one begins with an operation, and aborts where there is no memory
/// for it.
void loop_thread::begin_tick() {
    asio::post(io_, [this] {
        try {
            tasks().spawn("tick", "timer", tick());
        } catch (...) {
            fail(std::current_exception());
        }
    });
}

lifecycle::awaitable<> loop_thread::tick() {
    const without_tick last_words{.whose = *this, .drain = drain_};
    auto due = clock::now();
    while (!drain_.ended()) {
        const auto pause = resources_.clock().stopping() ? tick_of_a_stop : loop::usual_tick;
        due = clock::now() + pause;
        resources_.requests().stalls().expect(due);
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
        tick_.come(now, lag);
    } catch (const std::exception& e) {
        resources_.log().tick_failed(e.what());
    }
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

void loop_thread::obey(unsigned given) {
    if ((given & to_seal) != 0) drain_.seal();
    if ((given & to_close) != 0) {
        drain_.close();
        resources_.connections().cut();
    }
    if ((given & to_drain) != 0 && !drain_.closing()) {
        // The account of the stop begins with what is there before anything of it ends.
        resources_.clock().stopping();
        const auto now = clock::now();
        resources_.serving().draining = true;
        drain_.begin(now);
        resources_.clock().part_from(now);
        // The tick may be 50 ms away; in a drain it comes sooner.
        timer_.cancel();
    }
    drain_.end_if_empty();
}

void loop_thread::fail(std::exception_ptr why) noexcept {
    if (failed_) return;
    failed_ = true;
    if (env_.failed) env_.failed(index_, std::move(why));
    obey(to_close);
}

/// The last connection has gone and no new one can come: the loop runs out of work.
void loop_thread::end() {
    resources_.sockets().close();
    resources_.handlers().close();
    tasks().close();
    timer_.cancel();
}

}  // namespace server
