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
    for (auto& connection : connections_) connect(connection);
}

load::~load() {
    for (auto& connection : connections_) close(connection);
}

void load::close(connection& client) {
    if (client.socket >= 0) ::close(std::exchange(client.socket, -1));
    client.now = connection::state::off;
}

void load::connect(connection& client) {
    close(client);
    if (finishing_) return;
    client.socket = to_.make_socket();
    client.answers = 0;
    client.sent.clear();
    client.written = 0;
    client.reader = {};
    client.now = connection::state::connecting;
    if (to_.connect(client.socket) != 0 && errno != EINPROGRESS) {
        ++counts_.refused;
        close(client);
    }
}

/// Begins a request, or goes on with one that the socket did not take whole.
void load::send_next(connection& client) {
    if (client.now != connection::state::waiting) {
        if (finishing_) return close(client);
        client.sent = (client.answers == 0 ? how_.greeting : std::string()) + how_.request(next_++);
        client.written = 0;
    }
    const auto count =
        ::send(client.socket, client.sent.data() + client.written, client.sent.size() - client.written, MSG_NOSIGNAL);
    if (count >= 0) {
        client.written += static_cast<std::size_t>(count);
        client.now = connection::state::waiting;
    } else if (errno != EAGAIN && client.written == 0) {
        ++counts_.unused;  // nothing of it has left: no request was lost
        connect(client);
    } else if (errno != EAGAIN) {
        on_end(client);
    }
}

void load::on_event(connection& client, short events) {
    if (client.now == connection::state::connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(client.socket, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            error == ECONNREFUSED ? ++counts_.refused : ++counts_.unused;
            return error == ECONNREFUSED ? close(client) : connect(client);
        }
        return send_next(client);
    }
    if ((events & POLLOUT) != 0 && client.written < client.sent.size()) send_next(client);
    if (client.socket >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) on_bytes(client);
}

void load::on_bytes(connection& client) {
    char buffer[64 * 1024];
    const auto count = ::recv(client.socket, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return on_end(client);
    client.reader.feed({buffer, static_cast<std::size_t>(count)});
    const auto answer = client.reader.next();
    if (!answer) return;
    ++counts_.answered;
    ++client.answers;
    if (answer->status >= 400) ++counts_.errors;
    if (how_.answered) how_.answered(client.sent, *answer);
    if (answer->closes()) {
        ++counts_.told_to_close;
        return connect(client);
    }
    // A connection that ends between two requests has lost none: the next one is not sent into it
    // when the end is already here.
    char byte;
    if (::recv(client.socket, &byte, 1, MSG_PEEK) == 0) {
        ++counts_.unused;
        return connect(client);
    }
    client.now = connection::state::off;
    send_next(client);
}

void load::on_end(connection& connection) {
    if (connection.reader.partial())
        ++counts_.truncated;
    else if (connection.answers == 0)
        ++counts_.lost_fresh;
    else
        ++counts_.lost_reused;
    connect(connection);
}

void load::turn(int timeout) {
    std::vector<pollfd> watched;
    watched.reserve(connections_.size());
    for (const auto& each : connections_) {
        const bool writes = each.now == connection::state::connecting || each.written < each.sent.size();
        watched.push_back({each.socket, static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0});
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
    return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(), [](const auto& each) {
        return each.now == connection::state::waiting;
    }));
}

std::size_t load::alive() const {
    return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(),
                                                  [](const auto& each) { return each.now != connection::state::off; }));
}

}  // namespace support
