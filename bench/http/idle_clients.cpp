// Holds keep-alive connections that have asked once and are idle, for the memory they cost a server.
//
//   idle_clients PORT NUMBER MS     prints a line when MS have passed since the last answer, and ends
//   idle_clients free-port          prints a port that nobody listens on

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

int fail(const char* what) {
    std::perror(what);
    return 1;
}

int print_free_port() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0) return fail("bind");
    if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) return fail("getsockname");
    std::printf("%d\n", ntohs(address.sin_port));
    return 0;
}

bool ask_once(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    constexpr std::string_view asked = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    if (::write(socket, asked.data(), asked.size()) < 0) return false;
    std::array<char, 4096> answer;
    return ::read(socket, answer.data(), answer.size()) > 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 2) return print_free_port();
    if (count != 4) return 2;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    for (int left = std::atoi(arguments[2]); left > 0; --left)
        if (!ask_once(static_cast<std::uint16_t>(std::atoi(arguments[1])))) return fail("a connection");
    ::poll(nullptr, 0, std::atoi(arguments[3]));
    std::puts("idle");
    std::fflush(stdout);
    ::poll(nullptr, 0, 500);  // while they are looked at
}
