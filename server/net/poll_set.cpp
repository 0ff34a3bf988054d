#include "server/net/poll_set.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <cassert>
#include <cerrno>
#include <system_error>

#include "lifecycle/operation_memory.hpp"

namespace server {
namespace {

int made_set() {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    return set;
}

std::uint32_t bits_of(poll_set::interest wanted) noexcept {
    return wanted == poll_set::interest::write ? EPOLLOUT : EPOLLIN;
}

}  // namespace

poll_set::poll_set(boost::asio::io_context& on) : set_(on.get_executor(), made_set()) {}

void poll_set::watch(int descriptor, watched& owner, interest wanted) {
    if (owner.wants_ == wanted) return;
    const auto nth = static_cast<std::size_t>(descriptor);
    if (nth >= places_.size()) places_.resize(2 * nth + 16);
    auto& place = places_[nth];
    if (place.owner != &owner) place = {.owner = &owner, .generation = place.generation + 1};
    owner.descriptor_ = descriptor;
    const int change = owner.wants_ == interest::none ? EPOLL_CTL_ADD
                       : wanted == interest::none     ? EPOLL_CTL_DEL
                                                      : EPOLL_CTL_MOD;
    const auto name = std::uint64_t{place.generation} << 32 | static_cast<std::uint32_t>(descriptor);
    epoll_event event{.events = bits_of(wanted), .data = {.u64 = name}};
    if (::epoll_ctl(set_.native_handle(), change, descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
    owner.wants_ = wanted;
}

void poll_set::forget(watched& owner) noexcept {
    if (owner.descriptor_ < 0) return;
    places_[static_cast<std::size_t>(owner.descriptor_)].owner = nullptr;
    owner.descriptor_ = -1;
    owner.wants_ = interest::none;
}

void poll_set::wait() {
    if (waits_ || !set_.is_open()) return;
    auto fired = [this](boost::system::error_code error) {
        waits_ = false;
        if (error) return;
        look();
        wait();
    };
    set_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                    boost::asio::bind_allocator(lifecycle::operation_allocator<void>(), fired));
    waits_ = true;
}

void poll_set::close() noexcept {
    boost::system::error_code ignored;
    set_.close(ignored);
}

void poll_set::look() noexcept {
    assert(!looks_ && "an owner waits inside its own `ready`");
    looks_ = true;
    ++turn_;
    for (int batches = 0; batches < most_batches && set_.is_open(); ++batches) {
        const int count = ::epoll_wait(set_.native_handle(), batch_.data(), static_cast<int>(batch_.size()), 0);
        for (int nth = 0; nth < count; ++nth) {
            const auto name = batch_[static_cast<std::size_t>(nth)].data.u64;
            const auto& place = places_[name & 0xffff'ffff];
            if (place.owner != nullptr && place.generation == name >> 32) place.owner->ready();
        }
        if (count < static_cast<int>(batch_.size())) break;
    }
    looks_ = false;
}

}  // namespace server
