// The least that an HTTP server on epoll(7) can do, as a yardstick: one listener and one loop a thread, a read, a scan
// for the end of the head, a write. No routes, limits, deadlines, metrics or errors: 200 to everything, and to a POST
// what it brought, up to its Content-Length. Not a server to use.
//
//   epoll_server [threads]      prints its port; ends by a signal

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../bare.hpp"

namespace {

// As long as what the service says on `/`, header fields included.
constexpr std::string_view head =
    "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "X-Request-Id: 0123456789abcdef\r\nContent-Length: ";
constexpr std::string_view hello = "Hello, QCon!\n";

struct connection {
    int descriptor;
    std::string unfinished = {};  // of a request
};

struct buffers {
    std::array<char, 16 * 1024> in;
    std::string out;
};

void answer(std::string& out, std::string_view body, bool close) {
    out += head;
    out += std::to_string(body.size());
    if (close) out += "\r\nConnection: close";
    out += "\r\n\r\n";
    out += body;
}

/// False when the connection is to be closed.
bool serve(connection& connection, buffers& use) {
    const auto count = ::read(connection.descriptor, use.in.data(), use.in.size());
    if (count <= 0) return count < 0 && errno == EAGAIN;
    std::string_view in(use.in.data(), static_cast<std::size_t>(count));
    if (!connection.unfinished.empty()) in = connection.unfinished += in;
    use.out.clear();
    bool close = false;
    while (!close) {
        const auto end = in.find("\r\n\r\n");
        if (end == std::string_view::npos) break;
        const auto request = in.substr(0, end);
        std::size_t length = 0;
        if (request.front() == 'P') {
            const auto at = request.find("Content-Length: ");
            if (at != std::string_view::npos) length = std::strtoul(request.data() + at + 16, nullptr, 10);
        }
        if (in.size() < end + 4 + length) break;
        close = request.find("onnection: close") != std::string_view::npos;
        answer(use.out, length > 0 ? in.substr(end + 4, length) : hello, close);
        in.remove_prefix(end + 4 + length);
    }
    if (!in.empty() || !connection.unfinished.empty()) connection.unfinished = std::string(in);
    if (!use.out.empty() && ::write(connection.descriptor, use.out.data(), use.out.size()) < 0) return false;
    return !close;
}

void run(int listener) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{EPOLLIN, {.ptr = nullptr}};
    ::epoll_ctl(set, EPOLL_CTL_ADD, listener, &wanted);
    std::array<epoll_event, 256> events;
    buffers use;
    for (;;) {
        const int count = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), -1);
        for (int nth = 0; nth < count; ++nth) {
            auto* const client = static_cast<connection*>(events[static_cast<std::size_t>(nth)].data.ptr);
            if (client == nullptr) {
                const int descriptor = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (descriptor < 0) continue;
                epoll_event readable{EPOLLIN, {.ptr = new connection{descriptor}}};
                ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &readable);
            } else if (!serve(*client, use)) {
                ::close(client->descriptor);
                delete client;
            }
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    const int threads = count > 1 ? std::atoi(arguments[1]) : 1;
    const int first = bare::listen_and_say_where();
    std::vector<std::jthread> loops;
    for (int nth = 1; nth < threads; ++nth)
        loops.emplace_back([port = bare::port_of(first)] { run(bare::listen_on(port)); });
    run(first);
}
