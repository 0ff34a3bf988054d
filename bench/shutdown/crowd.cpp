// Very many connections of every kind through one stop.
//
//   shutdown_crowd PID SIGNAL PORT clear|tls KIND=NUMBER…
//
// KIND is idle (asked once), fresh (nothing sent), slow (GET /slow?ms=3000 is under way), ticks (a stream of events),
// ws (a WebSocket), h2 (an idle connection of HTTP/2) or h2x8 (one with eight GET /slow?ms=3000 under way). When all
// are there, PID gets the signal (a number). Each connection is then read to its end. Prints a line for each kind, what
// became of it, and how long the process took to end; exit code 1 when one has ended otherwise than it should:
// docs/shutdown.md, "Each kind of connection".
//
//   shutdown_crowd events PORT NUMBER       NUMBER times POST /events on one connection, pipelined

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using clock = std::chrono::steady_clock;
using namespace std::string_view_literals;

enum class kind { idle, fresh, slow, ticks, ws, h2, h2x8 };
const std::map<std::string_view, kind> kinds{{"idle", kind::idle},   {"fresh", kind::fresh}, {"slow", kind::slow},
                                             {"ticks", kind::ticks}, {"ws", kind::ws},       {"h2", kind::h2},
                                             {"h2x8", kind::h2x8}};

constexpr auto slow = "GET /slow?ms=3000 HTTP/1.1\r\nHost: a\r\n\r\n"sv;

/// A frame of HTTP/2, RFC 9113 section 4.1.
std::string frame(char type, char flags, std::uint32_t stream, std::string_view payload) {
    std::string made;
    for (const int shift : {16, 8, 0}) made += static_cast<char>(payload.size() >> shift);
    made += type;
    made += flags;
    for (const int shift : {24, 16, 8, 0}) made += static_cast<char>(stream >> shift);
    return made.append(payload);
}

/// :method GET, :scheme http, :path, :authority a; nothing of it goes into a table.
std::string get_of_http2(std::uint32_t stream, std::string_view path) {
    std::string block = "\x82\x86\x04";
    block += static_cast<char>(path.size());
    block.append(path).append(
        "\x01\x01"
        "a");
    return frame(1, 0x5, stream, block);
}

/// The first bytes of a client, after which it is what it is called.
std::string opening(kind of) {
    constexpr auto preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv;
    std::string text;
    switch (of) {
        case kind::fresh: break;
        case kind::idle: return "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        case kind::slow: return std::string(slow);
        case kind::ticks: return "GET /ticks?ms=5000 HTTP/1.1\r\nHost: a\r\n\r\n";
        case kind::ws:
            return "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
                   "13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        case kind::h2: return std::string(preface) + frame(4, 0, 0, {}) + get_of_http2(1, "/");
        case kind::h2x8:
            text = std::string(preface) + frame(4, 0, 0, {});
            for (std::uint32_t stream = 1; stream < 16; stream += 2) text += get_of_http2(stream, "/slow?ms=3000");
    }
    return text;
}

class guest {
public:
    guest(kind of, std::uint16_t port, SSL_CTX* secure) : kind_(of), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const sockaddr_in to{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) std::perror("connect");
        const int now = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
        if (secure != nullptr) shake_hands(secure);
        send(opening(of));
    }
    ~guest() {
        SSL_free(ssl_);
        ::close(socket_);
    }
    guest(const guest&) = delete;
    guest& operator=(const guest&) = delete;

    int socket() const { return socket_; }
    kind of() const { return kind_; }
    bool over() const { return over_; }
    bool there() const { return there_; }
    bool closed() const { return closed_; }

    /// Takes what has come, until nothing is left.
    void receive() {
        std::array<char, 16 * 1024> bytes;
        while (!closed_) {
            const auto count = read(bytes);
            if (count < 0) return;
            if (count == 0) {
                closed_ = true;
                if (got_.empty()) return;
            }
            got_.append(bytes.data(), static_cast<std::size_t>(count));
            look();
        }
    }

    /// It ended as docs/shutdown.md says that its kind does.
    bool whole() const { return closed_ && !reset_ && (ssl_ == nullptr || notified_) && over_ && got_.empty(); }
    bool was_reset() const { return reset_; }

private:
    void shake_hands(SSL_CTX* secure) {
        ssl_ = SSL_new(secure);
        SSL_set_fd(ssl_, socket_);
        const auto* const protocol = kind_ == kind::h2 || kind_ == kind::h2x8 ? "\x02h2" : "\x08http/1.1";
        SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(protocol),
                            static_cast<unsigned>(std::strlen(protocol)));
        if (SSL_connect(ssl_) != 1) ERR_print_errors_fp(stderr);
        ::fcntl(socket_, F_SETFL, O_NONBLOCK);
    }

    void send(std::string_view bytes) {
        if (bytes.empty()) return void(there_ = over_ = true);
        if (ssl_ != nullptr)
            SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
        else
            ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    /// Bytes; 0: the end; less: nothing now.
    long read(std::span<char> into) {
        if (ssl_ == nullptr) {
            const auto count = ::recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
            if (count < 0 && errno == EAGAIN) return -1;
            reset_ = count < 0;
            return std::max(0L, count);
        }
        ERR_clear_error();
        const int count = SSL_read(ssl_, into.data(), static_cast<int>(into.size()));
        if (count > 0) return count;
        const int why = SSL_get_error(ssl_, count);
        if (why == SSL_ERROR_WANT_READ) return -1;
        notified_ = why == SSL_ERROR_ZERO_RETURN;
        reset_ = !notified_ && errno == ECONNRESET;
        return 0;
    }

    /// Takes away what is understood; `over_`: if the end comes now, nothing is missing.
    void look() {
        switch (kind_) {
            case kind::fresh: break;
            case kind::idle:
            case kind::slow: return look_for_answer();
            case kind::ticks: return look_for_stream();
            case kind::ws: return look_for_close();
            case kind::h2:
            case kind::h2x8: return look_at_frames();
        }
    }

    void look_for_answer() {
        const auto head = got_.find("\r\n\r\n");
        if (head == std::string::npos) return;
        if (!got_.starts_with("HTTP/1.1 200 ")) return;
        const auto length = got_.find("Content-Length: ");
        const auto size = head + 4 + std::strtoul(got_.c_str() + length + 16, nullptr, 10);
        if (got_.size() < size) return;
        got_.erase(0, size);
        there_ = over_ = true;
    }

    void look_for_stream() {
        there_ = there_ || got_.find("\r\n\r\n:") != std::string::npos || got_.find("retry:") != std::string::npos;
        if (got_.ends_with("\r\n0\r\n\r\n") && got_.find("event: bye\n") != std::string::npos) {
            over_ = true;
            got_.clear();
        }
    }

    void look_for_close() {
        if (!there_) {
            const auto head = got_.find("\r\n\r\n");
            if (head == std::string::npos || !got_.starts_with("HTTP/1.1 101 ")) return;
            got_.erase(0, head + 4);
            there_ = true;
        }
        if (got_ != "\x88\x02\x03\xe9"sv) return;  // 1001
        got_.clear();
        over_ = true;
        send("\x88\x82\0\0\0\0\x03\xe9"sv);
    }

    void look_at_frames() {
        const auto at = [&](std::size_t place) { return static_cast<unsigned char>(got_[place]); };
        while (got_.size() >= 9) {
            const std::size_t size = 9 + (std::size_t{at(0)} << 16 | std::size_t{at(1)} << 8 | at(2));
            if (got_.size() < size) return;
            const auto type = at(3), flags = at(4);
            if (type == 1 && got_[9] != '\x88') failed_ = true;  // :status 200
            if (type == 3) failed_ = true;
            if (type <= 1 && (flags & 1) != 0) ++answered_;
            if (type == 4 && flags == 0) send(frame(4, 1, 0, {}));
            if (type == 6 && flags == 0) send(frame(6, 1, 0, std::string_view(got_).substr(9, 8)));
            if (type == 7) told_ = true;
            if (type == 4) there_ = there_ || kind_ == kind::h2x8;
            got_.erase(0, size);
        }
        there_ = there_ || answered_ > 0;
        over_ = !failed_ && told_ && answered_ == (kind_ == kind::h2 ? 1 : 8);
    }

    kind kind_;
    int socket_;
    SSL* ssl_ = nullptr;
    std::string got_;
    int answered_ = 0;
    bool there_ = false, over_ = false, closed_ = false, reset_ = false, notified_ = false, told_ = false,
         failed_ = false;
};

struct crowd {
    /// Reads until that is so of each, or the time is over.
    template <class So>
    bool until(So so, std::chrono::seconds limit) {
        const auto end = clock::now() + limit;
        std::size_t left = 0;
        for (const auto& each : all) left += !so(*each);
        std::array<epoll_event, 512> events;
        while (left > 0 && clock::now() < end) {
            const int count = ::epoll_wait(set, events.data(), events.size(), 1000);
            for (int i = 0; i < count; ++i) {
                auto& it = *static_cast<guest*>(events[static_cast<std::size_t>(i)].data.ptr);
                const bool before = so(it);
                it.receive();
                left -= !before && so(it);
                if (it.closed()) ::epoll_ctl(set, EPOLL_CTL_DEL, it.socket(), nullptr);
            }
        }
        return left == 0;
    }
    void add(kind of, std::uint16_t port, SSL_CTX* secure) {
        auto& made = *all.emplace_back(std::make_unique<guest>(of, port, secure));
        epoll_event wanted{.events = EPOLLIN, .data = {.ptr = &made}};
        ::epoll_ctl(set, EPOLL_CTL_ADD, made.socket(), &wanted);
    }

    int set = ::epoll_create1(0);
    std::vector<std::unique_ptr<guest>> all;
};

/// ms from the signal to the end of the process, or -1 when it has not ended in a minute. Another thread waits for it:
/// the connections that end are many.
long stop(int process, int signal, crowd& crowd) {
    const int end = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
    long took = -1;
    const auto began = clock::now();
    std::thread waiting([&] {
        pollfd watched{.fd = end, .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, 60'000) == 1)
            took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began).count();
    });
    ::kill(process, signal);
    crowd.until([](const guest& it) { return it.closed(); }, std::chrono::seconds(60));
    waiting.join();
    return took;
}

/// A line for each kind; how many ended otherwise than they should.
int report(const crowd& crowd) {
    int faults = 0;
    for (const auto& [name, of] : kinds) {
        int all = 0, whole = 0, open = 0, reset = 0;
        for (const auto& each : crowd.all) {
            if (each->of() != of) continue;
            ++all;
            whole += each->whole();
            open += !each->closed();
            reset += each->was_reset();
        }
        if (all > 0) fmt::print("{}: {} of {} whole, {} reset, {} still open\n", name, whole, all, reset, open);
        faults += all - whole;
    }
    return faults;
}

int post_events(std::uint16_t port, int number) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in to{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return 1;
    std::string got;
    for (int left = number; left > 0;) {
        const int some = std::min(left, 50);
        std::string asked;
        for (int i = 0; i < some; ++i)
            asked += "POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'e');
        ::send(socket, asked.data(), asked.size(), MSG_NOSIGNAL);
        left -= some;
        for (int answered = 0; answered < some;) {
            std::array<char, 16 * 1024> bytes;
            const auto count = ::recv(socket, bytes.data(), bytes.size(), 0);
            if (count <= 0) return 1;
            got.append(bytes.data(), static_cast<std::size_t>(count));
            std::size_t at = 0;
            for (std::size_t next; (next = got.find("201 Created\r\n", at)) != std::string::npos; at = next + 13)
                ++answered;
            got.erase(0, at > 0 ? at : got.size() - std::min<std::size_t>(got.size(), 12));
        }
    }
    return 0;
}

void raise_limit() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

int gather(int count, char** arguments) {
    const int process = std::atoi(arguments[1]), signal = std::atoi(arguments[2]);
    const auto port = static_cast<std::uint16_t>(std::atoi(arguments[3]));
    SSL_CTX* const secure = arguments[4] == "tls"sv ? SSL_CTX_new(TLS_client_method()) : nullptr;
    crowd crowd;
    for (int i = 5; i < count; ++i) {
        const std::string_view asked(arguments[i]);
        const auto found = kinds.find(asked.substr(0, asked.find('=')));
        if (found == kinds.end() || asked.find('=') == std::string_view::npos) return 2;
        for (int left = std::atoi(arguments[i] + asked.find('=') + 1); left > 0; --left)
            crowd.add(found->second, port, secure);
    }
    if (!crowd.until([](const guest& it) { return it.there() || it.of() == kind::slow || it.closed(); },
                     std::chrono::seconds(120)))
        fmt::print("not all were there in time\n");
    const auto took = stop(process, signal, crowd);
    const int faults = report(crowd);
    fmt::print("stop {} ms\n", took);
    return faults == 0 && took >= 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    raise_limit();
    if (count == 4 && arguments[1] == "events"sv)
        return post_events(static_cast<std::uint16_t>(std::atoi(arguments[2])), std::atoi(arguments[3]));
    return count > 5 ? gather(count, arguments) : 2;
}
