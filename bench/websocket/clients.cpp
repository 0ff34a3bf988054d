// The load of bench/websocket/run: WebSocket clients (RFC 6455) on one epoll(7) set. They look at no more than where a
// message ends; the first answer of each is compared.
//
//   clients PORT echo CONNECTIONS SECONDS BYTES [deflate]   each sends when the last message has come back; prints how
//                                                           many came, and how many bytes a message
//   clients PORT broadcast CONNECTIONS SECONDS BYTES        one sends when all have heard the last; prints "begin" once
//                                                           all are connected, goes on with a line of its input, and
//                                                           prints how often that was
//   clients PORT idle CONNECTIONS MS                        each has had an echo; prints a line when MS have passed
//   since

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using clock_of = std::chrono::steady_clock;

[[noreturn]] void fail(std::string_view what) {
    std::fprintf(stderr, "clients: %.*s\n", static_cast<int>(what.size()), what.data());
    std::exit(1);
}

/// Looks like what services say to each other, and is this long.
std::string json(std::size_t size) {
    std::string text = "[";
    for (unsigned nth = 1; text.size() + 2 < size; ++nth) {
        const auto number = std::to_string(nth * 7919 % 10'007);
        text += R"({"id":)" + number + R"(,"name":"item )" + number + R"(","price":)" + std::to_string(nth * 31 % 97) +
                R"(.50,"tags":["new","sale"],"stock":true},)";
    }
    text.resize(size - 1, ' ');
    return text + "]";
}

/// As a message of permessage-deflate without context takeover (RFC 7692 section 7.2.1).
std::string deflated(std::string text) {
    z_stream state{};
    if (::deflateInit2(&state, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail("no zlib");
    std::string out(2 * text.size() + 64, '\0');
    state.next_in = reinterpret_cast<Bytef*>(text.data());
    state.avail_in = static_cast<uInt>(text.size());
    state.next_out = reinterpret_cast<Bytef*>(out.data());
    state.avail_out = static_cast<uInt>(out.size());
    ::deflate(&state, Z_SYNC_FLUSH);
    out.resize(out.size() - state.avail_out - 4);
    ::deflateEnd(&state);
    return out;
}

/// A text in one frame, masked.
std::string frame(std::string payload, bool compressed) {
    constexpr std::string_view key = "\x37\xfa\x21\x3d";
    std::string made(1, static_cast<char>(compressed ? 0xc1 : 0x81));
    const auto size = payload.size();
    if (size < 126) {
        made += static_cast<char>(0x80 | size);
    } else {
        made += static_cast<char>(0x80 | 126);
        made += static_cast<char>(size >> 8);
        made += static_cast<char>(size & 0xff);
    }
    made += key;
    for (std::size_t nth = 0; nth < size; ++nth) payload[nth] ^= key[nth % 4];
    return made + payload;
}

struct client {
    int descriptor = -1;
    std::string rest = {};  ///< of a frame

    void send(std::string_view bytes) const {
        if (::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) fail("write");
    }
    /// Whole messages in what has come; what is not whole is kept. `last` is the last one.
    std::size_t take(std::string_view in, std::string_view& last, bool& compressed);
};

std::size_t client::take(std::string_view in, std::string_view& last, bool& compressed) {
    std::size_t count = 0;
    for (;;) {
        const auto byte = [in](std::size_t nth) { return static_cast<unsigned char>(in[nth]); };
        if (in.size() < 2) break;
        std::size_t head = 2, size = byte(1) & 0x7fU;
        if (size == 126) {
            if (in.size() < 4) break;
            head = 4;
            size = static_cast<std::size_t>(byte(2)) << 8U | byte(3);
        }
        if (size == 127 || (byte(0) & 0x0fU) == 8) fail("a Close, or a message above 64 KiB");
        if (in.size() < head + size) break;
        if ((byte(0) & 0x08U) == 0) {
            ++count;
            last = in.substr(head, size);
            compressed = (byte(0) & 0x40U) != 0;
        }
        in.remove_prefix(head + size);
    }
    rest = std::string(in);
    return count;
}

client connect_to(std::uint16_t port, std::string_view path, bool deflate) {
    client made{::socket(AF_INET, SOCK_STREAM, 0)};
    const sockaddr_in address{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    if (::connect(made.descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
    const int on = 1;
    ::setsockopt(made.descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::string asked = "GET " + std::string(path) +
                        " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    if (deflate)
        asked +=
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
            "client_no_context_takeover\r\n";
    made.send(asked + "\r\n");
    std::string answer;
    while (answer.find("\r\n\r\n") == answer.npos) {
        std::array<char, 1024> bytes;
        const auto count = ::read(made.descriptor, bytes.data(), bytes.size());
        if (count <= 0) fail("no answer to a handshake");
        answer.append(bytes.data(), static_cast<std::size_t>(count));
    }
    if (!answer.starts_with("HTTP/1.1 101")) fail(answer);
    if (deflate && answer.find("permessage-deflate") == answer.npos) fail("it does not compress");
    return made;
}

std::vector<client> connect_all(std::uint16_t port, std::string_view path, int count, bool deflate) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    std::vector<client> all;
    for (; count > 0; --count) all.push_back(connect_to(port, path, deflate));
    return all;
}

/// Until the end: `heard(which, how many, the last, whether that is compressed)` for whatever comes.
template <class Heard>
void listen_to(std::vector<client>& all, clock_of::time_point end, const Heard& heard) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    for (auto& each : all) {
        epoll_event readable{EPOLLIN, {.ptr = &each}};
        ::epoll_ctl(set, EPOLL_CTL_ADD, each.descriptor, &readable);
    }
    std::array<epoll_event, 512> events;
    std::array<char, 64 * 1024> bytes;
    while (clock_of::now() < end) {
        const int count = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), 100);
        for (int nth = 0; nth < count; ++nth) {
            auto& from = *static_cast<client*>(events[static_cast<std::size_t>(nth)].data.ptr);
            const auto size = ::read(from.descriptor, bytes.data(), bytes.size());
            if (size <= 0) fail("a connection has ended");
            std::string_view in(bytes.data(), static_cast<std::size_t>(size)), last;
            std::string whole;
            if (!from.rest.empty()) in = whole = from.rest.append(in);
            bool compressed = false;
            const auto messages = from.take(in, last, compressed);
            if (messages > 0) heard(from, messages, last, compressed);
        }
    }
    ::close(set);
}

int echo(std::uint16_t port, int connections, double seconds, std::size_t size, bool deflate) {
    const auto text = json(size);
    const auto sent = deflate ? frame(deflated(text), true) : frame(text, false);
    auto all = connect_all(port, "/ws", connections, deflate);
    for (const auto& each : all) each.send(sent);
    std::uint64_t count = 0, bytes = 0;
    const auto end = clock_of::now() + std::chrono::milliseconds(static_cast<int>(1000 * seconds));
    listen_to(all, end, [&](const client& client, std::size_t, std::string_view last, bool compressed) {
        if (compressed != deflate || (!deflate && count < 1000 && last != text)) fail("an echo is another");
        ++count;
        bytes += last.size();
        client.send(sent);
    });
    std::printf("%llu %llu\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(count > 0 ? bytes / count : 0));
    return 0;
}

int broadcast(std::uint16_t port, int connections, double seconds, std::size_t size) {
    const auto sent = frame(json(size), false);
    auto all = connect_all(port, "/all", connections, false);
    std::uint64_t rounds = 0, heard = 0;
    std::puts("begin");
    std::fflush(stdout);
    if (std::getchar() == EOF) return 1;  // what has been spent so far is for the connections
    all.front().send(sent);
    const auto end = clock_of::now() + std::chrono::milliseconds(static_cast<int>(1000 * seconds));
    listen_to(all, end, [&](const client&, std::size_t messages, std::string_view, bool) {
        heard += messages;
        if (heard < all.size()) return;
        heard = 0;
        ++rounds;
        all.front().send(sent);
    });
    std::printf("%llu\n", static_cast<unsigned long long>(rounds));
    return 0;
}

int idle(std::uint16_t port, int connections, int ms) {
    const auto sent = frame(json(64), false);
    auto all = connect_all(port, "/ws", connections, false);
    for (const auto& each : all) {
        each.send(sent);
        std::array<char, 256> bytes;
        if (::read(each.descriptor, bytes.data(), bytes.size()) < 64) fail("no echo");
    }
    ::poll(nullptr, 0, ms);
    std::puts("idle");
    std::fflush(stdout);
    ::poll(nullptr, 0, 500);  // while they are looked at
    return 0;
}

}  // namespace

int main(int count, char** given) {
    if (count < 5) return 2;
    const auto port = static_cast<std::uint16_t>(std::atoi(given[1]));
    const std::string_view what = given[2];
    const int connections = std::atoi(given[3]);
    if (what == "idle") return idle(port, connections, std::atoi(given[4]));
    if (count < 6) return 2;
    const auto size = static_cast<std::size_t>(std::atoi(given[5]));
    if (what == "broadcast") return broadcast(port, connections, std::atof(given[4]), size);
    return echo(port, connections, std::atof(given[4]), size, count > 6);
}
