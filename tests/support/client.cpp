#include "tests/support/client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace support {

endpoint::endpoint(std::string_view text) {
    if (text.starts_with("unix:")) {
        path = text.substr(5);
        return;
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) throw std::runtime_error("not an endpoint: " + std::string(text));
    port = static_cast<std::uint16_t>(std::stoul(std::string(text.substr(colon + 1))));
}

sockaddr_in endpoint::address() const {
    sockaddr_in result = {};
    result.sin_family = AF_INET;
    result.sin_port = htons(port);
    result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return result;
}

std::string endpoint::text() const { return path.empty() ? fmt::format("127.0.0.1:{}", port) : "unix:" + path; }

int endpoint::make_socket() const {
    const int made = ::socket(path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) throw std::system_error(errno, std::generic_category(), "socket");
    const int on = 1;
    if (path.empty()) ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
}

int endpoint::connect(int socket) const {
    if (path.empty()) {
        const auto to = address();
        return ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (path.size() >= sizeof to.sun_path) throw std::runtime_error("too long for a socket: " + path);
    std::ranges::copy(path, to.sun_path);
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

client::client(const endpoint& to, milliseconds limit, int receive_buffer) : limit_(limit) {
    socket_ = to.make_socket();
    if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    int error = 0;
    if (to.connect(socket_) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            pollfd watched = {socket_, POLLOUT, 0};
            socklen_t size = sizeof error;
            if (::poll(&watched, 1, static_cast<int>(limit.count())) == 0)
                error = ETIMEDOUT;
            else
                ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    // A client that is reset before it has been looked at was let in first: a SYN that nobody wants is ECONNREFUSED.
    if (error == ECONNRESET) ending_ = ending::reset;
    if (error == 0 || error == ECONNRESET) return;
    ::close(socket_);
    throw std::system_error(error, std::generic_category(), "connect " + to.text());
}

client::~client() {
    if (socket_ >= 0) ::close(socket_);
}

client::client(client&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      limit_(other.limit_),
      reader_(std::move(other.reader_)),
      ending_(other.ending_) {}

client& client::operator=(client&& other) noexcept {
    std::swap(socket_, other.socket_);
    limit_ = other.limit_;
    std::swap(reader_, other.reader_);
    ending_ = other.ending_;
    return *this;
}

bool client::send(std::string_view bytes) {
    const auto deadline = clock::now() + limit_;
    while (!bytes.empty()) {
        const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            continue;
        }
        if (errno != EAGAIN) return false;
        pollfd watched = {socket_, POLLOUT, 0};
        if (::poll(&watched, 1, poll_timeout(deadline)) == 0) return false;
    }
    return true;
}

void client::finish_sending() { ::shutdown(socket_, SHUT_WR); }

void client::reset() {
    const linger hard = {1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    ::close(std::exchange(socket_, -1));
    ending_ = ending::closed;
}

bool client::read_once(clock::time_point deadline) {
    if (ending_ == ending::closed || ending_ == ending::reset) return false;
    pollfd watched = {socket_, POLLIN, 0};
    if (::poll(&watched, 1, poll_timeout(deadline)) == 0) {
        ending_ = ending::late;
        return false;
    }
    char buffer[64 * 1024];
    const auto count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count > 0) {
        reader_.feed({buffer, static_cast<std::size_t>(count)});
        return true;
    }
    if (count < 0 && errno == EAGAIN) return true;
    ending_ = count == 0 ? ending::closed : ending::reset;
    return false;
}

std::optional<response> client::receive(bool to_head) {
    const auto deadline = clock::now() + limit_;
    for (;;) {
        if (auto whole = reader_.next(to_head)) return whole;
        if (!read_once(deadline)) return std::nullopt;
    }
}

std::optional<response> client::exchange(std::string_view request, bool to_head) {
    send(request);  // an early answer may come although not everything went out
    return receive(to_head);
}

void client::receive_some(std::size_t bytes) {
    const auto deadline = clock::now() + limit_;
    while (reader_.rest().size() < bytes && read_once(deadline)) {}
}

std::string client::receive_to_end() {
    const auto deadline = clock::now() + limit_;
    while (read_once(deadline)) {}
    return reader_.rest();
}

bool client::quiet() const {
    pollfd watched{socket_, POLLIN | POLLRDHUP, 0};
    return ::poll(&watched, 1, 0) == 0;
}

bool client::closes_silently(milliseconds limit) {
    const auto deadline = clock::now() + limit;
    while (read_once(deadline)) {}
    return ending_ == ending::closed && !reader_.partial();
}

std::string request(std::string_view method, std::string_view path, std::string_view headers, std::string_view body) {
    std::string result = fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}", method, path, headers);
    if (!body.empty() || method == "POST" || method == "PUT")
        result += fmt::format("Content-Length: {}\r\n", body.size());
    return result + "\r\n" + std::string(body);
}

}  // namespace support
