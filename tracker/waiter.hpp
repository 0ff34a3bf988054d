#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cassert>
#include <cstddef>
#include <memory>
#include <utility>

#include "lifecycle/task_group.hpp"
#include "tracker/account.hpp"
#include "tracker/event.hpp"

namespace tracker {

/// A coroutine in `intake::push`: its event has no room yet, or has no answer yet. Lives as long as its
/// coroutine, its place in the queue, or a wake-up on its way.
class waiter : public boost::intrusive_ref_counter<waiter, boost::thread_safe_counter>,
               public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
public:
    waiter(const lifecycle::executor& executor, event event, lifecycle::clock::time_point until)
        : offered(std::move(event)), work(executor), alarm(executor, until) {}

    event offered;
    verdict answer = verdict::deadline;  ///< set by the thread that answers; guarded by the intake
    bool queued = false;                 ///< its event is in the queue; guarded by the intake
    /// Keeps the loop running while a wake-up is on its way to it.
    boost::asio::executor_work_guard<lifecycle::executor> work;
    /// Expires at the context's deadline; cancelled, on the loop, to wake. Only on the loop's thread.
    lifecycle::loop_timer alarm;

    /// Room for what is posted to wake it: a wake-up must not fail because memory has run out.
    struct place_of_wake {
        alignas(std::max_align_t) std::array<std::byte, 96> bytes;
        std::atomic<bool> taken{false};
    };
    std::array<place_of_wake, 2> wakes;  ///< one for the cancel, one for the answer
};
using waiter_ptr = boost::intrusive_ptr<waiter>;

/// Of the wake-ups of a waiter, which lives as long as one of them.
template <class T>
struct wake_allocator {
    using value_type = T;

    explicit wake_allocator(waiter_ptr whose) noexcept : of(std::move(whose)) {}
    template <class U>
    wake_allocator(const wake_allocator<U>& other) noexcept : of(other.of) {}  // NOLINT(google-explicit-constructor)

    T* allocate(std::size_t n) {
        assert(of != nullptr && "a wake-up belongs to a waiter");  // g++ 14 warns of what would come of none
        if constexpr (alignof(T) <= alignof(std::max_align_t))
            for (auto& place : of->wakes)
                if (n * sizeof(T) <= place.bytes.size() && !place.taken.exchange(true, std::memory_order_acquire))
                    return reinterpret_cast<T*>(place.bytes.data());
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept {
        for (auto& place : of->wakes)
            if (static_cast<void*>(p) == place.bytes.data()) return place.taken.store(false, std::memory_order_release);
        std::allocator<T>().deallocate(p, n);
    }
    bool operator==(const wake_allocator& other) const noexcept { return of == other.of; }

    waiter_ptr of;
};

}  // namespace tracker
