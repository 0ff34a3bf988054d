#include "server/net/transport.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace server {
namespace {

constexpr int most_reads = 64;  // of what is forgotten, at a time

}  // namespace

transport::result transport::peek(std::span<char> into) noexcept {
    return again_when_interrupted(
        [&] { return ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT | MSG_PEEK); });
}

void transport::skip(std::span<char> into) noexcept {
    again_when_interrupted([&] { return ::recv(descriptor_, into.data(), into.size(), MSG_DONTWAIT); });
}

void transport::finish() noexcept {
    farewell();
    ::shutdown(descriptor_, SHUT_WR);
}

void transport::discard(std::span<char> scratch) noexcept {
    for (int reads = 0; reads < most_reads; ++reads)
        if (read(scratch).how != outcome::done) break;
}

void transport::acknowledge() noexcept {
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);  // tcp(7); not permanent
}

std::size_t transport::unacknowledged() noexcept {
    int waiting = 0;
    ::ioctl(descriptor_, SIOCOUTQ, &waiting);  // tcp(7)
    return static_cast<std::size_t>(waiting);
}

void transport::reset_at_close(bool reset) noexcept {
    resets_ = reset;
    const ::linger how{.l_onoff = reset ? 1 : 0, .l_linger = 0};  // socket(7)
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

void transport::close() noexcept {
    if (descriptor_ < 0) return;
    if (!resets_) farewell();  // what is cut must not look whole
    ::close(std::exchange(descriptor_, -1));
}

}  // namespace server
