// The least that can be done on epoll(7) for bench/streams/run, as a yardstick: to every GET a stream with an event a
// second, the same bytes as those of the service's GET /ticks, a write(2) each; to every POST how many bytes its body
// had, and their SHA-256, by the code of the service. No routes, limits, deadlines or errors. Not a server to use.
//
//   bare_server      prints its port; ends by a signal

#include "../bare.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "server/sha256.hpp"

namespace {

using clock_of = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::string_view stream_head =
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/event-stream\r\n"
    "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nX-Request-Id: 0123456789abcdef\r\n"
    "Transfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n";

struct connection {
    int descriptor;
    std::uint64_t events = 0;
    clock_of::time_point due{};
    std::uint64_t left = 0, length = 0;  // of a body
    std::unique_ptr<server::sha256> sum = {};
};

class yardstick {
public:
    explicit yardstick(int listener) : listener_(listener), set_(::epoll_create1(EPOLL_CLOEXEC)) {
        epoll_event wanted{EPOLLIN, {.ptr = nullptr}};
        ::epoll_ctl(set_, EPOLL_CTL_ADD, listener_, &wanted);
    }
    void turn();

private:
    void accept_one() const;
    void tell_those_due();
    bool serve(connection& connection);
    bool begin(connection& connection, std::string_view in);
    bool count(connection& connection, std::string_view piece);

    int listener_, set_;
    std::deque<connection*> streams_;  // in the order in which they are due
    std::array<char, 64 * 1024> bytes_{};
};

void yardstick::accept_one() const {
    const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    epoll_event readable{EPOLLIN, {.ptr = new connection{descriptor}}};
    ::epoll_ctl(set_, EPOLL_CTL_ADD, descriptor, &readable);
}

void yardstick::tell_those_due() {
    const auto now = clock_of::now();
    while (!streams_.empty() && streams_.front()->due <= now) {
        auto* const stream = streams_.front();
        streams_.pop_front();
        std::array<char, 128> text;
        const auto number = static_cast<unsigned long long>(++stream->events);
        const int size = std::snprintf(text.data(), text.size(), "data: %llu\nid: %llu\n\n", number, number);
        std::array<char, 192> chunk;
        const int all =
            std::snprintf(chunk.data(), chunk.size(), "%x\r\n%s\r\n", static_cast<unsigned>(size), text.data());
        if (::write(stream->descriptor, chunk.data(), static_cast<std::size_t>(all)) <= 0) {
            ::close(stream->descriptor);
            delete stream;
            continue;
        }
        stream->due += 1s;
        streams_.push_back(stream);
    }
}

bool yardstick::count(connection& connection, std::string_view piece) {
    connection.sum->add(piece);
    connection.left -= piece.size();
    if (connection.left > 0) return true;
    const auto body =
        "{\"bytes\":" + std::to_string(connection.length) + ",\"sha256\":\"" + connection.sum->hex() + "\"}\n";
    const auto answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    return ::write(connection.descriptor, answer.data(), answer.size()) > 0;
}

bool yardstick::begin(connection& connection, std::string_view in) {
    const auto end = in.find("\r\n\r\n");
    if (end == in.npos) return false;
    if (in.front() == 'G') {
        epoll_event nothing{0, {.ptr = &connection}};
        ::epoll_ctl(set_, EPOLL_CTL_MOD, connection.descriptor, &nothing);
        connection.due = clock_of::now() + 1s;
        streams_.push_back(&connection);
        return ::write(connection.descriptor, stream_head.data(), stream_head.size()) > 0;
    }
    connection.length = connection.left = std::strtoull(in.data() + in.find("Content-Length: ") + 16, nullptr, 10);
    connection.sum = std::make_unique<server::sha256>();
    return count(connection, in.substr(end + 4));
}

/// False when the connection is to be closed.
bool yardstick::serve(connection& connection) {
    const auto size = ::read(connection.descriptor, bytes_.data(), bytes_.size());
    if (size <= 0) return size < 0 && errno == EAGAIN;
    const std::string_view in(bytes_.data(), static_cast<std::size_t>(size));
    return connection.sum ? count(connection, in) : begin(connection, in);
}

void yardstick::turn() {
    std::array<epoll_event, 256> events;
    int wait = -1;
    if (!streams_.empty())
        wait = static_cast<int>(std::max(
            0L, std::chrono::ceil<std::chrono::milliseconds>(streams_.front()->due - clock_of::now()).count()));
    const int count = ::epoll_wait(set_, events.data(), static_cast<int>(events.size()), wait);
    tell_those_due();
    for (int nth = 0; nth < count; ++nth) {
        auto* const client = static_cast<connection*>(events[static_cast<std::size_t>(nth)].data.ptr);
        if (client == nullptr) {
            accept_one();
        } else if (client->due == clock_of::time_point{} && !serve(*client)) {
            ::close(client->descriptor);
            delete client;
        } else if (client->due != clock_of::time_point{}) {  // its client has gone, and the next write says so
            ::epoll_ctl(set_, EPOLL_CTL_DEL, client->descriptor, nullptr);
        }
    }
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);
    yardstick server(bare::listen_and_say_where());
    for (;;) server.turn();
}
