#include "tests/support/held_calls.hpp"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace support {
namespace {

enum class kind : std::uint8_t { path, descriptor, either };

struct watched {
    int number;
    const char* name;
    kind what;
    int argument;  ///< where the path or the descriptor is; of either the descriptor, and an empty path is behind it
    bool usual = true;
};

constexpr watched table[] = {
#ifdef SYS_open
    {SYS_open, "open", kind::path, 0},
#endif
    {SYS_openat, "openat", kind::path, 1},
#ifdef SYS_rename
    {SYS_rename, "rename", kind::path, 1},
#endif
    {SYS_renameat2, "rename", kind::path, 3},
#ifdef SYS_unlink
    {SYS_unlink, "unlink", kind::path, 0},
#endif
    {SYS_unlinkat, "unlink", kind::path, 1},
    {SYS_pwrite64, "pwrite", kind::descriptor, 0},
    {SYS_pread64, "pread", kind::descriptor, 0},
    {SYS_fdatasync, "fdatasync", kind::descriptor, 0},
    {SYS_fsync, "fsync", kind::descriptor, 0},
    {SYS_flock, "flock", kind::descriptor, 0},
#ifdef SYS_mkdir
    {SYS_mkdir, "mkdir", kind::path, 0, false},
#endif
#ifdef SYS_rmdir
    {SYS_rmdir, "rmdir", kind::path, 0, false},
#endif
#ifdef SYS_newfstatat
    {SYS_newfstatat, "fstat", kind::either, 0, false},
#endif
#ifdef SYS_fstat
    {SYS_fstat, "fstat", kind::descriptor, 0, false},
#endif
    {SYS_mkdirat, "mkdir", kind::path, 1, false},
    {SYS_statx, "fstat", kind::either, 0, false},
    {SYS_write, "write", kind::descriptor, 0, false},
    {SYS_ftruncate, "ftruncate", kind::descriptor, 0, false},
    {SYS_lseek, "lseek", kind::descriptor, 0, false},
    {SYS_getdents64, "readdir", kind::descriptor, 0, false},
};

/// A string of another process, up to its page's end or its own.
std::string text_at(pid_t process, std::uint64_t address) {
    std::string text(256, '\0');
    const auto page = std::uint64_t(::sysconf(_SC_PAGESIZE));
    text.resize(std::min<std::size_t>(text.size(), page - address % page));
    const iovec here{text.data(), text.size()}, there{reinterpret_cast<void*>(address), text.size()};
    const auto count = ::process_vm_readv(process, &here, 1, &there, 1, 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text.substr(0, text.find('\0'));
}

std::string file_of(pid_t process, std::uint64_t descriptor) {
    char path[PATH_MAX];
    const auto count = ::readlink(fmt::format("/proc/{}/fd/{}", process, descriptor).c_str(), path, sizeof path);
    return {path, count > 0 ? static_cast<std::size_t>(count) : 0};
}

/// A message of one byte with room for a descriptor (unix(7)).
struct parcel {
    parcel() {
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
    }
    parcel(const parcel&) = delete;
    parcel& operator=(const parcel&) = delete;

    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
};

}  // namespace

std::string held_calls::unavailable() {
    std::uint32_t action = SECCOMP_RET_USER_NOTIF;
    if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return {};
    return std::string("no seccomp notifications here: ") + std::strerror(errno);
}

held_calls::held_calls(bool all) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets_) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    const auto add = [this](std::uint16_t code, std::uint32_t k, std::uint8_t yes = 0, std::uint8_t no = 0) {
        filter_.push_back({code, yes, no, k});
    };
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (const auto& row : table) {
        if (!row.usual && !all) continue;
        add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(row.number), 0, 1);
        add(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

held_calls::~held_calls() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
    for (const int each : {sockets_[0], sockets_[1], listener_})
        if (each >= 0) ::close(each);
}

bool held_calls::install_in_child() const {
    const sock_fprog program{static_cast<unsigned short>(filter_.size()), const_cast<sock_filter*>(filter_.data())};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    constexpr unsigned killable = 1U << 5U;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, from Linux 5.19 on
    auto listener = -1;
    for (const unsigned deaf : {killable, 0U})
        if (listener < 0)
            listener = static_cast<int>(
                ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | deaf, &program));
    if (listener < 0) return false;
    parcel sent;
    cmsghdr* const header = CMSG_FIRSTHDR(&sent.message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    std::memcpy(CMSG_DATA(header), &listener, sizeof listener);
    return ::sendmsg(sockets_[1], &sent.message, 0) == 1;
}

void held_calls::listen() {
    parcel got;
    if (::recvmsg(sockets_[0], &got.message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&got.message) == nullptr)
        throw std::runtime_error("the child has not sent its listener");
    std::memcpy(&listener_, CMSG_DATA(CMSG_FIRSTHDR(&got.message)), sizeof listener_);
    thread_ = std::thread([this] {
        pollfd watched{listener_, POLLIN, 0};
        while (!over_) {
            if (::poll(&watched, 1, 5) <= 0) continue;
            if ((watched.revents & POLLIN) == 0) return;  // nobody is left who could call
            look_at_one();
        }
    });
}

void held_calls::look_at_one() {
    seccomp_notif asked{};
    if (::ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) return;  // interrupted before it was looked at
    const auto found = std::find_if(std::begin(table), std::end(table),
                                    [&](const watched& watched) { return watched.number == asked.data.nr; });
    const auto argument = asked.data.args[found->argument];
    const auto process = static_cast<pid_t>(asked.pid);
    call made{found->name, found->what == kind::path ? text_at(process, argument) : std::string()};
    if (found->what == kind::either) made.path = text_at(process, asked.data.args[found->argument + 1]);
    if (found->what != kind::path && made.path.empty()) made.path = file_of(process, argument);
    const std::scoped_lock lock(mutex_);
    seen_.push_back(made);
    if (which_ && which_(made)) {
        held_.push_back(asked.id);
        return;
    }
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    answer.error = fails_ ? -fails_(made) : 0;
    if (answer.error == 0) answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

void held_calls::hold(std::function<bool(const call&)> which) {
    const std::scoped_lock lock(mutex_);
    which_ = std::move(which);
}

void held_calls::fail(std::function<int(const call&)> how) {
    const std::scoped_lock lock(mutex_);
    fails_ = std::move(how);
}

void held_calls::release() {
    const std::scoped_lock lock(mutex_);
    which_ = nullptr;
    for (const auto id : held_) {  // one that was interrupted is not there any more, and has come again
        seccomp_notif_resp answer{};
        answer.id = id;
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ::ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    held_.clear();
}

std::vector<held_calls::call> held_calls::seen() const {
    const std::scoped_lock lock(mutex_);
    return seen_;
}

std::size_t held_calls::held() const {
    const std::scoped_lock lock(mutex_);
    return held_.size();
}

}  // namespace support
