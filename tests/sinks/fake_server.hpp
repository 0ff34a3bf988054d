#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tracker/descriptor.hpp"

namespace fakes {

/// An HTTP server that answers as a test says: well, slowly, partly, or not at all. One connection at a time, on a
/// thread of its own until destroyed.
class fake_server {
public:
    struct request {
        std::string head, body;
        /// The value of a header, whose name is compared as it is written.
        std::string header(const std::string& name) const {
            const auto at = head.find("\r\n" + name + ": ");
            if (at == head.npos) return "";
            const auto from = at + name.size() + 4;
            return head.substr(from, head.find("\r\n", from) - from);
        }
    };
    struct reply {
        std::string bytes = "HTTP/1.1 204 No Content\r\n\r\n";
        enum class then : std::uint8_t { keep, close, reset, hang } after = then::keep;
        int trickle_ms = 0;  ///< between two bytes
    };
    using answerer = std::function<reply(std::size_t number, const request&)>;

    explicit fake_server(answerer answer) : answer_(std::move(answer)) {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof any;
        if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), length) != 0 ||
            ::listen(listener_.get(), 16) != 0 ||
            ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &length) != 0)
            throw std::system_error(errno, std::generic_category(), "fake_server");
        port_ = ntohs(any.sin_port);
        thread_ = std::jthread([this] { run(); });
    }
    ~fake_server() { ::eventfd_write(over_.get(), 1); }
    fake_server(const fake_server&) = delete;
    fake_server& operator=(const fake_server&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/in?a=b"; }
    std::vector<request> requests() const {
        const std::scoped_lock lock(mutex_);
        return requests_;
    }
    std::size_t connections() const {
        const std::scoped_lock lock(mutex_);
        return connections_;
    }

private:
    /// False when the test is over, or `ms` have passed.
    bool readable(int socket, int ms = -1) const {
        pollfd both[] = {{over_.get(), POLLIN, 0}, {socket, POLLIN, 0}};
        return ::poll(both, 2, ms) > 0 && both[0].revents == 0;
    }

    void run() {
        while (readable(listener_.get())) {
            tracker::descriptor descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            {
                const std::scoped_lock lock(mutex_);
                ++connections_;
            }
            std::string buffer;
            while (serve(descriptor, buffer)) continue;
        }
    }

    bool read_request(int socket, std::string& buffer, request& into) const {
        for (;;) {
            const auto end = buffer.find("\r\n\r\n");
            if (end != buffer.npos) {
                into.head = buffer.substr(0, end + 2);
                const auto length = std::stoul("0" + into.header("Content-Length"));
                if (buffer.size() >= end + 4 + length) {
                    into.body = buffer.substr(end + 4, length);
                    buffer.erase(0, end + 4 + length);
                    return true;
                }
            }
            char block[4096];
            if (!readable(socket)) return false;
            const auto got = ::recv(socket, block, sizeof block, 0);
            if (got <= 0) return false;
            buffer.append(block, static_cast<std::size_t>(got));
        }
    }

    bool serve(tracker::descriptor& socket, std::string& buffer) {
        request got;
        if (!read_request(socket.get(), buffer, got)) return false;
        std::size_t number = 0;
        {
            const std::scoped_lock lock(mutex_);
            requests_.push_back(got);
            number = requests_.size();
        }
        const auto reply = answer_(number, got);
        const auto step = reply.trickle_ms > 0 ? 1 : reply.bytes.size();
        for (std::size_t sent = 0; sent < reply.bytes.size(); sent += step) {
            if (::send(socket.get(), reply.bytes.data() + sent, step, MSG_NOSIGNAL) < 0) return false;
            pollfd over{over_.get(), POLLIN, 0};
            if (reply.trickle_ms > 0 && ::poll(&over, 1, reply.trickle_ms) != 0) return false;
        }
        if (reply.after == reply::then::hang) readable(socket.get());  // until the client goes
        if (reply.after == reply::then::reset) {
            const linger now{1, 0};
            ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        return reply.after == reply::then::keep;
    }

    const answerer answer_;
    const tracker::descriptor over_{::eventfd(0, EFD_CLOEXEC)};
    const tracker::descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<request> requests_;
    std::size_t connections_ = 0;
    std::jthread thread_;  // last: it uses the rest
};

}  // namespace fakes
