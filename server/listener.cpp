#include "server/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

#include "server/loop_thread.hpp"

namespace server {

namespace asio = boost::asio;
using asio::ip::tcp;
using lifecycle::clock;
using std::chrono::milliseconds;

namespace {

constexpr int accepts_a_turn = 64;
constexpr milliseconds handshake{5};  // for those whose SYN was answered before the filter
constexpr milliseconds room_poll{5};  // how often a full server looks whether somebody has left

bool is_of_unix(int descriptor) {
    int family = AF_UNSPEC;
    socklen_t size = sizeof family;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
}

std::runtime_error cannot_listen(const options& options, const char* call, int error) {
    const char* const advice = error == EADDRINUSE ? ": another process listens there; stop it or choose another port"
                               : error == EADDRNOTAVAIL ? ": this machine does not have that address"
                               : error == EACCES        ? ": ports below 1024 need a privilege; choose another port"
                                                        : "";
    return std::runtime_error(fmt::format("cannot listen on {} port {} ({}: {}){}", options.address, options.port, call,
                                          std::strerror(error), advice));
}

}  // namespace

listening_socket::listening_socket(const options& options)
    : descriptor_(options.inherited), backlog_(SOMAXCONN), shared_(options.inherited >= 0) {
    if (shared_) {
        const int on = 1;
        unix_ = is_of_unix(descriptor_);
        if (!unix_) ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    } else if (const std::string path(unix_path_of(options.address)); !path.empty()) {
        unix_ = true;
        descriptor_ = listen_on_path(path, options.unix_mode, backlog_);
        file_ = socket_file(path);
    } else {
        listen_on_tcp(options);
    }
}

void listening_socket::listen_on_tcp(const options& options) {
    const int on = 1, off = 0;
    boost::system::error_code bad_address;
    const auto address = asio::ip::make_address(options.address, bad_address);
    if (bad_address) throw cannot_listen(options, "address", EADDRNOTAVAIL);
    tcp::endpoint endpoint(address, options.port);
    open(endpoint);
    if (descriptor_ < 0) throw cannot_listen(options, "socket", errno);
    // For a port that is still in TIME_WAIT. Not for port 0: the kernel might pick one that another socket has
    // bound and not yet listens on, and listen would fail.
    if (options.port != 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options.reuse_port) ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (endpoint.address().is_v6()) ::setsockopt(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    // Inherited by accepted sockets: without it pipelined responses stall at 40 ms.
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (const int size = static_cast<int>(options.send_buffer_bytes); size > 0)
        ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);  // inherited too
    const char* failed = nullptr;
    if (::bind(descriptor_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
        failed = "bind";
    else if (::listen(descriptor_, backlog_) != 0)
        failed = "listen";
    if (failed == nullptr) return;
    const int error = errno;
    close();
    throw cannot_listen(options, failed, error);
}

/// All addresses of a machine are those of IPv4 where the kernel was built or started (ipv6.disable=1) without IPv6.
void listening_socket::open(tcp::endpoint& endpoint) {
    const auto made = [](const tcp::endpoint& of) {
        return ::socket(of.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    };
    descriptor_ = made(endpoint);
    if (descriptor_ >= 0 || errno != EAFNOSUPPORT || !endpoint.address().is_v6() ||
        !endpoint.address().is_unspecified())
        return;
    without_ipv6_ = true;
    endpoint.address(asio::ip::address_v4::any());
    descriptor_ = made(endpoint);
}

listening_socket::~listening_socket() { close(); }

std::string listening_socket::local() const {
    if (unix_) return "unix:" + bound_path(descriptor_);
    tcp::endpoint endpoint;
    auto size = static_cast<socklen_t>(endpoint.capacity());
    if (::getsockname(descriptor_, endpoint.data(), &size) == 0) endpoint.resize(size);
    const auto host = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                      : fmt::format("{}:{}", host, endpoint.port());
}

void listening_socket::take_path() noexcept {
    if (!unix_) return;
    try {
        file_ = socket_file(bound_path(descriptor_));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it stays behind, and the next start replaces it
    }
    shared_ = shared_ && !file_.is_ours();
}

void listening_socket::close() noexcept {
    file_.remove();
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void listening_socket::turn_away_newcomers() noexcept {
    if (unix_) {
        file_.remove();                    // who comes later than that finds the path free
        ::shutdown(descriptor_, SHUT_RD);  // connect(2) is refused from here on; accept(2) still lets in the queue
        return;
    }
    // On a listening socket a filter sees the TCP header first (tcp_filter in the kernel). Byte 13 are
    // the flags: SYN without ACK is dropped, the last ACK of a handshake under way is not.
    sock_filter program[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 13},    {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x12},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x02}, {BPF_RET | BPF_K, 0, 0, 0},
        {BPF_RET | BPF_K, 0, 0, 0xffffffff},
    };
    const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

listener::listener(listening_socket& socket, std::vector<std::unique_ptr<loop>>& loops)
    : socket_(socket),
      loops_(loops),
      pause_(loops.front()->context()),
      reserve_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    closed_.reserve(4);  // no memory is asked for at the end
    watched_ = std::make_unique<watched>(loops.front()->context(), socket.descriptor());
}

listener::~listener() {
    if (watched_->is_open()) watched_->release();
    if (reserve_ >= 0) ::close(reserve_);
}

/// A loop whose listener has ended before its time accepts nobody.
struct listener::last_words {
    explicit last_words(listener& of) : whose(of) { whose.running_ = true; }
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;

    listener& whose;
    ~last_words() {
        whose.running_ = false;
        if (whose.watched_->is_open())
            whose.loops_.front()->here().fail(std::make_exception_ptr(std::runtime_error("its listener has ended")));
    }
};

lifecycle::awaitable<> listener::run() {
    const last_words in_case(*this);
    while (!closing_) {
        auto waiting = watched_->async_wait(watched::wait_read, lifecycle::quietly);
        const auto [error] = co_await std::move(waiting);
        bool full = error && error != asio::error::operation_aborted;  // then it is asked again, like who has no room
        for (int nth = 0; nth < accepts_a_turn && !closing_; ++nth) {
            const auto what = accept_quietly();
            full = full || what == result::no_room;
            if (what != result::accepted) break;
        }
        if (!full || closing_) continue;
        pause_.expires_after(room_poll);
        auto pausing = pause_.async_wait(lifecycle::quietly);
        co_await std::move(pausing);
    }
    // Without a coroutine of its own, for which there may be no memory.
    if (turn_away_newcomers()) {
        pause_.expires_after(handshake);
        auto pausing = pause_.async_wait(lifecycle::quietly);
        co_await std::move(pausing);
    }
    let_in_the_last();
}

listener::result listener::accept_quietly() noexcept try { return accept_one(false); } catch (const std::bad_alloc&) {
    return result::no_room;
}

void listener::close_last(bool at_once, std::function<void()> closed) {
    asio::post(loops_.front()->context(), [this, at_once, closed = std::move(closed)]() mutable {
        if (!watched_->is_open()) return closed();  // handed over before
        closed_.push_back(std::move(closed));
        at_once_ = at_once_ || at_once;
        closing_ = true;
        if (!running_) return let_in_the_last();  // it could not begin, or has failed
        boost::system::error_code ignored;
        watched_->cancel(ignored);
        pause_.cancel();
    });
}

/// True: they may have been about to come.
bool listener::turn_away_newcomers() {
    const bool busy = clock::now() - last_accepted_ < std::chrono::seconds(1);
    if (at_once_ || socket_.shared() || !(busy || socket_.is_unix())) return false;
    socket_.turn_away_newcomers();
    return !socket_.is_unix();  // it has no handshakes under way
}

void listener::let_in_the_last() {
    for (int nth = 0; nth < socket_.backlog(); ++nth)
        if (accept_one(true) != result::accepted) break;
    watched_->release();
    socket_.close();
    for (const auto& one : closed_) one();
}

std::size_t listener::open() const {
    std::size_t all = 0;
    for (const auto& one : loops_) all += one->account().open.get();
    return all;
}

/// At the limit the connection that has been idle longest goes, if somebody really waits for its place; when
/// all are busy new ones wait.
listener::result listener::make_room() {
    pollfd waiting{socket_.descriptor(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0) return result::empty;
    loop* owner = nullptr;
    for (const auto& one : loops_) {
        const auto since = one->account().oldest_idle.get();
        if (since != 0 && (owner == nullptr || since < owner->account().oldest_idle.get())) owner = one.get();
    }
    if (owner != nullptr) owner->make_room();
    return result::no_room;  // look again in a moment
}

listener::result listener::accept_one(bool in_spite_of_limit) {
    if (!in_spite_of_limit && open() >= loops_.front()->here().serving().limits->max_connections) return make_room();
    tcp::endpoint peer;
    auto size = static_cast<socklen_t>(peer.capacity());
    auto* const name = socket_.is_unix() ? nullptr : peer.data();
    const int descriptor =
        ::accept4(socket_.descriptor(), name, name == nullptr ? nullptr : &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
        last_accepted_ = clock::now();
        socket_address from;
        if (name != nullptr) {
            peer.resize(size);
            from = peer;
        }
        return deal(descriptor, from) || in_spite_of_limit ? result::accepted : result::no_room;
    }
    switch (errno) {
        case EINTR:
        case ECONNABORTED: return result::accepted;  // that one has gone: go on with the next
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM: refuse_with_reserve(); return in_spite_of_limit ? result::accepted : result::no_room;
        default: return result::empty;
    }
}

/// False: it could not be served, and has been closed.
bool listener::deal(int descriptor, const socket_address& peer) try {
    const auto fewest = std::min_element(loops_.begin(), loops_.end(), [](const auto& a, const auto& b) {
        return a->account().open.get() < b->account().open.get();
    });
    (*fewest)->adopt(descriptor, peer);
    return true;
} catch (const std::exception& e) {
    loops_.front()->here().lost_connection(e.what());
    return false;
}

/// No descriptor is left: the one kept in reserve lets one client in, to be told so.
void listener::refuse_with_reserve() {
    if (reserve_ < 0) return;
    ::close(std::exchange(reserve_, -1));
    const int descriptor = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor >= 0) {
        constexpr std::string_view answer =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: "
            "close\r\n\r\n";
        loops_.front()->here().account().refused[static_cast<std::size_t>(rule::max_descriptors)].add();
        ::send(descriptor, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        ::shutdown(descriptor, SHUT_WR);
        char unread[4096];
        for (int reads = 0; reads < 16; ++reads)
            if (::recv(descriptor, unread, sizeof unread, MSG_DONTWAIT) <= 0) break;
        ::close(descriptor);
    }
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace server
