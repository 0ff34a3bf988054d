// A loop as other threads see it, and what they ask of it.

#include "server/loop.hpp"

#include <fmt/format.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <new>
#include <utility>

#include "server/loop/thread.hpp"

namespace server {

namespace asio = boost::asio;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds wedged_after{250};  // without a turn

}  // namespace

loop::loop(const environment& env, std::size_t index)
    : env_(env),
      index_(index),
      published_{.account = {}, .routes = std::vector<route_metrics>(env.routes.names().size() + 1), .late = {}},
      here_(std::make_unique<loop_thread>(env, index, io_, published_)) {}

loop::~loop() = default;

void loop::run() {
    here_->run();
    for (const auto& [name, error] : here_->tasks().errors()) std::rethrow_exception(error);
}

void loop::adopt(int descriptor, arrival client) {
    // First: from here on the descriptor is closed whatever fails.
    transport socket(descriptor);
    auto made = std::make_unique<connection>(here_->resources(), std::move(socket), std::move(client));
    arriving_.fetch_add(1, std::memory_order_relaxed);
    try {
        asio::dispatch(io_, [this, made = std::move(made)]() mutable {
            arriving_.fetch_sub(1, std::memory_order_relaxed);
            here_->take(std::move(made));
        });
    } catch (const std::bad_alloc&) {
        arriving_.fetch_sub(1, std::memory_order_relaxed);
        throw;
    }
}

void loop::give(unsigned order) noexcept {
    try {
        asio::post(io_, [this, order] { here_->obey(order); });
    } catch (const std::bad_alloc&) {
        // The next tick does it: it needs no memory for that.
        here_->orders.fetch_or(order);
    }
}

void loop::drain() { give(loop_thread::to_drain); }

void loop::seal() { give(loop_thread::to_seal); }

void loop::close() { give(loop_thread::to_close); }

void loop::apply(std::shared_ptr<const options> fresh) {
    asio::post(io_, [this, fresh = std::move(fresh)] { here_->apply(fresh); });
}

void loop::make_room() {
    asio::post(io_, [this] { here_->make_room(); });
}

void loop::begin(std::function<void()> work) {
    asio::post(io_, [this, work = std::move(work)] {
        try {
            work();
        } catch (...) {  // without it no client is served
            here_->fail(std::current_exception());
        }
    });
}

std::optional<milliseconds> loop::stall() const noexcept {
    const clock::time_point at(clock::duration(static_cast<clock::rep>(account().turned_at.get())));
    if (at == clock::time_point{}) return std::nullopt;
    return std::chrono::duration_cast<milliseconds>(clock::now() - at);
}

std::vector<lifecycle::shutdown_report::straggler> loop::stragglers() const {
    std::vector<lifecycle::shutdown_report::straggler> late;
    const auto* const runs = last_entered();
    if (const auto still = stall(); still > wedged_after)  // not if there is none
        late.push_back({.name = runs == nullptr ? "unknown" : runs->name,
                        .kind = "request",
                        .age = *still,
                        .where = fmt::format("on {}-{}, which does not turn", env_.name, index_ + 1)});
    published_.late.append_to(late);
    return late;
}

}  // namespace server
