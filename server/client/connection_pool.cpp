#include "server/client/connection_pool.hpp"

#include <new>
#include <utility>

#include "lifecycle/stop_channel.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;

namespace {

constexpr std::chrono::milliseconds look_interval{50};

bool stopping(const upstream& to) { return to.limits.stop != nullptr && to.limits.stop->stopping(); }

}  // namespace

/// A call that waits for a place. Leaves the queue, or passes on a place that came too late, when destroyed.
struct connection_pool::waiter {
    waiter(peer& its_peer, lifecycle::loop_timer& wake_by) : of(its_peer), timer(wake_by) {
        of.waiting.push_back(this);
    }
    ~waiter() {
        std::erase(of.waiting, this);
        if (granted) give_back(of);
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    peer& of;
    lifecycle::loop_timer& timer;
    bool granted = false;
};

connection_pool::connection_pool(asio::io_context& loop)
    : asio::execution_context::service(loop), on_(loop.get_executor()), sleepers_(lifecycle::sleepers::of(on_)) {}

connection_pool& connection_pool::of(lifecycle::executor on) {
    return asio::use_service<connection_pool>(on.context());
}

/// Coroutines that are still there go after this, and give their places back to `peers_`.
void connection_pool::shutdown() {
    if (is_linked()) sleepers_.remove(*this);
    for (auto& [to, peer] : peers_) peer.kept.clear();
}

lifecycle::awaitable<std::unique_ptr<connection_pool::place>> connection_pool::wait_for_place(
    lifecycle::context context, std::shared_ptr<const upstream> to, std::source_location where) {
    auto& its_peer = peers_[to.get()];
    its_peer.to = to;
    if (context.done()) co_return std::unique_ptr<place>();
    if (its_peer.taken < to->limits.connections) {
        auto mine = std::make_unique<place>(*this, its_peer);
        ++its_peer.taken;
        co_return mine;
    }
    lifecycle::loop_timer timer(on_, context.deadline());
    waiter me(its_peer, timer);
    const lifecycle::context::waiting breadcrumb(context, where);
    const lifecycle::context::on_cancel wake(context, [&timer] { timer.cancel(); });
    while (!me.granted && !context.done()) {
        auto told = timer.async_wait(lifecycle::quietly);
        co_await std::move(told);
    }
    if (context.done()) co_return std::unique_ptr<place>();
    auto mine = std::make_unique<place>(*this, its_peer);
    me.granted = false;
    co_return mine;
}

/// To the call that has waited longest, which no other can overtake: the number of places stays at its limit meanwhile.
void connection_pool::give_back(peer& from) noexcept {
    if (from.waiting.empty()) {
        --from.taken;
        return;
    }
    auto& next = *from.waiting.front();
    from.waiting.pop_front();
    next.granted = true;
    next.timer.cancel();
}

std::size_t connection_pool::kept() const noexcept {
    std::size_t all = 0;
    for (const auto& [to, peer] : peers_) all += peer.kept.size();
    return all;
}

void connection_pool::look_again() noexcept {
    if (is_linked()) return;
    due = clock::now() + look_interval;
    sleepers_.add(*this);
}

void connection_pool::go_on(clock::time_point now) {
    for (auto& [to, peer] : peers_) {
        const auto too_old = now - to->limits.idle_timeout;
        const bool none = stopping(*to);
        std::erase_if(peer.kept, [&](const kept_stream& kept) {
            return none || kept.since <= too_old || !kept.stream->is_quiet();
        });
    }
    if (kept() > 0) look_again();
}

std::unique_ptr<upstream_stream> connection_pool::place::take_kept() {
    while (!at_.kept.empty()) {  // an unexpected byte is as bad as the end: which request would it answer?
        auto newest = std::move(at_.kept.back().stream);
        at_.kept.pop_back();
        if (newest->is_quiet()) return newest;
    }
    return nullptr;
}

void connection_pool::place::keep(std::unique_ptr<upstream_stream> stream) noexcept try {
    if (stopping(*at_.to)) return;
    at_.kept.push_back({std::move(stream), clock::now()});
    pool_.look_again();
} catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it is closed, and the answer stands
}

}  // namespace server
