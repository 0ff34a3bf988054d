// The least that can be done with WebSockets on epoll(7), as a yardstick: it says 101 to whatever asks, unmasks what is
// in the first 64 KiB, and sends it back; what comes by /all goes to all of /all, a write(2) each. No limits,
// deadlines, UTF-8, pings or closes; a client that does not read loses messages. Not a server to use.
//
//   bare_server      prints its port; ends by a signal

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../bare.hpp"

namespace {

struct connection {
    int descriptor;
    bool open = false, of_all = false;
    std::string rest = {};
};

struct server {
    int listener, set;
    std::vector<connection*> all = {};
    std::string out = {};

    bool serve(connection& connection);
    bool shake_hands(connection& connection, std::string_view asked);
    bool answer(connection& connection, std::string_view in);
    void accept_one() const;
};

/// What the only key of bench/websocket/clients.cpp asks for (RFC 6455 section 1.3).
constexpr std::string_view welcome =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

void unmask(char* bytes, std::size_t size, std::uint32_t key) {
    const auto wide = static_cast<std::uint64_t>(key) << 32U | key;
    std::size_t nth = 0;
    for (; nth + 8 <= size; nth += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + nth, 8);
        word ^= wide;
        std::memcpy(bytes + nth, &word, 8);
    }
    for (; nth < size; ++nth) bytes[nth] = static_cast<char>(bytes[nth] ^ (key >> 8 * (nth % 4)));
}

bool server::shake_hands(connection& connection, std::string_view asked) {
    if (!asked.ends_with("\r\n\r\n")) return false;
    connection.open = true;
    connection.of_all = asked.starts_with("GET /all");
    if (connection.of_all) all.push_back(&connection);
    return ::write(connection.descriptor, welcome.data(), welcome.size()) > 0;
}

bool server::answer(connection& connection, std::string_view in) {
    out.clear();
    while (in.size() >= 6) {
        std::size_t head = 2, size = static_cast<unsigned char>(in[1]) & 0x7fU;
        if (size == 126) {
            if (in.size() < 8) break;
            head = 4;
            size =
                static_cast<std::size_t>(static_cast<unsigned char>(in[2])) << 8U | static_cast<unsigned char>(in[3]);
        }
        if (in.size() < head + 4 + size) break;
        std::uint32_t key = 0;
        std::memcpy(&key, in.data() + head, 4);
        out.append(in, 0, head);
        out[out.size() - head + 1] = static_cast<char>(out[out.size() - head + 1] & 0x7f);
        out.append(in, head + 4, size);
        unmask(out.data() + out.size() - size, size, key);
        in.remove_prefix(head + 4 + size);
    }
    if (!in.empty() || !connection.rest.empty()) connection.rest = std::string(in);
    if (out.empty()) return true;
    if (!connection.of_all) return ::write(connection.descriptor, out.data(), out.size()) > 0;
    for (const auto* to : all)
        if (::write(to->descriptor, out.data(), out.size()) < 0) continue;
    return true;
}

/// False when the connection is to be closed.
bool server::serve(connection& connection) {
    static std::array<char, 64 * 1024> bytes;
    const auto count = ::read(connection.descriptor, bytes.data(), bytes.size());
    if (count <= 0) return count < 0 && errno == EAGAIN;
    std::string_view in(bytes.data(), static_cast<std::size_t>(count));
    std::string whole;
    if (!connection.rest.empty()) in = whole = connection.rest.append(in);
    return connection.open ? answer(connection, in) : shake_hands(connection, in);
}

void server::accept_one() const {
    const int descriptor = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return;
    epoll_event readable{EPOLLIN, {.ptr = new connection{descriptor}}};
    ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &readable);
}

}  // namespace

int main() {
    std::signal(SIGPIPE, SIG_IGN);  // a client may have gone
    server server{bare::listen_and_say_where(), ::epoll_create1(EPOLL_CLOEXEC)};
    epoll_event wanted{EPOLLIN, {.ptr = nullptr}};
    ::epoll_ctl(server.set, EPOLL_CTL_ADD, server.listener, &wanted);
    std::array<epoll_event, 256> events;
    for (;;) {
        const int count = ::epoll_wait(server.set, events.data(), static_cast<int>(events.size()), -1);
        for (int nth = 0; nth < count; ++nth) {
            auto* const which = static_cast<connection*>(events[static_cast<std::size_t>(nth)].data.ptr);
            if (which == nullptr) {
                server.accept_one();
            } else if (!server.serve(*which)) {
                std::erase(server.all, which);
                ::close(which->descriptor);
                delete which;
            }
        }
    }
}
