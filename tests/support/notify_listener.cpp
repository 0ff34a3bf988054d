#include "tests/support/notify_listener.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>

namespace support {

notify_listener::notify_listener() : path_((root_.path() / "notify").string()) {
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("cannot bind " + path_);
}

notify_listener::~notify_listener() { ::close(socket_); }

bool notify_listener::receive(int timeout) {
    pollfd waiting{socket_, POLLIN, 0};
    if (::poll(&waiting, 1, timeout) <= 0) return false;
    char text[4096];
    const auto count = ::recv(socket_, text, sizeof text, MSG_DONTWAIT);
    if (count < 0) return false;
    heard_.push_back({std::string(text, static_cast<std::size_t>(count)), clock::now()});
    return true;
}

bool notify_listener::hears(const std::string& beginning, milliseconds limit) {
    const auto deadline = clock::now() + limit;
    while (receive(poll_timeout(deadline)))
        if (heard_.back().text.starts_with(beginning)) return true;
    return false;
}

void notify_listener::listen() {
    while (receive(0)) {}
}

void notify_listener::fill() {
    const int sender = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* const to = reinterpret_cast<const sockaddr*>(&address);
    for (int i = 0; i < 100'000 && ::sendto(sender, "X", 1, MSG_DONTWAIT, to, sizeof address) == 1; ++i) {}
    ::close(sender);
}

std::vector<clock::time_point> notify_listener::times_of(const std::string& beginning) const {
    std::vector<clock::time_point> times;
    for (const auto& each : heard_)
        if (each.text.starts_with(beginning)) times.push_back(each.at);
    return times;
}

}  // namespace support
