// Requests at a fixed rate whatever the answers take, and how late the answers were: counted from when a request was
// due, not from when it could be sent (no coordinated omission). One thread; connections take turns.
//
//   paced_clients PORT CONNECTIONS REQUESTS_A_SECOND SECONDS     prints p50 p99 p99.9 and the longest, in µs

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string_view>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
constexpr std::string_view asked = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

struct client {
    int descriptor;
    std::deque<clock_type::time_point> due = {};  // of what is not answered yet
};

int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0), on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
    std::perror("connect");
    std::exit(1);
}

/// Each answer is whole in one piece, so the ends of heads count them.
void take_answers(client& from, std::vector<double>& late) {
    std::array<char, 64 * 1024> in;
    const auto count = ::recv(from.descriptor, in.data(), in.size(), MSG_DONTWAIT);
    if (count <= 0) return;
    const auto now = clock_type::now();
    const std::string_view text(in.data(), static_cast<std::size_t>(count));
    for (auto at = text.find("\r\n\r\n"); at != text.npos && !from.due.empty(); at = text.find("\r\n\r\n", at + 4)) {
        late.push_back(std::chrono::duration<double, std::micro>(now - from.due.front()).count());
        from.due.pop_front();
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5) return 2;
    const auto number = [&](int nth) { return std::atoi(arguments[nth]); };
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<client> clients;
    for (int nth = 0; nth < number(2); ++nth) {
        clients.push_back({connect_to(static_cast<std::uint16_t>(number(1)))});
        epoll_event readable{EPOLLIN, {.u32 = static_cast<std::uint32_t>(nth)}};
        ::epoll_ctl(set, EPOLL_CTL_ADD, clients.back().descriptor, &readable);
    }
    const auto pause = std::chrono::nanoseconds(1'000'000'000 / number(3));
    const std::size_t all = static_cast<std::size_t>(number(3)) * static_cast<std::size_t>(number(4));
    std::vector<double> late;
    late.reserve(all);
    std::array<epoll_event, 64> events;
    auto next = clock_type::now();
    const auto over = next + std::chrono::seconds(number(4) + 5);
    for (std::size_t sent = 0; late.size() < all && clock_type::now() < over;) {
        for (; sent < all && next <= clock_type::now(); ++sent, next += pause) {
            auto& client = clients[sent % clients.size()];
            client.due.push_back(next);
            if (::send(client.descriptor, asked.data(), asked.size(), MSG_NOSIGNAL) < 0) return 1;
        }
        const int ready = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), 0);
        for (int nth = 0; nth < ready; ++nth)
            take_answers(clients[events[static_cast<std::size_t>(nth)].data.u32], late);
    }
    if (late.size() < all) return 1;
    std::sort(late.begin(), late.end());
    const auto at = [&](double share) { return late[static_cast<std::size_t>(share * static_cast<double>(all - 1))]; };
    std::printf("%.0f %.0f %.0f %.0f\n", at(0.5), at(0.99), at(0.999), late.back());
}
