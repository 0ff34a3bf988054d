// How long POST /events takes at a rate that is kept: latency PORT CONNECTIONS RATE SECONDS prints
//   ANSWERED_A_SECOND P50_µs P99_µs REFUSED
// RATE 0: each connection sends when it has its answer, which is as fast as it goes. Otherwise a request's time
// counts from when it was due, so that a server that stands still is not measured less often.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

const std::string request =
    "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n" + std::string(200, 'x');

int connect_to(int port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("connect");
    return socket;
}

/// True for a 201. An answer is in one piece here: it is short.
bool exchange(int socket) {
    char block[2048];
    if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("send");
    const auto got = ::recv(socket, block, sizeof block, 0);
    if (got <= 0) throw std::runtime_error("the connection has ended");
    return std::string_view(block, static_cast<std::size_t>(got)).starts_with("HTTP/1.1 201");
}

}  // namespace

int main(int count, char** arguments) try {
    if (count != 5) throw std::runtime_error("latency PORT CONNECTIONS RATE SECONDS");
    const int port = std::stoi(arguments[1]);
    const auto connections = std::stoul(arguments[2]);
    const double rate = std::stod(arguments[3]);
    const double seconds = std::stod(arguments[4]);
    const auto pause = std::chrono::duration_cast<clock_type::duration>(
        std::chrono::duration<double>(rate > 0 ? static_cast<double>(connections) / rate : 0));
    std::mutex mutex;
    std::vector<double> all;
    std::size_t refused = 0;
    const auto began = clock_type::now();
    const auto end = began + std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(seconds));
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < connections; ++i)
            threads.emplace_back(
                [&, due = began + pause * static_cast<int>(i) / static_cast<int>(connections)]() mutable {
                    const int socket = connect_to(port);
                    std::vector<double> mine;
                    std::size_t bad = 0;
                    for (; clock_type::now() < end && due < end; due += pause) {
                        if (rate > 0)
                            std::this_thread::sleep_until(due);
                        else
                            due = clock_type::now();
                        bad += exchange(socket) ? 0U : 1U;
                        mine.push_back(std::chrono::duration<double, std::micro>(clock_type::now() - due).count());
                    }
                    ::close(socket);
                    const std::scoped_lock lock(mutex);
                    refused += bad;
                    all.insert(all.end(), mine.begin(), mine.end());
                });
    }
    std::sort(all.begin(), all.end());
    const auto at = [&](double part) {
        return all.at(static_cast<std::size_t>(part * static_cast<double>(all.size() - 1)));
    };
    const std::chrono::duration<double> lasted = clock_type::now() - began;
    std::printf("%.0f %.0f %.0f %zu\n", static_cast<double>(all.size()) / lasted.count(), at(0.5), at(0.99), refused);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
