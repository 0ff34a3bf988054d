#include "lifecycle/outlet.hpp"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <optional>
#include <utility>

namespace lifecycle {
namespace {

constexpr std::size_t usual_piece = 256 * 1024;
constexpr unsigned memory_devices = 1, null_device = 3;
constexpr unsigned other_ttys = 5, multiplexer = 2;

struct place {
    dev_t device;
    ino_t inode;
    bool operator==(const place&) const = default;
};

/// What a descriptor leads to. A terminal has several names (/dev/tty, /dev/pts/3) and is known by its number.
std::optional<place> place_of(int descriptor) {
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0) return std::nullopt;
    unsigned terminal = 0;
    if (S_ISCHR(status.st_mode) && ::ioctl(descriptor, TIOCGDEV, &terminal) == 0) return place{terminal, 0};
    return place{status.st_dev, status.st_ino};
}

bool is_device(const struct stat& status, unsigned major, unsigned minor) {
    return S_ISCHR(status.st_mode) && gnu_dev_major(status.st_rdev) == major && gnu_dev_minor(status.st_rdev) == minor;
}

/// Another description of what `descriptor` leads to; -1 when it cannot be opened.
int open_again(int descriptor) {
    const auto path = fmt::format("/proc/self/fd/{}", descriptor);
    // O_NOCTTY: a service that has no terminal must not get one by its log.
    const int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (own >= 0 && place_of(own) != place_of(descriptor)) {
        ::close(own);
        return -1;
    }
    return own;
}

}  // namespace

outlet::outlet(int descriptor, how how) : given_(descriptor), piece_(usual_piece) {
    struct stat status = {};
    if (::fstat(descriptor, &status) != 0) return;
    const bool pipe = S_ISFIFO(status.st_mode);
    int kind = SOCK_STREAM;
    socklen_t size = sizeof kind;
    socket_ = S_ISSOCK(status.st_mode) && ::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &size) == 0;
    // Up to PIPE_BUF bytes go into a pipe as a whole or not at all (pipe(7)), so that lines of several writers are not
    // mixed.
    if (pipe || kind != SOCK_STREAM) piece_ = PIPE_BUF;
    if (how == how::as_given) return;
    // The master of a pseudo-terminal is left alone: opened again it is another one's.
    const bool terminal = ::isatty(descriptor) == 1 && !is_device(status, other_ttys, multiplexer);
    if (pipe || terminal) own_ = open_again(descriptor);
    waits_ = own_ < 0 && !socket_ && !is_device(status, memory_devices, null_device);
    whole_ = waits_ || kind != SOCK_STREAM;
}

outlet::~outlet() {
    if (own_ >= 0) ::close(own_);
}

ssize_t outlet::write(std::string_view text) const noexcept {
    if (socket_) return ::send(given_, text.data(), text.size(), MSG_NOSIGNAL | (waits_ ? 0 : MSG_DONTWAIT));
    return ::write(descriptor(), text.data(), text.size());
}

bool outlet::leads_where(int other) const noexcept {
    const auto here = place_of(given_);
    return here && here == place_of(other);
}

}  // namespace lifecycle
