#include "tests/support/scripted_upstream.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace support {

struct scripted_upstream::connection {
    int socket = -1;
    std::string in;
    std::size_t nth = 0;
    bool playing = false, gone = false;
    reply now;
    std::size_t sent = 0;
    clock::time_point next_at;
};

namespace {

void reset_at_close(int socket) {
    const linger now{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace

std::string scripted_upstream::request::path() const {
    const auto from = head.find(' ') + 1;
    return head.substr(from, head.find(' ', from) - from);
}

std::string scripted_upstream::request::field(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == head.npos) return "";
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
}

scripted_upstream::reply scripted_upstream::ok(std::string_view body) {
    return {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body)};
}

scripted_upstream::reply scripted_upstream::by_path(const request& asked, std::size_t nth) {
    using enum reply::then;
    const auto whole = asked.path();
    const auto path = whole.substr(0, whole.find('?'));
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: ";
    if (path == "/ok") return ok("fine");
    if (path == "/slow") return {ok("slow").bytes, keep, {}, milliseconds(20)};
    if (path == "/hang") return {"", hang};
    if (path == "/trickle") return {head + "100000\r\n\r\n" + std::string(100'000, 't'), keep, milliseconds(5)};
    if (path == "/reset") return {"", reset};
    if (path == "/cut") return {head + "10\r\n\r\nhalf", close};
    if (path == "/garbage") return {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", keep};
    if (path == "/much") return {"HTTP/1.1 200 OK\r\nX: " + std::string(1024 * 1024, 'x'), keep};
    if (path == "/large") return ok(std::string(2 * 1024 * 1024, 'l'));
    if (path == "/close") return {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye", close};
    if (path == "/race") return nth == 1 ? ok("first") : reply{"", close};
    return {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
}

scripted_upstream::scripted_upstream(script play)
    : play_(std::move(play)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&any), length) != 0 || ::listen(listener_, 256) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &length) != 0)
        throw std::system_error(errno, std::generic_category(), "scripted_upstream");
    port_ = ntohs(any.sin_port);
    thread_ = std::jthread([this] { run(); });
}

scripted_upstream::~scripted_upstream() {
    give(order::end);
    thread_.join();
    ::close(wake_);
}

std::string scripted_upstream::origin() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<scripted_upstream::request> scripted_upstream::requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
}

std::size_t scripted_upstream::accepted() const {
    const std::scoped_lock lock(mutex_);
    return accepted_;
}

std::size_t scripted_upstream::open() const {
    const std::scoped_lock lock(mutex_);
    return open_;
}

void scripted_upstream::close_idle() { give(order::close_idle); }
void scripted_upstream::die() { give(order::die); }

/// Blocks until it has been done.
void scripted_upstream::give(order what) {
    {
        const std::scoped_lock lock(mutex_);
        order_ = what;
    }
    ::eventfd_write(wake_, 1);
    eventually([&] {
        const std::scoped_lock lock(mutex_);
        return order_ == order::none;
    });
}

bool scripted_upstream::obey(order what) {
    const bool all = what == order::die || what == order::end;
    if (all && listener_ >= 0) {
        ::close(listener_);
        listener_ = -1;
    }
    for (auto& [socket, client] : connections_) {
        if (what == order::die) reset_at_close(socket);
        client.gone = client.gone || all || (what == order::close_idle && !client.playing);
    }
    return what != order::end;
}

/// Until the next byte of somebody who is paced; -1: none is.
int scripted_upstream::patience() const {
    int least = -1;
    for (const auto& [socket, client] : connections_) {
        if (!client.playing || client.sent >= client.now.bytes.size() ||
            client.now.pace + client.now.pause == milliseconds(0))
            continue;
        const int mine = poll_timeout(client.next_at);
        least = least < 0 ? mine : std::min(least, mine);
    }
    return least;
}

void scripted_upstream::run() {
    bool go_on = true;
    while (go_on) {
        std::vector<pollfd> watched{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
        for (const auto& [socket, client] : connections_) {
            const bool full = client.playing && client.sent < client.now.bytes.size() &&
                              client.now.pace + client.now.pause == milliseconds(0);
            watched.push_back({socket, static_cast<short>(full ? POLLIN | POLLOUT : POLLIN), 0});
        }
        ::poll(watched.data(), watched.size(), patience());
        if (watched[1].revents != 0) accept_one();
        for (std::size_t nth = 2; nth < watched.size(); ++nth)
            if ((watched[nth].revents & ~POLLOUT) != 0) on_bytes(connections_.at(watched[nth].fd));
        for (auto& [socket, client] : connections_)
            if (client.playing && !client.gone) send_some(client);
        order what = order::none;
        if (watched[0].revents != 0) {
            eventfd_t count = 0;
            ::eventfd_read(wake_, &count);
            const std::scoped_lock lock(mutex_);
            what = order_;
        }
        if (what != order::none) go_on = obey(what);
        std::erase_if(connections_, [](const auto& pair) {
            if (pair.second.gone) ::close(pair.first);
            return pair.second.gone;
        });
        const std::scoped_lock lock(mutex_);
        open_ = connections_.size();
        if (what != order::none) order_ = order::none;
    }
}

void scripted_upstream::accept_one() {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0) return;
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    connections_[socket].socket = socket;
    const std::scoped_lock lock(mutex_);
    ++accepted_;
}

void scripted_upstream::on_bytes(connection& connection) {
    char block[4096];
    const auto got = ::recv(connection.socket, block, sizeof block, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        connection.gone = true;
        return;
    }
    connection.in.append(block, static_cast<std::size_t>(got));
    if (!connection.playing) play_next(connection);
}

void scripted_upstream::play_next(connection& connection) {
    const auto end = connection.in.find("\r\n\r\n");
    if (end == connection.in.npos) return;
    request asked;
    asked.head = connection.in.substr(0, end + 2);
    const auto length = std::stoul("0" + asked.field("Content-Length"));
    if (connection.in.size() < end + 4 + length) return;
    asked.body = connection.in.substr(end + 4, length);
    connection.in.erase(0, end + 4 + length);
    connection.now = play_(asked, ++connection.nth);
    connection.sent = 0;
    connection.playing = true;
    connection.next_at = clock::now() + connection.now.pause;
    const std::scoped_lock lock(mutex_);
    requests_.push_back(std::move(asked));
}

void scripted_upstream::send_some(connection& connection) {
    using enum reply::then;
    while (connection.sent < connection.now.bytes.size()) {
        if (clock::now() < connection.next_at) return;
        const auto left = connection.now.bytes.size() - connection.sent;
        const auto step = connection.now.pace > milliseconds(0) ? 1 : left;
        const auto sent = ::send(connection.socket, connection.now.bytes.data() + connection.sent, step, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) {
            connection.gone = true;
            return;
        }
        connection.sent += static_cast<std::size_t>(sent);
        connection.next_at = clock::now() + connection.now.pace;
    }
    if (connection.now.after == hang) return;
    connection.playing = false;
    if (connection.now.after == reset) reset_at_close(connection.socket);
    connection.gone = connection.now.after != keep;
    if (!connection.gone) play_next(connection);
}

}  // namespace support
