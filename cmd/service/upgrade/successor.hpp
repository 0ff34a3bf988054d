#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace upgrade {

/// The descriptor on which the process that is named by LISTEN_PID says that it is ready: one byte.
inline constexpr const char* ready_variable = "UPGRADE_READY_FD";
/// Those of its listeners that only the process before it has, "app,debug": they are its own once that has gone. Named
/// after what it began with, the paths of UNIX sockets.
inline constexpr const char* owned_variable = "UPGRADE_PATHS";

/// A process that is to go on with the listeners of this one. Only on the thread that made it.
///
/// It has descriptors 0 to 2 of this process, the listeners of sd_listen_fds(3) by the names "app" and "debug", and
/// the pipe of `ready_variable`; no other, and no signal is blocked. Working directory, limits and environment are
/// those of this process. It lives on when this object does not.
///
/// It is a grandchild. The process in between tells how it ends, as long as it is not ready; once it is, that one goes,
/// so that the supervisor of this process (systemd, or another subreaper, prctl(2)) is its parent and learns of its
/// end. systemd kills a main process that is not its child at once, instead of waiting for its stop.
class successor {
public:
    /// Throws std::system_error when no process or no pipe can be made.
    successor(const std::string& program, std::vector<std::string> arguments, int app, int debug,
              const std::string& owned);
    ~successor();
    successor(const successor&) = delete;
    successor& operator=(const successor&) = delete;

    pid_t pid() const noexcept { return pid_; }

    /// Returns once it is ready. Throws std::runtime_error with one line when it will not be: it could not be
    /// executed, it has ended, it took longer than `limit`, or `unwanted` says that it is not needed any more. Then
    /// it has ended, or been told to.
    void wait_until_ready(std::chrono::milliseconds limit, const std::function<bool()>& unwanted);

private:
    void tell(int signal) const noexcept;
    void let_go() noexcept;
    std::string dismiss(const std::function<bool()>& unwanted);

    pid_t pid_ = -1;
    pid_t between_ = -1;  ///< its parent, our child; -1: that has gone
    int handle_ = -1;     ///< pidfd_open(2), since it is not for us to say when its number is free
    int ready_ = -1;      ///< the reading end
};

}  // namespace upgrade
