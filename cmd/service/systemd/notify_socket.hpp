#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <string>
#include <string_view>

namespace systemd {

/// Where systemd hears how a service does: the datagrams of sd_notify(3), to $NOTIFY_SOCKET.
/// Safe from any thread.
class notify_socket {
public:
    /// An empty address: there is no listener, and `tell` does nothing.
    explicit notify_socket(const std::string& address);
    ~notify_socket();
    notify_socket(const notify_socket&) = delete;
    notify_socket& operator=(const notify_socket&) = delete;

    bool heard() const noexcept { return descriptor_ >= 0; }
    /// Why nobody can hear us, as errno has it: the socket is gone, or the address is none. 0: nothing speaks against
    /// it.
    int fault() const noexcept { return fault_.load(std::memory_order_relaxed); }

    /// Sends lines `NAME=value`; false when systemd had no room for them. Never blocks.
    bool tell(std::string_view lines) const noexcept { return send(lines, MSG_DONTWAIT); }
    /// The same, but waits for room up to 100 ms.
    bool insist(std::string_view lines) const noexcept { return send(lines, 0); }

private:
    bool send(std::string_view lines, int flags) const noexcept;

    int descriptor_ = -1;
    mutable std::atomic<int> fault_{0};
    sockaddr_un address_{};
    socklen_t size_ = 0;
};

}  // namespace systemd
