// Sockets.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "tests/simulator/calls.hpp"

using namespace simulator;

namespace {

void name(sockaddr* into, socklen_t* size, std::uint16_t port) {
    if (into == nullptr || size == nullptr) return;
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memcpy(into, &address, std::min<std::size_t>(*size, sizeof address));
    *size = sizeof address;
}

}  // namespace

extern "C" {

int socket(int family, int, int) noexcept {
    const inside on;
    on->call();
    if (family == AF_UNIX) return on->self().open(std::make_shared<notify_descriptor>());
    return on->self().open(std::make_shared<tcp_listener>(*on->wires));
}
int bind(int number, const sockaddr* to, socklen_t) noexcept {
    sockaddr_in address;
    std::memcpy(&address, to, sizeof address);
    open_as<tcp_listener>(*inside(), number)->port = ntohs(address.sin_port);
    return 0;
}
int listen(int number, int) noexcept {
    return open_as<tcp_listener>(*inside(), number)->listen() ? 0 : fails_with(EADDRINUSE);
}
int getsockname(int number, sockaddr* into, socklen_t* size) noexcept {
    const auto socket = open_as<tcp_listener>(*inside(), number);
    if (!socket) return fails_with(ENOTSOCK);
    name(into, size, socket->port);
    return 0;
}
int getpeername(int, sockaddr* into, socklen_t* size) noexcept {
    name(into, size, 40'000);
    return 0;
}

int accept4(int number, sockaddr* from, socklen_t* size, int) {
    const inside on;
    on->call();
    const auto socket = open_as<tcp_listener>(*on, number);
    if (!socket) return fails_with(EBADF);
    if (socket->queue.empty()) return fails_with(EAGAIN);
    auto next = std::move(socket->queue.front());
    socket->queue.pop_front();
    next->accepted();
    name(from, size, 40'000);
    return on->self().open(std::move(next));
}
int accept(int number, sockaddr* from, socklen_t* size) { return ::accept4(number, from, size, 0); }

ssize_t recv(int number, void* into, std::size_t size, int flags) {
    const inside on;
    on->call();
    const auto stream = open_as<tcp_stream>(*on, number);
    return stream ? stream->receive(into, size, (flags & MSG_PEEK) != 0) : fails_with(EBADF);
}
ssize_t send(int number, const void* from, std::size_t size, int) {
    const inside on;
    on->call();
    const auto stream = open_as<tcp_stream>(*on, number);
    return stream ? stream->send({static_cast<const char*>(from), size}) : fails_with(EBADF);
}
ssize_t sendto(int, const void*, std::size_t size, int flags, const sockaddr*, socklen_t) {
    const inside on;
    on->call();
    if ((flags & MSG_DONTWAIT) == 0 && on->manager_takes.count() > 0) on->wait(&*on, on->now() + on->manager_takes);
    return static_cast<ssize_t>(size);
}
int shutdown(int number, int) noexcept {
    const inside on;
    on->call();
    if (const auto stream = open_as<tcp_stream>(*on, number)) stream->shut();
    return 0;
}

int setsockopt(int number, int level, int option, const void* value, socklen_t) noexcept {
    const inside on;
    on->call();
    if (level == SOL_SOCKET && option == SO_LINGER)
        if (const auto stream = open_as<tcp_stream>(*on, number))
            stream->resets_at_close = static_cast<const linger*>(value)->l_onoff != 0;
    if (level == SOL_SOCKET && (option == SO_BINDTOIFINDEX || option == SO_ATTACH_FILTER))
        if (const auto socket = open_as<tcp_listener>(*on, number)) socket->turns_away = true;
    return 0;
}
int getsockopt(int number, int level, int option, void* into, socklen_t* size) noexcept {
    const inside on;
    std::memset(into, 0, *size);
    const auto answer = [into](int value) { std::memcpy(into, &value, sizeof value); };
    if (level == SOL_SOCKET && option == SO_DOMAIN) answer(AF_INET);
    if (level == SOL_SOCKET && option == SO_PROTOCOL) answer(IPPROTO_TCP);
    if (level == SOL_SOCKET && option == SO_ACCEPTCONN) answer(1);
    if (level != IPPROTO_TCP || option != TCP_INFO) return 0;
    const auto stream = open_as<tcp_stream>(*on, number);
    if (!stream) return fails_with(ENOTSOCK);
    tcp_info its = {};
    its.tcpi_rtt = static_cast<std::uint32_t>(stream->round_trip().count() / 1'000);
    std::memcpy(into, &its, std::min<std::size_t>(*size, sizeof its));
    return 0;
}

}  // extern "C"
