#include "server/net/poll_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/version.hpp>
#include <cassert>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "lifecycle/operation_memory.hpp"

// The inside of Asio is no promise: the versions that this has been run with, and the public way for any other.
#if BOOST_VERSION <= 108300 && !defined(PUBLIC_NAMES_ONLY)
#define HAS_KNOWN_REACTOR
#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/scheduler.hpp>
#else
#include <boost/asio/bind_allocator.hpp>
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

#ifdef HAS_KNOWN_REACTOR
using boost::asio::detail::epoll_reactor;

/// The descriptors that Asio's reactor waits for, which are private: an explicit instantiation may name them.
int set_of(const epoll_reactor& reactor) noexcept;
int timer_of(const epoll_reactor& reactor) noexcept;
template <int epoll_reactor::*Set, int epoll_reactor::*Timer>
struct shown {
    friend int set_of(const epoll_reactor& reactor) noexcept { return reactor.*Set; }
    friend int timer_of(const epoll_reactor& reactor) noexcept { return reactor.*Timer; }
};
template struct shown<&epoll_reactor::epoll_fd_, &epoll_reactor::timer_fd_>;
#endif

}  // namespace

#ifdef HAS_KNOWN_REACTOR
/// Asio waits for what is ready at one place, and here that is the set, in which the set of Asio's own is one
/// descriptor. What wakes up sockets alone costs none of the queues and locks that an operation of Asio's does, and no
/// system call but the wait.
class poll_set::in_reactor {
public:
    in_reactor(poll_set& whose, boost::asio::io_context& on) : waits_(added_to(on)) {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = of_asio}};
        if (::epoll_ctl(whose.set_, EPOLL_CTL_ADD, set_of(waits_), &event) != 0)
            throw std::system_error(errno, std::generic_category(), "epoll_ctl");
        waits_.whose = &whose;
        waits_.init_task();
    }
    ~in_reactor() { waits_.whose = nullptr; }
    void wait() noexcept {}
    void close() noexcept {}

private:
    using operation = boost::asio::detail::operation;
    struct waiting;

    /// Serves the sockets that have been found, where Asio has something to do too.
    struct serving final : operation {
        explicit serving(waiting& on) : operation(perform), by(on) {}

        static void perform(void* owner, operation* self, const boost::system::error_code&, std::size_t);

        waiting& by;
        bool queued = false;
    };
    /// Belongs to the io_context, and waits as any other once the set has gone.
    struct waiting final : epoll_reactor {
        explicit waiting(boost::asio::io_context& on) : epoll_reactor(on) {}

        void run(long microseconds, boost::asio::detail::op_queue<operation>& done) override;

        poll_set* whose = nullptr;
        serving behind{*this};
    };

    static waiting& added_to(boost::asio::io_context& on) {
        auto made = std::make_unique<waiting>(on);
        // Without it Asio's timers would shorten the wait, which is not its own.
        if (timer_of(*made) < 0) throw std::system_error(EMFILE, std::generic_category(), "timerfd_create");
        boost::asio::add_service<epoll_reactor>(on, made.get());
        return *made.release();
    }

    waiting& waits_;
};

/// Blocks where nothing is queued; what is, or is posted by other threads meanwhile, goes first.
void poll_set::in_reactor::waiting::run(long microseconds, boost::asio::detail::op_queue<operation>& done) {
    if (whose == nullptr) return epoll_reactor::run(microseconds, done);
    const bool nothing_queued = microseconds < 0;
    const int milliseconds = nothing_queued ? -1 : static_cast<int>((microseconds + 999) / 1'000);
    bool calls_asio = false;
    do {
        calls_asio = whose->find(milliseconds);
        if (calls_asio || !nothing_queued) break;
        whose->serve();
    } while (done.empty());
    // Behind what has been posted, and before timers: after a standstill bytes that have come in time are seen in time.
    if (whose->found_ > 0 && !std::exchange(behind.queued, true)) done.push(&behind);
    if (calls_asio) epoll_reactor::run(0, done);
}

/// The scheduler counts an operation that has been performed as work that is done, and this one was none.
void poll_set::in_reactor::serving::perform(void* owner, operation* self, const boost::system::error_code&,
                                            std::size_t) {
    if (owner == nullptr) return;  // the io_context goes
    auto& behind = *static_cast<serving*>(self);
    behind.queued = false;
    static_cast<boost::asio::detail::scheduler*>(owner)->compensating_work_started();
    if (behind.by.whose != nullptr) behind.by.whose->serve();
}
#else
/// Here Asio watches the set by an `async_wait` for each wake-up, which keeps the loop running as long as it waits. It
/// looks again where an owner has left something, for that costs less than to wait; what is posted meanwhile waits.
class poll_set::in_reactor {
    static constexpr int most_batches = 16;

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
                if (error || self->whose == nullptr) return;
                // Bounded: Asio has its timers and posts to do, also when sockets are ready without end.
                for (int left = most_batches; self->whose->look() && --left > 0;) continue;
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
    : keeps_running_(on.get_executor()), after_(std::move(after)), set_(made_set()) {
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

/// Waits for that time at most until something is ready; -1: without end. True: Asio has something to do.
bool poll_set::find(int milliseconds) noexcept {
    const int count = ::epoll_wait(set_, batch_.data(), static_cast<int>(batch_.size()), milliseconds);
    found_ = static_cast<std::size_t>(std::max(count, 0));
    for (std::size_t nth = 0; nth < found_; ++nth) {
        if (batch_[nth].data.u64 != of_asio) continue;
        batch_[nth] = batch_[--found_];
        return true;
    }
    return false;
}

/// What has been found. True: there may be more.
bool poll_set::serve() noexcept {
    assert(!looks_ && "an owner looks inside its own `ready`");
    const auto count = std::exchange(found_, 0U);
    bool more = count == batch_.size();
    looks_ = true;
    ++turn_;
    for (std::size_t nth = 0; nth < count; ++nth) {
        const auto& event = batch_[nth];
        const auto& place = places_[event.data.u64 & 0xffff'ffff];
        if (place.owner == nullptr || place.generation != event.data.u64 >> 32) continue;
        // Bytes may have been followed by a FIN.
        if (place.owner->ready() == rest::unknown || event.events != EPOLLIN) more = true;
    }
    looks_ = false;
    reactor_->wait();
    after_();
    return more;
}

void poll_set::close() noexcept {
    keeps_running_.reset();
    reactor_->close();
}

}  // namespace server
