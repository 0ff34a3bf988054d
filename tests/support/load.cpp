#include "tests/support/load.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace support {

struct load::connection {
    enum class state : std::uint8_t { off, connecting, waiting } now = state::off;
    int socket = -1;
    std::uint64_t answers = 0;  ///< on this connection
    std::string sent;
    std::size_t written = 0;
    response_reader reader;
};

load::load(const endpoint& to, options how) : to_(to), how_(std::move(how)), connections_(how_.connections) {
    for (auto& one : connections_) connect(one);
}

load::~load() {
    for (auto& one : connections_) close(one);
}

void load::close(connection& one) {
    if (one.socket >= 0) ::close(std::exchange(one.socket, -1));
    one.now = connection::state::off;
}

void load::connect(connection& one) {
    close(one);
    if (finishing_) return;
    one.socket = to_.make_socket();
    one.answers = 0;
    one.sent.clear();
    one.written = 0;
    one.reader = {};
    one.now = connection::state::connecting;
    if (to_.connect(one.socket) != 0 && errno != EINPROGRESS) {
        ++counts_.refused;
        close(one);
    }
}

/// Begins a request, or goes on with one that the socket did not take whole.
void load::send_next(connection& one) {
    if (one.now != connection::state::waiting) {
        if (finishing_) return close(one);
        one.sent = (one.answers == 0 ? how_.greeting : std::string()) + how_.request(next_++);
        one.written = 0;
    }
    const auto count = ::send(one.socket, one.sent.data() + one.written, one.sent.size() - one.written, MSG_NOSIGNAL);
    if (count >= 0) {
        one.written += static_cast<std::size_t>(count);
        one.now = connection::state::waiting;
    } else if (errno != EAGAIN && one.written == 0) {
        ++counts_.unused;  // nothing of it has left: no request was lost
        connect(one);
    } else if (errno != EAGAIN) {
        on_end(one);
    }
}

void load::on_event(connection& one, short events) {
    if (one.now == connection::state::connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(one.socket, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            error == ECONNREFUSED ? ++counts_.refused : ++counts_.unused;
            return error == ECONNREFUSED ? close(one) : connect(one);
        }
        return send_next(one);
    }
    if ((events & POLLOUT) != 0 && one.written < one.sent.size()) send_next(one);
    if (one.socket >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) on_bytes(one);
}

void load::on_bytes(connection& one) {
    char buffer[64 * 1024];
    const auto count = ::recv(one.socket, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return on_end(one);
    one.reader.feed({buffer, static_cast<std::size_t>(count)});
    const auto answer = one.reader.next();
    if (!answer) return;
    ++counts_.answered;
    ++one.answers;
    if (answer->status >= 400) ++counts_.errors;
    if (how_.answered) how_.answered(one.sent, *answer);
    if (answer->closes()) {
        ++counts_.told_to_close;
        return connect(one);
    }
    // A connection that ends between two requests has lost none: the next one is not sent into it
    // when the end is already here.
    char byte;
    if (::recv(one.socket, &byte, 1, MSG_PEEK) == 0) {
        ++counts_.unused;
        return connect(one);
    }
    one.now = connection::state::off;
    send_next(one);
}

void load::on_end(connection& one) {
    if (one.reader.partial())
        ++counts_.truncated;
    else if (one.answers == 0)
        ++counts_.lost_fresh;
    else
        ++counts_.lost_reused;
    connect(one);
}

void load::turn(int timeout) {
    std::vector<pollfd> watched;
    watched.reserve(connections_.size());
    for (const auto& one : connections_) {
        const bool writes = one.now == connection::state::connecting || one.written < one.sent.size();
        watched.push_back({one.socket, static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0});
    }
    if (::poll(watched.data(), watched.size(), timeout) <= 0) return;
    for (std::size_t i = 0; i < watched.size(); ++i)
        if (watched[i].revents != 0) on_event(connections_[i], watched[i].revents);
}

bool load::run(const std::function<bool()>& enough, milliseconds limit) {
    const auto deadline = clock::now() + limit;
    while (!enough()) {
        if (clock::now() >= deadline) return false;
        turn(std::min(poll_timeout(deadline), 5));
    }
    return true;
}

bool load::finish(milliseconds limit) {
    finishing_ = true;
    return run([this] { return waiting() == 0; }, limit);
}

std::size_t load::waiting() const {
    return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(), [](const auto& one) {
        return one.now == connection::state::waiting;
    }));
}

std::size_t load::alive() const {
    return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(),
                                                  [](const auto& one) { return one.now != connection::state::off; }));
}

}  // namespace support
