#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace server {

/// PATH of "unix:PATH"; empty of any other address.
std::string_view unix_path_of(std::string_view address) noexcept;

/// What a UNIX socket is bound to: a path, "@name" of the abstract namespace, or nothing.
std::string bound_path(int descriptor);

/// The name of a listening UNIX socket in the file system: its owner takes it away at the end. Only on one thread at
/// a time.
class socket_file {
public:
    socket_file() noexcept = default;
    /// Makes it ours. The file that is there now: another that takes its place meanwhile is left alone.
    explicit socket_file(std::string path) noexcept;
    socket_file(socket_file&& other) noexcept { swap(other); }
    socket_file& operator=(socket_file&& other) noexcept {
        swap(other);
        return *this;
    }
    ~socket_file() { remove(); }

    bool is_ours() const noexcept { return !path_.empty(); }
    void remove() noexcept;
    /// It is another process's from here on.
    void leave() noexcept { path_.clear(); }

private:
    void swap(socket_file& other) noexcept;

    std::string path_;
    dev_t device_ = 0;
    ino_t node_ = 0;
};

/// A UNIX socket that listens on `path` with these permissions, whatever the umask: from the first moment only users
/// who may connect later may connect. A socket on which nothing listens any more, as SIGKILL leaves it, is
/// replaced; two processes that start at the same time do not replace each other's. Blocks for half a second at most.
///
/// Throws std::runtime_error with one line: a process listens there, the file is not a socket, or what the kernel says.
int listen_on_path(const std::string& path, unsigned mode, int backlog);

}  // namespace server
