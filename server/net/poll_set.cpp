#include "server/net/poll_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <boost/version.hpp>
#include <cassert>
#include <cerrno>
#include <new>
#include <system_error>

#include "lifecycle/operation_memory.hpp"

// The inside of Asio is no promise: the versions that this has been run with, and the public way for any other.
#if BOOST_VERSION <= 108300 && !defined(PUBLIC_NAMES_ONLY)
#define HAS_KNOWN_REACTOR
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#else
#include <boost/asio/posix/stream_descriptor.hpp>
#endif

namespace server {
namespace {

int made_set() {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    return set;
}

std::uint32_t bits_of(poll_set::interest wanted) noexcept {
    if (wanted == poll_set::interest::write) return EPOLLOUT;
    // A FIN that has come with bytes shows in the event itself: see look_once.
    return EPOLLIN | EPOLLRDHUP | (wanted == poll_set::interest::both ? EPOLLOUT : 0U);
}

}  // namespace

#ifdef HAS_KNOWN_REACTOR
/// An operation that never ends: Asio performs it whenever the set becomes readable, and keeps it. The part of Asio
/// that its own signal_set is made with; an `async_wait` for each wake-up is armed again by an epoll_ctl(2), and costs
/// more instructions than what a request is read with.
class poll_set::in_reactor final : boost::asio::detail::reactor_op {
    using epoll_reactor = boost::asio::detail::reactor;

public:
    in_reactor(poll_set& whose, boost::asio::io_context& on)
        : reactor_op({}, perform_look,
                     [](void*, boost::asio::detail::operation*, const boost::system::error_code&, std::size_t) {}),
          whose_(whose),
          by_(boost::asio::use_service<epoll_reactor>(on)) {
        by_.init_task();
        const int error = by_.register_internal_descriptor(epoll_reactor::read_op, whose.set_, data_, this);
        if (error != 0) throw std::system_error(error, std::generic_category(), "epoll_ctl");
    }
    ~in_reactor() {
        by_.deregister_internal_descriptor(whose_.set_, data_);
        by_.cleanup_descriptor_data(data_);
    }
    void wait() noexcept {}
    void close() noexcept {}

private:
    static status perform_look(reactor_op* self) {
        static_cast<in_reactor*>(self)->whose_.look();
        return not_done;
    }

    poll_set& whose_;
    epoll_reactor& by_;
    epoll_reactor::per_descriptor_data data_{};
};
#else
/// The same by an `async_wait` for each wake-up, which keeps the loop running as long as it waits.
class poll_set::in_reactor {
public:
    in_reactor(poll_set& whose, boost::asio::io_context& on) : waiting_(std::make_shared<waiting>(whose, on)) {
        waiting::start(waiting_);
    }
    ~in_reactor() {
        waiting_->whose = nullptr;
        waiting_->set.release();
    }
    /// Where there is no memory for it the next look tries again.
    void wait() noexcept {
        try {
            if (!waiting_->waits && !waiting_->closed) waiting::start(waiting_);
        } catch (const std::bad_alloc&) {}
    }
    void close() noexcept {
        waiting_->closed = true;
        boost::system::error_code ignored;
        waiting_->set.cancel(ignored);
    }

private:
    /// Outlives the set where Asio has not yet said that nothing is waited for any more.
    struct waiting {
        waiting(poll_set& owner, boost::asio::io_context& on) : whose(&owner), set(on, owner.set_) {}

        static void start(const std::shared_ptr<waiting>& self) {
            auto ready = [self](const boost::system::error_code& error) {
                self->waits = false;
                if (!error && self->whose != nullptr) self->whose->look();
            };
            self->set.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                 boost::asio::bind_allocator(lifecycle::operation_allocator<void>(), std::move(ready)));
            self->waits = true;
        }

        poll_set* whose;
        boost::asio::posix::stream_descriptor set;
        bool waits = false;
        bool closed = false;
    };
    std::shared_ptr<waiting> waiting_;
};
#endif

poll_set::poll_set(boost::asio::io_context& on, std::function<void()> after)
    : on_(on), keeps_running_(on.get_executor()), after_(std::move(after)), set_(made_set()) {
    reactor_ = std::make_unique<in_reactor>(*this, on);
}

poll_set::~poll_set() {
    assert(!looks_ && std::ranges::all_of(places_, [](const auto& place) { return place.owner == nullptr; }) &&
           "an owner outlives the set");
    reactor_ = nullptr;
    ::close(set_);
}

void poll_set::change(int descriptor, watched& owner, interest wanted) {
    assert(descriptor >= 0 && (owner.descriptor_ < 0 || owner.descriptor_ == descriptor) && "an owner has one socket");
    const auto nth = static_cast<std::size_t>(descriptor);
    // Descriptors are small numbers that are used again, so a vector finds an owner without a search.
    if (nth >= places_.size()) places_.resize(2 * nth + 16);
    auto& place = places_[nth];
    // A descriptor is used again as soon as it is closed: the generation tells an event of the old owner from one of
    // the new.
    const bool comes = place.owner != &owner;
    assert((!comes || place.owner == nullptr) && "a socket was closed before its owner was forgotten");
    if (comes) place = {.owner = &owner, .generation = place.generation + 1};
    const int change = owner.wants_ == interest::none ? EPOLL_CTL_ADD
                       : wanted == interest::none     ? EPOLL_CTL_DEL
                                                      : EPOLL_CTL_MOD;
    const auto name = std::uint64_t{place.generation} << 32 | static_cast<std::uint32_t>(descriptor);
    epoll_event event{.events = bits_of(wanted), .data = {.u64 = name}};
    if (::epoll_ctl(set_, change, descriptor, &event) != 0) {
        const int error = errno;
        if (comes) place.owner = nullptr;  // it may be destroyed without a word to us: it was never in the set
        throw std::system_error(error, std::generic_category(), "epoll_ctl");
    }
    owner.descriptor_ = descriptor;
    owner.wants_ = wanted;
}

void poll_set::forget(watched& owner) noexcept {
    if (owner.descriptor_ < 0) return;
    auto& place = places_[static_cast<std::size_t>(owner.descriptor_)];
    assert(place.owner == &owner);
    place.owner = nullptr;
    owner.descriptor_ = -1;
    owner.wants_ = interest::none;
}

void poll_set::look() noexcept {
    assert(!looks_ && "an owner looks inside its own `ready`");
    looks_ = true;
    ++turn_;
    int batches = 0;
    // Bounded: Asio has its timers and posts to do, also when sockets are ready without end.
    while (batches < most_batches && look_once()) ++batches;
    looks_ = false;
    reactor_->wait();
    after_();
    if (batches == most_batches) look_later();
}

void poll_set::close() noexcept {
    keeps_running_.reset();
    reactor_->close();
}

/// One batch. True: there may be more.
bool poll_set::look_once() noexcept {
    const int count = ::epoll_wait(set_, batch_.data(), static_cast<int>(batch_.size()), 0);
    bool more = count == static_cast<int>(batch_.size());
    for (int nth = 0; nth < count; ++nth) {
        const auto& event = batch_[static_cast<std::size_t>(nth)];
        const auto& place = places_[event.data.u64 & 0xffff'ffff];
        if (place.owner == nullptr || place.generation != event.data.u64 >> 32) continue;
        // Bytes may have been followed by a FIN, which is not said again.
        if (place.owner->ready() == rest::unknown || event.events != EPOLLIN) more = true;
    }
    return more;
}

/// When Asio has had its turn. If there is no memory for that, the periodic look of the tick finds it.
void poll_set::look_later() noexcept {
    if (looks_later_) return;
    try {
        boost::asio::post(on_, boost::asio::bind_allocator(lifecycle::operation_allocator<void>(), [this] {
                              looks_later_ = false;
                              look();
                          }));
        looks_later_ = true;
    } catch (const std::bad_alloc&) {}
}

}  // namespace server
