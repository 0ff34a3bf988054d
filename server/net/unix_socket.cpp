#include "server/net/unix_socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace server {
namespace {

constexpr int lock_tries = 50;  // 10 ms apart

std::runtime_error cannot_listen(const std::string& path, const char* call, int error) {
    const char* const advice = error == EADDRINUSE ? ": another process listens there; stop it or choose another path"
                               : error == ENOENT   ? ": its directory is not there"
                               : error == EACCES   ? ": this process may not write there"
                               : error == ENOTSOCK ? ": what is there is no socket, and is left alone"
                                                   : "";
    return std::runtime_error(
        fmt::format("cannot listen on unix:{} ({}: {}){}", path, call, std::strerror(error), advice));
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) throw cannot_listen(path, "path", ENAMETOOLONG);
    std::ranges::copy(path, address.sun_path);
    return address;
}

/// A descriptor that is closed, and with it the lock that it holds.
struct descriptor {
    explicit descriptor(int of) noexcept : number(of) {}
    ~descriptor() {
        if (number >= 0) ::close(number);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    int release() noexcept { return std::exchange(number, -1); }

    int number;
};

/// Of the directory, so that no file remains. If it cannot be taken nothing keeps apart two that start at the same
/// time.
int lock_directory_of(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    descriptor opened(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int tries = 0; opened.number >= 0 && tries < lock_tries; ++tries) {
        if (::flock(opened.number, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) break;
        ::poll(nullptr, 0, 10);
    }
    return opened.release();
}

/// 0: no process listens there any more; otherwise why the path cannot be taken.
int in_use(const std::string& path, const sockaddr_un& address) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(found.st_mode)) return ENOTSOCK;
    // A path does not say whether something listens there; only a connection does (unix(7)).
    const descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.number < 0) return errno;
    if (::connect(probe.number, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return EADDRINUSE;
    if (errno == ECONNREFUSED || errno == ENOENT) return 0;
    return errno == EAGAIN ? EADDRINUSE : errno;  // its queue is full
}

}  // namespace

std::string_view unix_path_of(std::string_view address) noexcept {
    constexpr std::string_view scheme = "unix:";
    return address.starts_with(scheme) ? address.substr(scheme.size()) : std::string_view();
}

std::string bound_path(int descriptor) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    constexpr auto before = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 || size <= before) return {};
    const std::string_view name(address.sun_path, std::min<std::size_t>(size - before, sizeof address.sun_path));
    if (name[0] == '\0') return '@' + std::string(name.substr(1));
    return std::string(name.substr(0, name.find('\0')));
}

socket_file::socket_file(std::string path) noexcept : path_(std::move(path)) {
    struct stat found {};
    if (path_.starts_with('@') || ::lstat(path_.c_str(), &found) != 0) leave();
    device_ = found.st_dev;
    node_ = found.st_ino;
}

void socket_file::swap(socket_file& other) noexcept {
    path_.swap(other.path_);
    std::swap(device_, other.device_);
    std::swap(node_, other.node_);
}

void socket_file::remove() noexcept {
    struct stat found {};
    if (path_.empty()) return;
    if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == node_)
        ::unlink(path_.c_str());
    leave();
}

int listen_on_path(const std::string& path, unsigned mode, int backlog) {
    const auto address = address_of(path);
    const descriptor lock(lock_directory_of(path));
    if (const int error = in_use(path, address); error != 0) throw cannot_listen(path, "bind", error);
    ::unlink(path.c_str());
    descriptor made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (made.number < 0) throw cannot_listen(path, "socket", errno);
    ::fchmod(made.number, mode);  // what bind(2) makes has no more than that, and less by the umask
    if (::bind(made.number, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw cannot_listen(path, "bind", errno);
    if (::chmod(path.c_str(), mode) == 0 && ::listen(made.number, backlog) == 0) return made.release();
    const int error = errno;
    ::unlink(path.c_str());
    throw cannot_listen(path, "listen", error);
}

}  // namespace server
