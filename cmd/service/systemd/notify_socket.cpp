#include "cmd/service/systemd/notify_socket.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace systemd {

notify_socket::notify_socket(const std::string& address) {
    // A path, or a name of the abstract kind that begins with @ here and with 0 in the kernel (unix(7)).
    if (address.empty()) return;
    if (address.size() < 2 || address.size() >= sizeof address_.sun_path || (address[0] != '/' && address[0] != '@')) {
        fault_ = EINVAL;
        return;
    }
    descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor_ < 0) {
        fault_ = errno;
        return;
    }
    address_.sun_family = AF_UNIX;
    address.copy(address_.sun_path, address.size());
    if (address[0] == '@') address_.sun_path[0] = '\0';
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    const timeval patience{0, 100'000};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

notify_socket::~notify_socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

bool notify_socket::send(std::string_view lines, int flags) const noexcept {
    if (descriptor_ < 0) return true;
    const auto* const to = reinterpret_cast<const sockaddr*>(&address_);
    if (::sendto(descriptor_, lines.data(), lines.size(), flags | MSG_NOSIGNAL, to, size_) >= 0) return true;
    if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) fault_.store(errno, std::memory_order_relaxed);
    return false;
}

}  // namespace systemd
