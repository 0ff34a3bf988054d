// A client of HTTP/2 on a socket, in clear. Every wait ends at its limit.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "tests/http2/peer.hpp"
#include "tests/support/client.hpp"

namespace http2_tests {

class connected_peer : public peer {
public:
    /// As `peer`.
    explicit connected_peer(const support::endpoint& to, std::uint32_t window = 65'535, bool reads = true)
        : peer(window, reads), socket_(to.make_socket()) {
        to.connect(socket_);
        pollfd watched{.fd = socket_, .events = POLLOUT, .revents = 0};
        ::poll(&watched, 1, 20'000);
    }
    ~connected_peer() { ::close(socket_); }
    connected_peer(const connected_peer&) = delete;
    connected_peer& operator=(const connected_peer&) = delete;

    /// Sends and reads until that is so; false: it was not in time, or the connection has ended before.
    bool until(const std::function<bool()>& so, support::milliseconds limit = support::milliseconds(20'000)) {
        const auto end = support::clock::now() + limit;
        while (!so()) {
            out_ += take();
            const auto left = std::chrono::duration_cast<support::milliseconds>(end - support::clock::now()).count();
            if (closed || left <= 0) return so();
            pollfd watched{
                .fd = socket_, .events = static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT)), .revents = 0};
            if (::poll(&watched, 1, static_cast<int>(left)) <= 0) continue;
            if ((watched.revents & POLLOUT) != 0) {
                const auto count = ::send(socket_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
                if (count > 0) out_.erase(0, static_cast<std::size_t>(count));
            }
            if ((watched.revents & ~POLLOUT) == 0) continue;
            char bytes[16 * 1024];
            const auto count = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
            if (count > 0)
                receive({bytes, static_cast<std::size_t>(count)});
            else if (count == 0 || errno != EAGAIN)
                closed = true;
        }
        return true;
    }
    /// A whole answer, or that its stream has been reset.
    bool answered(std::int32_t id) {
        return until([&] { return answers[id].ended || answers[id].reset; });
    }

    bool closed = false;

private:
    int socket_;
    std::string out_;
};

}  // namespace http2_tests
