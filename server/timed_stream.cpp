#include "server/timed_stream.hpp"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cassert>
#include <cstddef>
#include <exception>
#include <utility>

#include "lifecycle/wake_up.hpp"

namespace server {

using lifecycle::cause;
using lifecycle::clock;

timed_stream::timed_stream(const lifecycle::context& until, clock::time_point first, timed_event_source next,
                           std::source_location where)
    : next_(std::move(next)),
      next_event_(first),
      until_(until),
      deadline_(until.deadline()),
      place_(until, where),
      woken_(until, [this] { wake(); }) {
    out_.retry(time_to_return());
}

timed_stream::~timed_stream() {
    if (asker_ != nullptr) among_->remove(*this);
}

void timed_stream::wake() noexcept {
    ended_ = true;
    if (asker_ != nullptr) among_->hurry(*this);
}

lifecycle::awaitable<std::string> timed_stream::text() {
    const auto on = co_await boost::asio::this_coro::executor;
    const bool begins = among_ == nullptr;
    among_ = &lifecycle::sleepers::of(on);
    if (begins) co_return std::string(event_stream_comment);
    if (!over_) {
        auto sleeping = lifecycle::sleep_until(until_, wakes_up_at(clock::now()));
        co_await std::move(sleeping);
    }
    co_return say(clock::now());
}

bool timed_stream::ask(exchange& of, asker& whose) {
    assert(among_ != nullptr && asker_ == nullptr && "it has begun, and is asked for a text at a time");
    if (over_) {
        of.piece = 0;
        return true;
    }
    exchange_ = &of;
    asker_ = &whose;
    due = ended_ ? clock::time_point::min() : wakes_up_at(clock::now());
    among_->add(*this);
    return false;
}

void timed_stream::go_on(clock::time_point now) {
    auto& whose = *std::exchange(asker_, nullptr);
    try {
        exchange_->reply.body = say(now);
        exchange_->piece = exchange_->reply.body.size();
    } catch (...) {
        exchange_->thrown = std::current_exception();
    }
    whose.returned();
}

/// Of thousands of streams none is in a cache when its event is due, and the kernel takes microseconds to send the one
/// before it.
void timed_stream::prepare() const noexcept {
    const auto fetch = [](const void* from, std::size_t bytes) {
        constexpr std::size_t line = 64;
        for (std::size_t at = 0; at < bytes; at += line) __builtin_prefetch(static_cast<const char*>(from) + at);
    };
    constexpr std::size_t of_a_connection = 448;
    fetch(this, sizeof *this);
    fetch(exchange_, sizeof *exchange_);
    fetch(asker_, of_a_connection);
}

clock::time_point timed_stream::wakes_up_at(clock::time_point now) const noexcept {
    return lifecycle::shared_wake_up(std::min({next_event_, now + heart_beat, deadline_}), now);
}

/// It has woken up: for its event, for a heartbeat, or because its context has ended.
std::string timed_stream::say(clock::time_point now) {
    if (over_) return {};
    const auto why = ended_ || now >= deadline_ ? until_.why() : cause::none;
    if (why == cause::shutdown || (why == cause::none && now >= next_event_)) {
        const auto next = next_(until_, out_);
        over_ = !next;
        next_event_ = next.value_or(next_event_);
    }
    over_ = over_ || why != cause::none;
    if (out_.empty() && !over_) return std::string(event_stream_comment);
    return out_.take();
}

}  // namespace server
