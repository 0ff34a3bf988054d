#include "server/net/listening_socket.hpp"

#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

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
    // As long a queue as the kernel allows (net.core.somaxconn): a client that finds it full tries again only after a
    // second.
    : descriptor_(options.inherited), backlog_(SOMAXCONN), shared_(options.inherited >= 0) {
    if (shared_) {
        const int on = 1;
        unix_ = is_of_unix(descriptor_);
        // What made it, systemd for instance, need not have set that.
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
    reuses_port_ = options.reuse_port;
    if (reuses_port_) ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    // `::` is for both families, whatever net.ipv6.bindv6only says.
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
    const auto endpoint = bound();
    const auto host = endpoint.address().to_string();
    return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                      : fmt::format("{}:{}", host, endpoint.port());
}

void listening_socket::take() noexcept {
    if (!unix_) {
        int on = 0;
        socklen_t size = sizeof on;
        reuses_port_ = ::getsockopt(descriptor_, SOL_SOCKET, SO_REUSEPORT, &on, &size) == 0 && on != 0;
        shared_ = false;
        return;
    }
    try {
        file_ = socket_file(bound_path(descriptor_));
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it stays, and the next start replaces it
    }
    shared_ = shared_ && !file_.is_ours();
}

tcp::endpoint listening_socket::bound() const {
    tcp::endpoint endpoint;
    auto size = static_cast<socklen_t>(endpoint.capacity());
    if (::getsockname(descriptor_, endpoint.data(), &size) == 0) endpoint.resize(size);
    return endpoint;
}

void listening_socket::close() noexcept {
    file_.remove();
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

/// How many sockets listen on this address and port: there is no call that says so. 0: not known.
unsigned listening_socket::listeners() const {
    struct stat its = {};
    if (::fstat(descriptor_, &its) != 0) return 0;
    std::ifstream table(bound().address().is_v6() ? "/proc/net/tcp6" : "/proc/net/tcp");  // proc(5)
    std::map<std::string, unsigned> by_address;
    std::string line, address, ours, state, skipped;
    std::getline(table, line);
    while (std::getline(table, line)) {  // those that listen come first
        std::istringstream fields(line);
        ino_t inode = 0;
        fields >> skipped >> address >> skipped >> state >> skipped >> skipped >> skipped >> skipped >> skipped >>
            inode;
        if (state != "0A") break;
        ++by_address[address];
        if (inode == its.st_ino) ours = address;
    }
    return by_address[ours];
}

bool listening_socket::has_others() const { return reuses_port_ && listeners() > 1; }

void listening_socket::turn_away_newcomers(unsigned nth) noexcept try {
    if (unix_) {
        file_.remove();                    // later processes find the path free
        ::shutdown(descriptor_, SHUT_RD);  // connect(2) is refused from here on; accept(2) still lets in the queue
        return;
    }
    // SO_ATTACH_REUSEPORT_CBPF, socket(7): the number of the socket that a new SYN goes to.
    if (const auto all = reuses_port_ ? listeners() : 1; all > 1) {
        sock_filter sock_filter[] = {{BPF_RET | BPF_K, 0, 0, all - 1 - nth % all}};
        const sock_fprog choice{static_cast<unsigned short>(std::size(sock_filter)), sock_filter};
        directs_ = ::setsockopt(descriptor_, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &choice, sizeof choice) == 0;
        if (directs_) return;
    }
    // A listening socket that is bound to an interface takes no SYN from another (socket(7), SO_BINDTODEVICE), and the
    // kernel refuses one that no socket takes. A handshake under way keeps the interface that it has come by. There is
    // no interface of this number, and the kernel does not ask.
    const int nowhere = std::numeric_limits<int>::max();
    if (::setsockopt(descriptor_, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere) != 0) drop_newcomers();
} catch (const std::bad_alloc&) {
    drop_newcomers();
}

void listening_socket::leave_others() noexcept {
    if (!std::exchange(directs_, false)) return;
    drop_newcomers();  // from here to the close
    const int ignored = 0;
    ::setsockopt(descriptor_, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &ignored, sizeof ignored);
}

/// From here on SYNs are dropped; a client sends its SYN again after a second.
void listening_socket::drop_newcomers() noexcept {
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

}  // namespace server
