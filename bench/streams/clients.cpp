// The load of bench/streams/run.
//
//   clients PORT ticks STREAMS SECONDS      holds event streams, each with an event a second; prints "begin" once each
//                                           has had one, and SECONDS later how many have come since
//   clients PORT count BYTES                sends a body that long; prints how many seconds that took, and the answer

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using clock_of = std::chrono::steady_clock;

[[noreturn]] void fail(std::string_view what) {
    std::fprintf(stderr, "clients: %.*s\n", static_cast<int>(what.size()), what.data());
    std::exit(1);
}

int connect_to(std::uint16_t port) {
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    if (::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
    return made;
}

void send(int to, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto count = ::write(to, bytes.data(), bytes.size());
        if (count <= 0) fail("write");
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

/// Streams whose events are counted by the "data: " in what comes: an event comes in one piece, since it is written so.
class streams {
public:
    streams(std::uint16_t port, int count) : set_(::epoll_create1(EPOLL_CLOEXEC)), seen_(200'000) {
        for (; count > 0; --count) {
            const int socket = connect_to(port);
            send(socket, "GET /ticks?ms=1000 HTTP/1.1\r\nHost: a\r\n\r\n");
            epoll_event readable{EPOLLIN, {.fd = socket}};
            ::epoll_ctl(set_, EPOLL_CTL_ADD, socket, &readable);
        }
    }
    std::uint64_t events() const { return events_; }
    std::size_t begun() const { return begun_; }
    void listen_for(int ms) {
        std::array<epoll_event, 512> ready;
        const int count = ::epoll_wait(set_, ready.data(), static_cast<int>(ready.size()), ms);
        for (int nth = 0; nth < count; ++nth) take(ready[static_cast<std::size_t>(nth)].data.fd);
    }

private:
    void take(int from) {
        std::array<char, 16 * 1024> bytes;
        const auto size = ::read(from, bytes.data(), bytes.size());
        if (size <= 0) fail("a stream has ended");
        const std::string_view in(bytes.data(), static_cast<std::size_t>(size));
        for (auto at = in.find("data: "); at != in.npos; at = in.find("data: ", at + 1)) {
            ++events_;
            if (!seen_[static_cast<std::size_t>(from)]) ++begun_;
            seen_[static_cast<std::size_t>(from)] = true;
        }
    }

    int set_;
    std::vector<bool> seen_;
    std::size_t begun_ = 0;
    std::uint64_t events_ = 0;
};

int ticks(std::uint16_t port, int count, int seconds) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    streams all(port, count);
    const auto limit = clock_of::now() + std::chrono::seconds(120);
    while (all.begun() < static_cast<std::size_t>(count)) {
        if (clock_of::now() > limit) fail("not every stream has had an event");
        all.listen_for(100);
    }
    const auto end = clock_of::now() + std::chrono::seconds(seconds);
    const auto before = all.events();
    std::puts("begin");
    std::fflush(stdout);
    while (clock_of::now() < end) all.listen_for(20);
    std::printf("%llu\n", static_cast<unsigned long long>(all.events() - before));
    std::fflush(stdout);
    char more = 0;
    return ::read(STDIN_FILENO, &more, 1) < 0 ? 1 : 0;  // the streams live until the CPU time has been looked at
}

int count(std::uint16_t port, std::uint64_t bytes) {
    const int to = connect_to(port);
    const std::string piece(256 * 1024, 'x');
    const auto began = clock_of::now();
    send(to, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n");
    for (auto left = bytes; left > 0;) {
        const auto size = left < piece.size() ? left : piece.size();
        send(to, std::string_view(piece).substr(0, static_cast<std::size_t>(size)));
        left -= size;
    }
    std::string answer;
    while (answer.find("}\n") == answer.npos) {
        std::array<char, 4096> into;
        const auto size = ::read(to, into.data(), into.size());
        if (size <= 0) fail("no answer");
        answer.append(into.data(), static_cast<std::size_t>(size));
    }
    const std::chrono::duration<double> took = clock_of::now() - began;
    std::printf("%.4f %s", took.count(), answer.c_str() + answer.find("\r\n\r\n") + 4);
    return 0;
}

}  // namespace

int main(int number, char** given) {
    if (number < 4) return 2;
    const auto port = static_cast<std::uint16_t>(std::atoi(given[1]));
    if (std::string_view(given[2]) == "count") return count(port, std::strtoull(given[3], nullptr, 10));
    return number < 5 ? 2 : ticks(port, std::atoi(given[3]), std::atoi(given[4]));
}
