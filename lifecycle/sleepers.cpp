// How coroutines sleep.

#include "lifecycle/sleepers.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <cassert>
#include <cstddef>
#include <new>
#include <utility>

#include "lifecycle/task_group.hpp"
#include "lifecycle/wake_up.hpp"

namespace lifecycle {

namespace asio = boost::asio;

void sleepers::add(sleeper& fresh) noexcept {
    // Not in the look that goes on, which would never end if each that it wakes fell asleep again at once.
    fresh.due = std::max(fresh.due, looked_at_ + clock::duration(1));
    if (all_.empty() || all_.rbegin()->due <= fresh.due)
        all_.push_back(fresh);
    else
        all_.insert(fresh);
    arm();
}

void sleepers::hurry(sleeper& which) noexcept {
    all_.erase(all_.iterator_to(which));
    which.due = clock::time_point::min();
    all_.insert(all_.begin(), which);
    arm();
}

/// Where nothing sleeps any more nothing is waited for: the loop can run out of work.
void sleepers::remove(sleeper& which) noexcept {
    all_.erase(all_.iterator_to(which));
    if (all_.empty() && armed_) timer_.cancel();
}

/// Where there is no memory for that, not even in the reserve, the next that falls asleep or is woken tries it again.
void sleepers::arm() noexcept {
    if (looks_ || all_.empty()) return;
    const auto due = all_.begin()->due;
    if (armed_) {  // one wait at a time: the end of this one is a look, which arms it again
        if (due < std::exchange(armed_until_, std::min(due, armed_until_))) timer_.cancel();
        return;
    }
    try {
        timer_.expires_at(due);
        auto ready = [this](const boost::system::error_code&) { look(); };
        timer_.async_wait(asio::bind_allocator(operation_allocator<void>(), std::move(ready)));
        armed_ = true;
        armed_until_ = due;
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): tried again, see above
    }
}

/// Wakes those up whose time has come.
void sleepers::look() {
    struct looking {
        sleepers& whose;
        ~looking() {
            whose.looks_ = false;
            whose.arm();
        }
    };
    armed_ = false;
    looked_at_ = clock::now();
    looks_ = true;
    const looking here{*this};  // what is thrown is for the loop, and the others go on
    while (!all_.empty() && all_.begin()->due <= looked_at_) {
        auto& next = *all_.begin();
        all_.erase(all_.begin());
        if (!all_.empty()) all_.begin()->prepare();
        next.go_on(looked_at_);
    }
}

/// Their io_context ends. What a coroutine has in it may end others.
void sleepers::shutdown() {
    looks_ = true;  // nothing is armed any more
    while (!all_.empty()) {
        auto& next = *all_.begin();
        all_.erase(all_.begin());
        next.drop();
    }
}

namespace {

/// A coroutine that waits for a time, as a local variable of it: it keeps what Asio resumes the coroutine by.
class sleeping_coroutine final : public sleeper {
public:
    sleeping_coroutine(sleepers& among, clock::time_point when) noexcept : among_(among) { due = when; }
    ~sleeping_coroutine() { assert(waits_ == nullptr && "it is destroyed with its coroutine, which goes on first"); }

    /// To be awaited at once.
    auto sleep() {
        auto begin = [this]<class Handler>(Handler handler) {
            static_assert(sizeof(waiting_as<Handler>) <= sizeof place_);
            waits_ = new (place_) waiting_as<Handler>(std::move(handler));
            among_.add(*this);
        };
        return asio::async_initiate<const asio::deferred_t, void()>(std::move(begin), asio::deferred);
    }
    /// It need not wait any longer.
    void wake() {
        if (waits_ != nullptr)
            among_.hurry(*this);
        else
            due = clock::time_point::min();  // it does not wait yet
    }

    void go_on(clock::time_point) override { std::exchange(waits_, nullptr)->go_on(); }
    void drop() override { std::exchange(waits_, nullptr)->drop(); }

private:
    /// Without its type.
    class waiting {
    public:
        virtual void go_on() = 0;
        virtual void drop() = 0;

    protected:
        ~waiting() = default;
    };
    template <class Handler>
    class waiting_as final : public waiting {
    public:
        explicit waiting_as(Handler handler) : handler_(std::move(handler)) {}
        void go_on() override { take()(); }
        void drop() override { take(); }

    private:
        Handler take() {
            auto handler = std::move(handler_);
            this->~waiting_as();
            return handler;
        }
        Handler handler_;
    };

    sleepers& among_;
    waiting* waits_ = nullptr;
    alignas(std::max_align_t) std::byte place_[64];
};

/// Wakes a sleeper when Asio cancels its coroutine, as task_group::cancel does.
class asio_cancel {
public:
    asio_cancel(asio::cancellation_slot slot, sleeping_coroutine& which) : slot_(slot) {
        if (slot_.is_connected()) slot_.assign([&which](asio::cancellation_type) { which.wake(); });
    }
    asio_cancel(const asio_cancel&) = delete;
    asio_cancel& operator=(const asio_cancel&) = delete;
    ~asio_cancel() {
        if (slot_.is_connected()) slot_.clear();
    }

private:
    asio::cancellation_slot slot_;
};

}  // namespace

clock::time_point shared_wake_up(clock::time_point when, clock::time_point now) noexcept {
    using std::chrono::milliseconds;
    if (when < now + exact_sleep || when > clock::time_point::max() - milliseconds(1)) return when;
    return std::chrono::ceil<milliseconds>(when);
}

awaitable<bool> sleep_until(context context, clock::time_point when, std::source_location where) {
    const auto began = clock::now();
    const auto deadline = context.deadline();
    if (began >= deadline) co_return false;
    const auto on = co_await asio::this_coro::executor;
    const auto state = co_await asio::this_coro::cancellation_state;
    bool ended = false;
    sleeping_coroutine self(sleepers::of(on), shared_wake_up(std::min(when, deadline), began));
    const context::waiting breadcrumb(context, where);
    const context::on_cancel woken(context, [&] {
        ended = true;
        self.wake();
    });
    if (ended) co_return false;
    const asio_cancel cancelled(state.slot(), self);
    auto sleeping = self.sleep();
    co_await std::move(sleeping);
    // By the clock, not by what has woken it: a cancel and the time may come together.
    const auto now = clock::now();
    const bool is_over = ended || now >= deadline;
    co_return !is_over && now >= when;
}

}  // namespace lifecycle
